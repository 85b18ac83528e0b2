"""A training run by its spec, from data to label: for the command line and for a run's own process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from hosting.spans import span
from publication.writer import Clock, utc_now
from trainer.dataset import Split
from trainer.index import make_backends
from trainer.index.tuning import TuningOptions
from trainer.pipeline import TrainingInput, TrainingResult, promote_if_passed, train_and_publish
from trainer.progress import Reporter
from trainer.publishing import Indexing
from trainer.sources import default_split, read_source
from trainer.training_spec import TrainingSpec

EVENTS = "events"
"""Where appended interactions are, in the trainer's own directory."""


@dataclass(frozen=True)
class Places:
    """Where things are: the shared volume, fetched datasets, and the log of appended interactions."""

    volume: Path
    data_dir: Path
    event_log: Path


def train_by_spec(
    spec: TrainingSpec,
    places: Places,
    *,
    reporter: Reporter,
    promote: bool = True,
    clock: Clock = utc_now,
) -> TrainingResult:
    """Read, train, publish, check the gates, and move the label if all pass and `promote` says so.

    Raises:
        TrainerError: the spec, the data or the training is at fault.
        PublicationError: the volume is, or the vectors can't be indexed.
    """
    indexing = indexing_of(spec)
    result = train_and_publish(
        # With no name here: it can go when the matrix is made.
        _read(spec, places, reporter),
        places.volume,
        hyperparameters=spec.hyperparameters,
        # What isn't one of them is refused where the data is split.
        split=cast("Split", spec.data.split or default_split(spec.data)),
        split_count=spec.data.split_count,
        split_share=spec.data.split_share,
        indexing=indexing,
        label=spec.label,
        gates=spec.gates,
        warm_start=spec.warm_start,
        max_shrinkage=spec.max_shrinkage,
        promote=False,
        reporter=reporter,
        clock=clock,
    )
    if not spec.hyperparameters.sample_weights and (
        spec.data.event_weights or spec.data.half_life_days is not None
    ):
        result.warnings.append(
            "without --sample-weights the model sees only whether a weight is above 0: --event-weights "
            "and --half-life-days hardly change it"
        )
    return promote_if_passed(places.volume, result, label=spec.label) if promote else result


def _read(spec: TrainingSpec, places: Places, reporter: Reporter) -> TrainingInput:
    reporter.stage("read")
    with span("read"):
        return read_source(spec.data, data_dir=places.data_dir, event_log=places.event_log)


def indexing_of(spec: TrainingSpec) -> Indexing:
    """The backends and options of a spec; raises OptionError and BackendMissingError."""
    options = TuningOptions(
        target_recall=spec.target_recall,
        strict=spec.strict_recall,
        seed=spec.hyperparameters.seed,
    )
    if spec.index_threads is not None:
        options = replace(options, threads=spec.index_threads)
    return Indexing(backends=make_backends(spec.backend, trees=spec.trees), options=options)
