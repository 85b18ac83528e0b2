"""A training run as data: the same from the command line, over gRPC and in the queue."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Annotated, Any

import msgspec

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option, names
from lightfm_retriever.hosting.settings.values import PathType
from lightfm_retriever.publication import layout
from trainer.data import movielens
from trainer.data.bounds import HALF_LIFE_DAYS, LAST_DAYS, check_event_weights
from trainer.data.files.file_form import FileForm, FileKind
from trainer.errors import OptionError
from trainer.index import AUTO, NAMES
from trainer.index.protocol import TREES
from trainer.index.tuning import INDEX_THREADS, TARGET_RECALL, TuningOptions
from trainer.models import AUTO as AUTO_MODEL
from trainer.models import LIGHTFM, family
from trainer.models.choice import (
    BUDGET,
    MODEL,
    SEARCH,
    SETTINGS,
    UNASKED_SEARCH,
    USERS_BY,
    family_of,
    refuse_what_it_lacks,
)
from trainer.models.given import GivenHyperparameters
from trainer.preparing.splits import SPLIT, SPLIT_COUNT, SPLIT_SHARE
from trainer.promotion.gates import MAX_SHRINKAGE, Gates
from trainer.spark.options import ENGINE, SparkAls, refuse_what_lightfm_has

_path = partial(Option, metavar="PATH", read=PathType())


def _weights(text: str) -> dict[str, float]:
    weights = {}
    for part in names(text):
        name, equals, weight = part.rpartition("=")
        try:
            weights[name.strip()] = float(weight)
        except ValueError:
            equals = ""
        if not equals:
            raise ArgumentTypeError(f"{part!r} should be EVENT=WEIGHT, such as view=1")
    return weights


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """The source of the data, and its use.

    Interactions come from a history, from the event log, or from both (see trainer.data.combining). A
    history is one of dataset, interactions and interactions_sql. An event without a type has the weight
    of "". None for item_attributes means all attributes of a named dataset. None for split means the
    default of the source. `form` says how the files are written.
    """

    dataset: Annotated[
        str | None, Option("train on a dataset by its name", offered=(movielens.NAME,))
    ] = None
    interactions: Annotated[
        str | None, _path("train on a CSV, JSON Lines or Parquet file, or a folder of Parquet files")
    ] = None
    interactions_sql: Annotated[
        str | None,
        Option("train on the result of an SQL query; needs --database-url", metavar="QUERY"),
    ] = None
    database_url: Annotated[
        str | None,
        Option(
            "the database: sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE", metavar="URL"
        ),
    ] = None
    items: Annotated[str | None, _path("CSV, JSON Lines or Parquet file of items")] = None
    users: Annotated[str | None, _path("CSV, JSON Lines or Parquet file of users")] = None
    event_log: Annotated[
        bool,
        Option(
            "train on appended interactions, alone or in addition to another source; an event in both "
            "counts once"
        ),
    ] = False
    item_features: Annotated[
        list[str], Option("columns of the items file to use as features", metavar="COLUMN,...")
    ] = field(default_factory=list)
    user_features: Annotated[
        list[str], Option("columns of the users file to use as features", metavar="COLUMN,...")
    ] = field(default_factory=list)
    item_attributes: Annotated[
        list[str],
        Option(
            "columns of the items file to filter by and to return with results. A column of numbers, "
            "also with gaps such as N/A, becomes a number; any other becomes text (default: none; for "
            f"{movielens.NAME} {','.join(movielens.ITEM_COLUMNS)})",
            metavar="COLUMN[:text|:number],...",
        ),
    ] = field(default_factory=list)
    feature_separator: Annotated[str, Option("separator of values in columns that have several")] = "|"
    event_weights: Annotated[
        dict[str, float],
        Option(
            "weights by type of event, such as view=1,purchase=5; write =1 for events without a type",
            metavar="EVENT=WEIGHT,...",
            read=_weights,
        ),
    ] = field(default_factory=dict)
    half_life_days: Annotated[float | None, HALF_LIFE_DAYS] = None
    last_days: Annotated[float | None, LAST_DAYS] = None
    split: Annotated[str | None, SPLIT] = None
    split_count: Annotated[int, SPLIT_COUNT] = 1
    split_share: Annotated[float, SPLIT_SHARE] = 0.1
    positive_from: Annotated[
        float | None,
        Option(
            "the least weight of a positive, such as 4 stars: lower ones get the weight 0, so the items"
            " count as seen but not as liked (default: any weight above 0)",
            gt=0,
            lt=math.inf,
            expected="a number above 0",
            metavar="WEIGHT",
        ),
    ] = None
    form: FileForm = field(default_factory=FileForm)
    segment_by: Annotated[
        list[str],
        Option(
            "also measure the test by each value of these attributes of items or columns of "
            "--user-features",
            metavar="NAME,...",
        ),
    ] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raise OptionError if no source of interactions is given, or a value is out of range."""
        others = "--interactions, --interactions-sql, --event-log"
        if not self.has_history and not self.event_log:
            raise OptionError("--dataset", None, f"given, or one of {others}")
        if len(self._histories()) > 1:
            expected = f"the only one of --dataset, {others}; --event-log may come in addition"
            raise OptionError(*next(iter(self._histories().items())), expected)
        if (self.interactions_sql is None) != (self.database_url is None):
            # Don't show the address: it may hold a password.
            shown = None if self.database_url is None else "***"
            raise OptionError("--database-url", shown, "used with --interactions-sql")
        if self.item_attributes:
            # Imported here, since the flags need only the defaults.
            from trainer.data import item_attributes

            # Reading the data checks this too, but a run may wait in a queue for hours before.
            item_attributes.parse(self.item_attributes)
        options.check(self, OptionError)
        for flag, given in (
            ("--item-features", self.item_features),
            ("--user-features", self.user_features),
            ("--segment-by", self.segment_by),
        ):
            if len(set(given)) < len(given):
                raise OptionError(flag, ",".join(given), "columns that are named once each")
        check_event_weights(self.event_weights)
        self._check_form()

    def _check_form(self) -> None:
        """Raise OptionError for an option about a file that isn't given."""
        files: dict[FileKind, str | None] = {
            "interactions": self.interactions,
            "items": self.items,
            "users": self.users,
        }
        for kind, path in files.items():
            if path is None:
                for flag, value in self.form.given(kind).items():
                    raise OptionError(flag, value, f"used with --{kind} FILE")
        if self.form.escaped_quotes and not any(files.values()):
            raise OptionError("--escaped-quotes", True, "used with --interactions FILE")
        if self.positive_from is not None and not self.has_history:
            expected = "left out with --event-log alone, whose events keep their weights"
            raise OptionError("--positive-from", self.positive_from, expected)

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


