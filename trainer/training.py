"""A training run by its spec, from data to label: for the command line and for a run's own process."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from hosting.spans import span
from publication import layout
from publication.errors import LabelError
from publication.volume import Volume
from publication.writer import Clock, utc_now
from trainer import predecessor
from trainer.dataset import Split
from trainer.gates import Gates
from trainer.index import make_backends
from trainer.index.tuning import TuningOptions
from trainer.indexing import Indexing
from trainer.pipeline import TrainingInput, TrainingResult, train_and_publish
from trainer.progress import Reporter
from trainer.promotion import promote_if_passed
from trainer.sources import default_split, read_source
from trainer.spark.engine import SparkTraining
from trainer.spark.options import SparkAls
from trainer.timings import Timings
from trainer.training_spec import TrainingSpec

EVENTS = "events"
"""Where appended interactions are, in the trainer's own directory."""


@dataclass(frozen=True)
class Places:
    """Where things are.

    Attributes:
        volume: the shared one.
        data_dir: of fetched datasets.
        event_log: of appended interactions.
        cache_bytes: how large the folder of a volume elsewhere may get; None for what its disk holds.
    """

    volume: Volume
    data_dir: Path
    event_log: Path
    cache_bytes: int | None = None


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
    volume = places.volume
    volume.check_writable()
    with contextlib.ExitStack() as stack:
        for label in predecessor.labels_of(spec.label):
            # What is wrong with a label is no reason not to publish what it could name next.
            with contextlib.suppress(LabelError):
                stack.enter_context(volume.followed(label))
        result = train_and_publish(
            # With no name here: it can go when the matrix is made.
            _read(spec, places, reporter, clock),
            volume.folder,
            hyperparameters=spec.hyperparameters,
            # What isn't one of them is refused where the data is split.
            split=cast("Split", spec.data.split or default_split(spec.data)),
            split_count=spec.data.split_count,
            split_share=spec.data.split_share,
            indexing=indexing,
            label=spec.label,
            gates=_gates(spec),
            warm_start=spec.warm_start,
            max_shrinkage=spec.max_shrinkage,
            spark=None if spec.spark is None else _on_spark(spec.spark, volume),
            promote=False,
            reporter=reporter,
            clock=clock,
        )
    if volume.elsewhere:
        timings = Timings(clock, on_stage=reporter.stage)
        with timings.stage("upload"):
            volume.upload(result.manifest.version)
        result = replace(result, seconds={**result.seconds, **timings.seconds})
    if not spec.hyperparameters.sample_weights and (
        spec.data.event_weights or spec.data.half_life_days is not None
    ):
        result.warnings.append(
            "without --sample-weights the model sees only whether a weight is above 0: --event-weights "
            "and --half-life-days hardly change it"
        )
    return promote_if_passed(volume, result, label=spec.label) if promote else result


def _on_spark(options: SparkAls, volume: Volume) -> SparkTraining:
    # What the nodes reach is where the volume is, not this machine's copy of it.
    exchange = f"{volume}/{layout.STAGING}" if volume.elsewhere else None
    return SparkTraining(options, exchange)


def _gates(spec: TrainingSpec) -> Gates:
    """Those of the spec. A window that moves leaves out what users had seen, and nothing is wrong."""
    if spec.data.last_days is None or spec.gates.min_pairs_kept is not None:
        return spec.gates
    return replace(spec.gates, min_pairs_kept=0.0)


def _read(spec: TrainingSpec, places: Places, reporter: Reporter, clock: Clock) -> TrainingInput:
    reporter.stage("read")
    with span("read"):
        return read_source(
            spec.data,
            data_dir=places.data_dir,
            event_log=places.event_log,
            now=clock().timestamp(),
        )


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
