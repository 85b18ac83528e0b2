"""What a training run is to do, as data: the same from the command line, over gRPC and in the queue."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lightfm_retriever.publication import layout
from trainer.errors import OptionError
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.preparing.splits import SPLITS
from trainer.promotion.gates import Gates
from trainer.spark.options import SparkAls, refuse_what_lightfm_has


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Where the data is and what is made of it.

    Interactions come from a history (exactly one of dataset, interactions and interactions_sql) with
    the event log after it, or from either alone.

    Attributes:
        dataset: a dataset by name.
        interactions: path of a CSV or Parquet file, or of a folder of Parquet files.
        interactions_sql, database_url: a query and where to ask it.
        event_log: whether to read what AppendInteractions collected; see trainer.data.combining.
        items, users: paths of files with titles and features.
        item_features, user_features: their columns to use.
        item_attributes: columns of the items file to publish for filters and to return with results,
            each "NAME", "NAME:text" or "NAME:number"; none means all of a dataset by name.
        feature_separator: between the values of a multi-valued text column.
        event_weights: weight by event type, "" for none; empty when events aren't weighted.
        half_life_days: after which an interaction counts half; None for no decay.
        last_days: how old an interaction may be; None for any age.
        split: how to hold out test interactions; None for the source's default.
        split_count: k of leave-last-k.
        split_share: share that the time-based and the random split hold out.
    """

    dataset: str | None = None
    interactions: str | None = None
    interactions_sql: str | None = None
    database_url: str | None = None
    event_log: bool = False
    items: str | None = None
    users: str | None = None
    item_features: list[str] = field(default_factory=list)
    user_features: list[str] = field(default_factory=list)
    item_attributes: list[str] = field(default_factory=list)
    feature_separator: str = "|"
    event_weights: dict[str, float] = field(default_factory=dict)
    half_life_days: float | None = None
    last_days: float | None = None
    split: str | None = None
    split_count: int = 1
    split_share: float = 0.1

    def __post_init__(self) -> None:
        """Raise OptionError unless there is a source of interactions and all is in range."""
        others = "--interactions, --interactions-sql, --event-log"
        if not self.has_history and not self.event_log:
            raise OptionError("--dataset", None, f"given, or one of {others}")
        if len(self._histories()) > 1:
            expected = f"the only one of --dataset, {others}, but that --event-log may come beside one"
            raise OptionError(*next(iter(self._histories().items())), expected)
        if (self.interactions_sql is None) != (self.database_url is None):
            # Not the address itself, which may hold a password.
            shown = None if self.database_url is None else "***"
            raise OptionError("--database-url", shown, "used with --interactions-sql")
        self._check_ranges()

    @property
    def has_history(self) -> bool:
        """Whether there is another source of interactions than the event log."""
        return bool(self._histories())

    def _histories(self) -> dict[str, str]:
        flags = {
            "--dataset": self.dataset,
            "--interactions": self.interactions,
            "--interactions-sql": self.interactions_sql,
        }
        return {flag: value for flag, value in flags.items() if value is not None}

    def _check_ranges(self) -> None:
        if self.item_attributes:
            # Here, since the flags need the defaults only.
            from trainer.data import item_attributes

            # Who reads the data checks this too, but a run may be queued for hours before that.
            item_attributes.parse(self.item_attributes)
        if self.split is not None and self.split not in SPLITS:
            raise OptionError("--split", self.split, f"one of {', '.join(SPLITS)}")
        if not 1 <= self.split_count < 2**31:
            raise OptionError("--split-count", self.split_count, "in 1..2^31-1")
        if not 0 < self.split_share < 1:
            raise OptionError("--split-share", self.split_share, "above 0 and below 1")
        for event, weight in self.event_weights.items():
            if not math.isfinite(weight):
                raise OptionError("--event-weights", f"{event}={weight}", "finite numbers")
        for name in ("half_life_days", "last_days"):
            days = getattr(self, name)
            if days is not None and not 0 < days < math.inf:
                raise OptionError(f"--{name.replace('_', '-')}", days, "a number of days above 0")


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """One training run, from data to label.

    Attributes:
        data: where the data is.
        hyperparameters: LightFM's.
        backend: names of kinds of index with commas between; see trainer.index.make_backends.
        trees: of an Annoy index; None to choose by recall.
        target_recall, strict_recall, index_threads: see trainer.index.tuning; None for all cores.
        label: to move when all gates pass; None for none.
        gates: what a version has to pass for its label to be moved.
        warm_start: whether to go on from what the label names now.
        max_shrinkage: refuse an input with a smaller share of the interactions of the label's version,
            or of their weight, than 1 less this; None for half of the interactions and any weight.
        spark: to fit ALS on a Spark cluster, by the components, epochs, seed and sample weights of the
            hyperparameters; None to fit LightFM here.
    """

    data: DataSpec
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    backend: str = "annoy"
    trees: int | None = None
    target_recall: float = 0.95
    strict_recall: bool = False
    index_threads: int | None = None
    label: str | None = layout.DEFAULT_LABEL
    gates: Gates = field(default_factory=Gates)
    warm_start: bool = False
    max_shrinkage: float | None = None
    spark: SparkAls | None = None

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        # Not `max_shrinkage < 0`, which NaN passes.
        if self.max_shrinkage is not None and not 0 <= self.max_shrinkage <= 1:
            raise OptionError("--max-shrinkage", self.max_shrinkage, "in 0..1")
        if self.warm_start and self.label is None:
            raise OptionError("--warm-start", True, "used with a label, whose model it goes on from")
        if self.spark is not None:
            refuse_what_lightfm_has(
                self.hyperparameters,
                item_features=self.data.item_features,
                user_features=self.data.user_features,
                warm_start=self.warm_start,
            )


def encode(spec: TrainingSpec) -> str:
    """As JSON, the same for equal specs."""
    content = msgspec.to_builtins(spec)
    if spec.spark is None:
        # Specs that were stored before there was an engine to choose are still the same.
        content.pop("spark", None)
    return msgspec.json.encode(content, order="deterministic").decode()


def decode(text: str | bytes) -> TrainingSpec:
    """Inverse of `encode`; raises OptionError for a value out of range."""
    value: Any = msgspec.json.decode(text)
    return msgspec.convert(value, TrainingSpec)
