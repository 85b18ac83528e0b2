"""Facts about an index in the manifest: its build, its queries, and its measured recall and speed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from lightfm_retriever.publication import layout

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Duration = Annotated[float, msgspec.Meta(ge=0)]
Scalar = str | bool | int | float | None

TUNED_FOR = 10
"""The number of results that the settings of an index were tuned for: recall@10."""

MAX_EFFORT = 1e9
"""The largest effort in `depths`: multiplied by a request's search_effort, it is still finite."""

Effort = Annotated[float, msgspec.Meta(gt=0, le=MAX_EFFORT)]

USUAL = {layout.SIMILAR: "item", layout.RECOMMEND: "known"}
"""For each index, the name of the usual way of asking: IndexFacts itself describes that one."""


@dataclass(frozen=True, kw_only=True)
class MeasuredSetting:
    """One measured setting of a backend: a point on its curve of recall against time."""

    backend: str
    build: dict[str, Scalar]
    query: dict[str, Scalar]
    recall_at_10: Share
    query_microseconds: Duration


@dataclass(frozen=True, kw_only=True)
class Depth:
    """The effort, relative to the tuned one, that finds a share `recall` of the nearest `results`."""

    results: Positive
    effort: Effort
    recall: Share


@dataclass(frozen=True, kw_only=True)
class WayFacts:
    """The effort of an index in another way of asking than the usual one, and its recall then.

    Attributes:
        recall_at_10, query_microseconds: as in IndexFacts, for this way.
        effort: the effort for ten results, relative to the tuned one; None if all items are scored
            instead, because the index reaches the target no faster than that.
        depths: as in IndexFacts; empty without an effort.
    """

    recall_at_10: Share
    query_microseconds: Duration
    effort: Effort | None
    depths: list[Depth]


@dataclass(frozen=True, kw_only=True)
class IndexFacts:
    """How an index was built, how to query it, and its measured recall and speed.

    Attributes:
        dimensions: dimensions of the indexed vectors, after any transform.
        recall_at_10: the share of the true ten nearest that a query of the retriever finds, asked in
            the usual way.
        query_microseconds: median duration of such a search, on one thread of the machine that built
            it.
        target_recall: the recall that the settings were tuned for, None if they weren't tuned.
        trials: all measured settings, in the order of measurement, including the chosen one.
        build_seconds: time for building and saving the chosen index.
        depths: the effort for more than ten results, in ascending order, as long as the index reaches
            the target faster than exact search.
        ways: the other ways of asking, by name (see search_effort); empty in older versions, whose
            every question is answered with the tuned effort.
    """

    backend: str
    metric: str
    dimensions: Positive
    items: Positive
    file: str | None
    build: dict[str, Scalar]
    query: dict[str, Scalar]
    recall_at_10: Share
    query_microseconds: Duration
    # The same for a query of exactly ten candidates.
    bare_recall_at_10: Share
    bare_query_microseconds: Duration
    target_recall: Share | None = None
    trials: list[MeasuredSetting] = field(default_factory=list)
    build_seconds: Duration = 0.0
    depths: list[Depth] = field(default_factory=list)
    ways: dict[str, WayFacts] = field(default_factory=dict)

    @property
    def worst_recall_at_10(self) -> float:
        """The lowest recall of all measured ways of asking."""
        return min([self.recall_at_10, *(way.recall_at_10 for way in self.ways.values())])

    @property
    def worst_way(self) -> str | None:
        """The way of asking with the lowest recall; None if it is the usual one."""
        if self.worst_recall_at_10 == self.recall_at_10:
            return None
        return min(self.ways, key=lambda name: self.ways[name].recall_at_10)

    def recalls(self, name: str) -> dict[str, float]:
        """Return the measured recall by way of asking, the usual one first; `name` is the index's."""
        others = {way: facts.recall_at_10 for way, facts in self.ways.items()}
        return {USUAL.get(name, name): self.recall_at_10, **others}