@dataclass(frozen=True, kw_only=True)
class LabelSpec:
    """The label to move, and the gates that decide about it.

    Attributes:
        label: the label to compare with, and to move when all gates pass; None for no label.
        max_shrinkage: compared with the label's version. None allows losing half of the interactions
            and any weight.
    """

    label: str | None = layout.DEFAULT_LABEL
    gates: Gates = field(default_factory=Gates)
    max_shrinkage: Annotated[float | None, MAX_SHRINKAGE] = None

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)


@dataclass(frozen=True, kw_only=True)
class TrainingSpec(LabelSpec):
    """A training run, from data to label.

    Attributes:
        model: see `family`.
        budget_seconds: the time for the search of --model auto; None for the default.
        backend: see trainer.index.make_backends.
        target_recall, strict_recall, index_threads: see trainer.index.tuning.
        spark: to fit ALS on a Spark cluster, with components, epochs, seed and sample weights of the
            hyperparameters. None fits LightFM in this process.
    """

    data: DataSpec
    model: Annotated[str | None, MODEL] = None
    settings: Annotated[dict[str, str], SETTINGS] = field(default_factory=dict)
    budget_seconds: Annotated[float | None, BUDGET] = None
    users_by: Annotated[str, USERS_BY] = "auto"
    hyperparameters: GivenHyperparameters = field(default_factory=GivenHyperparameters)
    backend: Annotated[
        str,
        Option(
            f"kind of index: {', '.join(NAMES)}; of several, the fastest that reaches the target is "
            f"used; {AUTO} tries all that workers can share",
            group="index",
            metavar="NAME,...",
        ),
    ] = "annoy"
    strict_recall: Annotated[
        bool,
        Option(
            "publish nothing if no backend of --backend reaches the target, instead of using "
            "another backend",
            group="index",
        ),
    ] = False
    trees: Annotated[int | None, TREES] = None
    target_recall: Annotated[float, TARGET_RECALL] = TuningOptions.target_recall
    index_threads: Annotated[int | None, INDEX_THREADS] = None
    warm_start: Annotated[
        bool,
        Option(
            "continue from the model of the label's version, with new users and items added",
            group="hyperparameters",
        ),
    ] = False
    spark: SparkAls | None = None

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        super().__post_init__()
        if self.warm_start and self.label is None:
            raise OptionError("--warm-start", True, "used with a label, whose model it continues from")
        if self.spark is None:
            refuse_what_it_lacks(self, self._learning)
            return
        for flag, value, usual in (
            ("--model", self.model, (None, LIGHTFM)),
            ("--set", ",".join(self.settings), ("",)),
            ("--budget", self.budget_seconds, (None,)),
            ("--users-by", self.users_by, ("auto",)),
        ):
            if value not in usual:
                raise OptionError(flag, value, f"left out with --engine {ENGINE}")
        refuse_what_lightfm_has(self.hyperparameters, self._learning)

    @property
    def _learning(self) -> dict[str, str | bool]:
        """Return the values of the options that only some families have, by flag."""
        return {
            "--item-features": ",".join(self.data.item_features),
            "--user-features": ",".join(self.data.user_features),
            "--warm-start": self.warm_start,
        }

    @property
    def family(self) -> str:
        """Return the name of the family of models, or "auto" for a search."""
        return LIGHTFM if self.spark is not None else family_of(self, self._learning)

    @property
    def chooses_model(self) -> bool:
        """Whether the model is chosen on validation interactions."""
        return self.family == AUTO_MODEL

    @property
    def needs_validation(self) -> bool:
        """Whether the model, or how it represents users, is chosen on validation interactions.

        A model of a warm start was trained on them before, so nothing is chosen for it.
        """
        if self.chooses_model:
            return True
        if self.spark is not None or self.warm_start or self.users_by != "auto":
            return False
        return family(self.family).has_vectors

    @property
    def search_seconds(self) -> float:
        """Return the time for the search and the fit after it."""
        return self.budget_seconds or (UNASKED_SEARCH if self.model is None else SEARCH)


