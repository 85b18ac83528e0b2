"""The protocol of a model of any kind: it makes queries of subjects, and ranks items by them.

A version has a model of one kind: vectors (`vector_model.py`) or neighbours of items
(`neighbour_model.py`). No other module of this package needs to know which one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.search_effort import Way
from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from retriever.answer_words import Source
from retriever.answering.questions import Checkpoint
from retriever.answering.search import Found, Wanted

ZERO = np.float32(0)
MAX_CONTRIBUTIONS = 3
"""The largest number of contributions in an explanation."""


class Subject(msgspec.Struct, frozen=True):
    """A subject that was looked up in a snapshot.

    Attributes:
        source: how the answer is ranked.
        query: the input of the model's ranker; None when the source is POPULAR.
        constant: added to each score: the user's bias.
        own: rows of the user's seen items, or of the items of the request, ascending.
        unknown: the ids that the version doesn't have.
        parts: makes the input of `Model.explain`; None when the source is POPULAR.
        empty: whether the query ranks no item at all.
        way: the way of asking, if seen items are left out.
    """

    source: Source
    query: Any
    constant: np.float32
    own: NDArray[np.int32]
    unknown: Sequence[str]
    parts: Callable[[], Any] | None = None
    empty: bool = False
    way: Way = "usual"


@dataclass(frozen=True)
class ScoreParts:
    """The parts of a score: the largest contributions by name, each above 0, and the sum of biases."""

    contributions: Sequence[tuple[str, float]] = ()
    bias: float = 0.0
    of_features: bool = False


class KnownItems(msgspec.Struct, frozen=True):
    """Items of a request that the version has.

    Attributes:
        ids, rows: (n,) of the items with a weight above 0, each once, in the order of the request.
        weights: (n,) float32, their weights, the largest 1.
        own: rows of all known items, ascending.
        unknown: ids that the version doesn't have.
        field: the field of the request, for error messages.
    """

    ids: list[str]
    rows: Rows
    weights: Float32Array
    own: NDArray[np.int32]
    unknown: list[str]
    field: str


class Ranker(Protocol):
    """Ranks items for the queries of one model."""

    def find(self, query: Any, wanted: Wanted, checkpoint: Checkpoint) -> Found:
        """Find the best items for a query. Returns fewer only if no more may be returned."""

    def scores(self, query: Any, rows: Rows) -> Float32Array:
        """Return the exact scores of some rows."""

    def microseconds(self, items: int) -> float:
        """Estimate the time of a search for ten results, for a subject of so many items."""


class Model(Protocol):
    """Makes the queries of subjects.

    Attributes:
        recommend, similar: rank items by the queries of users, and by those of items.
        has_features: whether features of users can be subjects.
    """

    @property
    def recommend(self) -> Ranker:
        """See the class."""

    @property
    def similar(self) -> Ranker:
        """See the class."""

    @property
    def has_features(self) -> bool:
        """See the class."""

    def user(self, row: int) -> Subject:
        """Make the query of a user of the version."""

    def session(self, items: KnownItems) -> Subject:
        """Make the query of a session. Raises NotPublishedError."""

    def features(self, rows: Mapping[str, int], unknown: Sequence[str]) -> Subject:
        """Make the query of features by their rows; never called without `has_features`."""

    def item(self, item_id: str, row: int) -> Subject:
        """Make the query for items like one item."""

    def alike(self, items: KnownItems) -> Subject:
        """Make the query for items like several. Raises InvalidArgumentError if there is none."""

    def explain(self, parts: Any, rows: Rows) -> Sequence[ScoreParts]:
        """Explain the scores of rows by the parts of a query."""

    def embeddings(self, rows: Rows) -> Float32Array:
        """Return vectors of items, to tell how they differ. NotPublishedError if there are none."""


def largest(names: Sequence[str], contributions: Float32Array) -> list[tuple[str, float]]:
    """Return the largest contributions (n,) above 0 with their names, the largest first."""
    order = np.argsort(-contributions, kind="stable")[:MAX_CONTRIBUTIONS]
    own = ((names[place], float(contributions[place])) for place in order.tolist())
    return [both for both in own if both[1] > 0]
