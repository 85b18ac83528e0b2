"""Fit models, and publish them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightfm_retriever.publication import layout
from lightfm_workbench import options
from lightfm_workbench.data import Data, read
from lightfm_workbench.frame import Frame
from lightfm_workbench.publish_result import PublishResult
from lightfm_workbench.recommender import Recommender
from lightfm_workbench.volume import Volume, location_of
from trainer.promotion.gates import Gates

if TYPE_CHECKING:
    from lightfm_retriever.hosting.options import Declared
    from lightfm_retriever.publication.facts.evaluation import EvaluationFacts
    from lightfm_retriever.publication.manifest import Scalar
    from lightfm_retriever.publication.volume import Volume as Files
    from retriever.answering.snapshot import Snapshot
    from trainer.progress import Reporter
    from trainer.promotion.checks import Checked
    from trainer.publishing.publishable import Publishable
    from trainer.spec import TrainingSpec
    from trainer.timings import Timings

_SPLITTING = ("split", "split_count", "split_share", "segment_by")
_NOT_HERE = ("warm_start",)


class FittedModel(Recommender):
    """A model that was fitted in this process, with its evaluation. `fit` makes it.

    Attributes:
        spec: the options of the fit.
        made: the content of a publication: the model, the id maps and the seen items.
    """

    def __init__(self, spec: TrainingSpec, made: Publishable, timings: Timings) -> None:
        self.spec = spec
        self.made = made
        self._timings = timings

    @property
    def family(self) -> str:
        """Return the family of the model, such as "ease"."""
        return str(self.made.hyperparameters["model"])

    @property
    def settings(self) -> dict[str, Scalar]:
        """Return the hyperparameters, with those that the family or a search chose."""
        return {name: own for name, own in self.made.hyperparameters.items() if name != "model"}

    @property
    def metrics(self) -> dict[str, float]:
        """Return the metrics on the test interactions, by name, as `lightfm-trainer train` has them.

        Only a publication has those of the index: test_..._served.
        """
        return dict(self.made.metrics)

    @property
    def evaluation(self) -> EvaluationFacts | None:
        """Return the test, the standard errors and the segments; None if nothing was held out."""
        return self.made.evaluation

    @property
    def warnings(self) -> list[str]:
        """Return what looks wrong, one sentence each."""
        return [*self.made.warnings]

    @property
    def seconds(self) -> dict[str, float]:
        """Return the duration of each stage."""
        return dict(self._timings.seconds)

    def candidates(self) -> Frame:
        """Return the models that this one was chosen among, with the NDCG@10 of each; may be empty."""
        import pyarrow as pa

        types = {
            "model": pa.string(),
            "settings": pa.string(),
            "state": pa.string(),
            "ndcg_at_10": pa.float64(),
            "folded_in": pa.bool_(),
            "seconds": pa.float64(),
            "reason": pa.string(),
        }
        rows = [{name: vars(trial)[name] for name in types} for trial in self.made.trials]
        for row in rows:
            row["settings"] = ", ".join(f"{name}={own}" for name, own in row["settings"].items())
        return Frame.of_rows(rows, types)

    @cached_property
    def snapshot(self) -> Snapshot:
        """See Recommender: the files lie in a temporary folder, and all items are scored."""
        from lightfm_retriever.publication.volume import Volume as Files
        from retriever.answering.snapshot import open_snapshot
        from trainer.progress import Silent
        from trainer.timings import Timings

        alone = replace(
            self.spec, label=None, backend="exact", trees=None, strict_recall=False, gates=Gates()
        )
        volume = Files(Path(self._folder.name))
        done = _published(alone, self.made, volume, Timings(), Silent())
        return open_snapshot(volume.folder, done.manifest.version)

    @cached_property
    def _folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="lightfm-workbench-")

    def publish(
        self,
        volume: Volume | str | os.PathLike[str],
        *,
        label: str | None = layout.DEFAULT_LABEL,
        gates: Gates | None = None,
        progress: bool = False,
        **more: Any,
    ) -> PublishResult:
        """Build indexes, publish a version, check the gates, and move the label if all passed.

        Args:
            volume: a volume or its location. A folder that is missing is made.
            label: the label to compare with and to move; None for none.
            gates: the thresholds; None for the usual ones.
            progress: whether to show progress.
            **more: options of `lightfm-trainer train` about indexes, by the names of their flags:
                backend="annoy", target_recall=0.95, strict_recall, trees, index_threads; and
                max_shrinkage.

        Raises:
            TrainerError: an option is wrong, or the input keeps too little of the label's version.
            PublicationError: the volume can't be used.
        """
        from lightfm_retriever.hosting.options import declared
        from trainer.progress import Bars, Silent
        from trainer.promotion.checks import promote_if_passed
        from trainer.spec import TrainingSpec

        own = options.checked(more, options.known(TrainingSpec, groups=("index", "continuity")))
        fields = {one.dest: name for name, one in declared(TrainingSpec).items()}
        changed = {fields[name]: value for name, value in own.items()}
        spec = replace(self.spec, label=label, gates=gates or Gates(), **changed)
        where = location_of(volume)
        if not where.files.elsewhere:
            where.files.folder.mkdir(parents=True, exist_ok=True)
        reporter = Bars() if progress else Silent()
        checked = _published(spec, self.made, where.files, self._timings, reporter)
        return PublishResult(where, promote_if_passed(where.files, checked, label=label))

    def __repr__(self) -> str:
        """Describe the model in a line."""
        made = self.made
        told = f"{self.family}: {len(made.users):,} users, {len(made.items):,} items"
        ndcg = made.metrics.get("test_ndcg_at_10_unseen")
        return f"<{told}" + ("" if ndcg is None else f", NDCG@10 {ndcg:.4f}") + ">"


def fit(
    data: Data | Any,
    *,
    model: str | None = None,
    settings: Mapping[str, Scalar] | None = None,
    split: str | None = None,
    seed: int = 42,
    progress: bool = False,
    **more: Any,
) -> FittedModel:
    """Split the interactions, fit a model and evaluate it, as `lightfm-trainer train` does.

    Equal data, options and seeds give equal metrics.

    Args:
        data: the result of `read`, or a frame or file that `read` takes as interactions.
        model: the family: "lightfm", "als", "bpr", "ease" or "item-knn"; "auto" searches for the best
            on a validation split; None for the default of `lightfm-trainer train`.
        settings: hyperparameters of the family, such as {"l2": 500}.
        split: "random", "time", "leave-last-k", "first-10" or "none"; None for "random".
        seed: of the split and the fit.
        progress: whether to show progress.
        **more: options of `lightfm-trainer train` about the model and the split, by the names of their
            flags: epochs, components, threads, sample_weights, budget="5m", split_share and others.

    Raises:
        TrainerError: an option is wrong, or the training failed.
        ArgumentError: an option has a wrong type.
    """
    from lightfm_retriever.hosting.settings.option_flags import made
    from lightfm_retriever.publication.volume import Volume as Files
    from trainer.pipeline import fit as fit_spec
    from trainer.progress import Bars, Silent
    from trainer.spec import TrainingSpec
    from trainer.timings import Timings

    data = data if isinstance(data, Data) else read(data)
    given = {"model": model, "set": settings, "split": split, "seed": seed, **more}
    own = options.checked(given, _known())
    splitting = {name: own.pop(name) for name in _SPLITTING if name in own}
    spec = made(TrainingSpec, own, data=replace(data.spec, **splitting), label=None, spark=None)
    reporter = Bars() if progress else Silent()
    timings = Timings(on_stage=reporter.stage)
    with tempfile.TemporaryDirectory(prefix="lightfm-workbench-") as folder:
        result = fit_spec(spec, data.source, Files(Path(folder)), timings=timings, reporter=reporter)
    return FittedModel(spec, result, timings)


def _published(
    spec: TrainingSpec, made: Publishable, volume: Files, timings: Timings, reporter: Reporter
) -> Checked:
    """Publish a fitted model as a training run does; moves no label."""
    from trainer import pipeline

    volume.check_writable()
    judged = replace(spec, gates=pipeline.gates_of(spec))
    indexing = pipeline.indexing_of(spec)
    return pipeline.publish_made(
        judged, made, volume, indexing=indexing, timings=timings, reporter=reporter
    )


def _known() -> dict[str, Declared]:
    """Return the options of a fit."""
    from trainer.models.given import GivenHyperparameters
    from trainer.spec import DataSpec, TrainingSpec

    own = options.known(GivenHyperparameters) | options.known(TrainingSpec, groups=("hyperparameters",))
    data = options.known(DataSpec)
    own |= {name: data[name] for name in _SPLITTING if name in data}
    return {name: one for name, one in own.items() if name not in _NOT_HERE}