_ADDED: dict[str, Any] = {
    "spark": None,
    "model": None,
    "settings": {},
    "budget_seconds": None,
    "users_by": "auto",
}
"""Fields that a spec got later, and their defaults, which aren't encoded."""


# The defaults of LightFM that earlier releases wrote out.
_FORMER_DEFAULTS = {"loss": "warp", "components": 64, "learning_rate": 0.05, "epochs": 20}
_FORMER_DEFAULTS |= {"item_alpha": 0.001, "user_alpha": 0.0}


def encode(spec: TrainingSpec) -> str:
    """Encode a spec as JSON, which is the same for equal specs."""
    # Unlike msgspec's, this also has the fields that a stored spec lacked.
    content = asdict(spec)
    # Specs that were stored before there was a choice of these stay the same.
    for name, nothing in _ADDED.items():
        if content.get(name, nothing) == nothing:
            content.pop(name, None)
    # So do those that were stored before files could have other forms.
    if spec.data.form == FileForm():
        content["data"].pop("form", None)
    if spec.data.positive_from is None:
        content["data"].pop("positive_from", None)
    if not spec.gates.min_lift_over:
        content["gates"].pop("min_lift_over", None)
    own = content["hyperparameters"]
    content["hyperparameters"] = {name: value for name, value in own.items() if value is not None}
    return msgspec.json.encode(content, order="deterministic").decode()


def is_same(stored: TrainingSpec, asked: TrainingSpec) -> bool:
    """Compare a stored spec with that of a request.

    Earlier releases had LightFM only, and wrote its defaults out. So a request that leaves them out is
    also the same as a stored spec that has them.
    """
    if encode(stored) == encode(asked):
        return True
    if asked.model is not None or asked.settings:
        return False
    given = {**_FORMER_DEFAULTS, **asked.hyperparameters.own()}
    own = replace(asked.hyperparameters, **given)  # type: ignore[arg-type]
    return encode(stored) == encode(replace(asked, model=None, hyperparameters=own))


def decode(text: str | bytes) -> TrainingSpec:
    """Decode the JSON of `encode`. Raises OptionError for a value out of range."""
    return msgspec.json.decode(text, type=TrainingSpec)
