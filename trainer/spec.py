"""A training run as data: the same from the command line, over gRPC and in the queue."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any

import msgspec

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from lightfm_retriever.publication import layout
from trainer.data.files.file_form import FileForm
from trainer.data_spec import DataSpec as DataSpec
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
from trainer.promotion.gates import MAX_SHRINKAGE, Gates
from trainer.spark.options import ENGINE, SparkAls, refuse_what_lightfm_has


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
