"""Define the interface of a model family."""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from trainer.models.given import COMMON

if TYPE_CHECKING:
    # The flags need the settings of the families only.
    from lightfm import LightFM

    from lightfm_retriever.publication.storage.ragged import Ragged
    from lightfm_retriever.publication.vectors.neighbours import Neighbours
    from trainer.fitting.embeddings import Embeddings, UserFeatureVectors
    from trainer.fitting.scores import UserScores
    from trainer.fitting.warm_start import ModelState
    from trainer.preparing.dataset import Dataset


class EnoughError(Exception):
    """Ends a fit after an epoch; the family returns the model as it is."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The size of the training data, from which a family chooses its settings.

    Attributes:
        users, items: with a training interaction or a feature.
        positives: pairs of a user and an item with a weight above 0.
        squares: the sum over users of the squared number of their positives, which is the number of
            pairs of items with a common user, each counted by users.
        is_weighted: whether any of these weights isn't 1.
        has_features: whether there are features of items or users.
    """

    users: int
    items: int
    positives: int
    squares: int = 0
    is_weighted: bool = False
    has_features: bool = False

    @classmethod
    def of(cls, dataset: Dataset) -> Shape:
        """Measure a dataset."""
        counts = np.diff(dataset.profiles().offsets)
        return cls(
            users=len(dataset.users),
            items=len(dataset.items),
            positives=int(counts.sum()),
            squares=int((counts**2).sum()),
            has_features=bool(dataset.item_feature_names or dataset.user_feature_names),
            is_weighted=bool(((dataset.train.data > 0) & (dataset.train.data != 1)).any()),
        )

    @property
    def per_user(self) -> float:
        """Return the mean number of positives of a user."""
        return self.positives / max(1, self.users)

    @property
    def per_item(self) -> float:
        """Return the mean number of positives of an item."""
        return self.positives / max(1, self.items)


def _go_on(epoch: int, scores: Callable[[], UserScores]) -> None:  # noqa: ARG001 - as in Fitting
    return


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """The circumstances of a fit, the same for all families.

    Attributes:
        seed: equal seeds, with one thread, make equal models.
        threads: the threads to use.
        sample_weights: whether the weights of interactions count, not only whether they are above 0.
        after_epoch: called after each epoch with its number, from 1, and a function that returns the
            scores of the model as it is. It may raise EnoughError. A family without epochs calls it
            once.
        start: the LightFM model of a warm start; None to start from random numbers.
    """

    seed: int = 42
    threads: int = 1
    sample_weights: bool = False
    after_epoch: Callable[[int, Callable[[], UserScores]], None] = _go_on
    start: LightFM | None = None


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A fitted model: either embeddings or neighbours.

    Attributes:
        embeddings: of items and users, by row.
        neighbours: the item-item matrix; the scores of a user are summed over `profiles`.
        profiles: for each user the item rows with a positive training interaction.
        model, state: the model of LightFM, and its state for a warm start.
        user_features: the vectors of user features.
        warnings: one sentence each.
    """

    embeddings: Embeddings | None = None
    neighbours: Neighbours | None = None
    profiles: Ragged | None = None
    model: LightFM | None = None
    state: ModelState | None = None
    user_features: UserFeatureVectors | None = None
    warnings: Sequence[str] = ()

    @property
    def scores(self) -> UserScores:
        """Return the scores of the users that the model was fitted for."""
        from trainer.fitting.scores import model_scores

        made = self.embeddings
        vectors = None if made is None else (made.item_vectors, made.user_vectors)
        return model_scores(vectors, self.neighbours, self.profiles)


def _with(settings: Any, given: Mapping[str, Any]) -> Any:
    """Return settings with others by name; those that all families have keep their defaults."""
    names = {own.name for own in fields(settings)} - {*COMMON}
    return type(settings)(**{**{name: getattr(settings, name) for name in names}, **given})


class Family(Protocol):
    """A family of models: one file of trainer.models, and a line in its registry.

    A family is a subclass. It may keep the methods that have a body here.

    Attributes:
        name: the value of --model.
        told: a few words for the help.
        settings: a frozen dataclass; each field is a hyperparameter, declared as an Option.
        libraries: the packages whose versions the manifest lists.
        package, extra: the module that a fit imports, and the extra that has it; "" for none.
        has_vectors: whether its models have vectors of items and users; else they have neighbours.
        uses_features, uses_weights: whether it learns from features, and from weights of interactions.
        promise: a search tries families of a higher number first; see the study in
            docs/explanation/choosing-a-model.md.
    """

    name: str
    told: str
    settings: type[Any]
    libraries: Sequence[str]
    package: str = ""
    extra: str = ""
    has_vectors: bool = True
    uses_features: bool = False
    uses_weights: bool = False
    promise: int = 0

    def is_installed(self) -> bool:
        """Return whether the package that a fit imports is there."""
        return not self.package or importlib.util.find_spec(self.package) is not None

    def problem(self, shape: Shape) -> str | None:  # noqa: ARG002 - subclasses use it
        """Return why the family can't be fitted to data of this shape; None if it can."""
        return None

    def default(self, shape: Shape) -> Any:  # noqa: ARG002 - subclasses use it
        """Return the settings for data of this shape."""
        return self.settings()

    def filled(self, shape: Shape, given: Mapping[str, Any]) -> Any:
        """Return the settings for data of this shape, with those that a user gave, by name."""
        return _with(self.default(shape), given)

    @abstractmethod
    def candidates(self, shape: Shape) -> Sequence[Any]:
        """Return the settings that a search tries, the most promising ones first; at least one."""

    def around(self, settings: Any) -> Sequence[Any]:  # noqa: ARG002 - subclasses use it
        """Return variations of settings, for the end of a search."""
        return []

    @abstractmethod
    def seconds(self, shape: Shape, settings: Any) -> float:
        """Estimate the duration of a fit on one slow core, in seconds."""

    def epochs(self, settings: Any) -> int:
        """Return the number of epochs of a fit; 1 for settings without epochs."""
        return int(getattr(settings, "epochs", 1))

    @abstractmethod
    def fit(self, dataset: Dataset, settings: Any, fitting: Fitting) -> Fitted:
        """Fit a model.

        Raises:
            TrainerError: the model can't be fitted to this data, or can't be served.
        """
