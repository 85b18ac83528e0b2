"""Creates requests for benchmarks of large publications, and computes the right answers.

NumPy computes exact answers from the served vectors. An item of an answer counts as found if its exact
score is at least that of the tenth best allowed item.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import reader
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import (
    Float32Array,
    row_norms,
    split_biases,
    unit_rows,
    user_queries,
)
from tests.benchmarks.asking import BATCH
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.large import TENTHS, Large

KINDS = ("recommend", "similar", "filtered", "session", "batch")
LIMIT = 10
SESSION = 10

_REQUESTS = 20_000
_BATCHES = 500
# Scores count as equal within this difference, relative to the norms of item and query.
TIE = 1e-6


@dataclass(frozen=True)
class Asked:
    """One requested list of results."""

    query: Float32Array  # (d,) query vector
    excluded: NDArray[np.integer]  # rows of excluded items


@dataclass(frozen=True)
class Kind:
    """One kind of call."""

    name: str  # one of KINDS
    method: str  # method of the service
    # Serialized, at random; more than a processor's cache can hold the answers of.
    requests: Sequence[bytes]
    answers: int  # lists of results in a call
    asked: Sequence[Asked]  # the lists that the first requests ask for, `answers` of each
    allowed: NDArray[np.bool_] | None = None  # (items,) the allowed items; None for all
    cosine: bool = False  # whether scores are cosines

    @property
    def measured(self) -> int:
        """Number of first requests that measure recall."""
        return len(self.asked) // self.answers


class Questions:
    """Requests of all kinds for a publication, and the right answers to `queries` lists of each kind.

    Raises:
        BenchmarkError: no user has seen enough items for a session.
        PublicationError: the publication can't be opened.
    """

    def __init__(self, large: Large, *, queries: int, seed: int) -> None:
        self._publication = reader.open_publication(large.volume, large.version)
        self._queries = queries
        self._seed = seed

    def kind(self, name: str) -> Kind:
        """Return a kind of call, one of KINDS."""
        made: Kind = getattr(self, f"_{name}")()
        return made

    def found(self, kind: Kind, replies: Sequence[bytes]) -> float:
        """Return recall@10 of the replies to the first requests.

        Raises:
            BenchmarkError: a reply has an error, or an unknown item.
        """
        items = self._publication.items
        rows = [_rows(items, answer) for reply in replies for answer in _answers(kind, reply)]
        vectors = self._publication.item_vectors
        if kind.cosine:
            vectors = unit_rows(split_biases(vectors)[0])
        norms = row_norms(vectors)
        found = wanted = 0
        for one, returned in zip(kind.asked, rows, strict=False):
            scores = vectors @ one.query
            scores[one.excluded] = -np.inf
            if kind.allowed is not None:
                scores[~kind.allowed] = -np.inf
            slack = TIE * float(np.linalg.norm(one.query)) * norms[returned]
            hits, possible = among_the_best(scores, returned, LIMIT, slack)
            found, wanted = found + hits, wanted + possible
        return found / wanted if wanted else 1.0

    def _recommend(self, name: str = "recommend", allowed: Any = None, **wanted: Any) -> Kind:
        rows = self._draw(len(self._publication.users), _REQUESTS)
        requests = [
            pb.RecommendRequest(user_id=user, **wanted).SerializeToString()
            for user in self._users(rows)
        ]
        return Kind(name, "Recommend", requests, 1, self._of_users(rows), allowed)

    def _batch(self) -> Kind:
        rows = self._draw(len(self._publication.users), _BATCHES * BATCH)
        users = self._users(rows)
        requests = [
            pb.BatchRecommendRequest(
                requests=[pb.RecommendRequest(user_id=user) for user in users[start : start + BATCH]]
            ).SerializeToString()
            for start in range(0, len(users), BATCH)
        ]
        batches = -(-self._queries // BATCH)
        asked = self._of_users(rows, batches * BATCH)
        return Kind("batch", "BatchRecommend", requests, BATCH, asked)

    def _filtered(self) -> Kind:
        attributes = self._publication.attributes
        if attributes is None or (position := attributes.position("tenth")) is None:
            raise BenchmarkError(f"{self._publication.directory} has no attribute 'tenth' for filters")
        wanted = TENTHS[0]
        token = attributes.token(position, wanted)
        allowed = np.zeros(len(self._publication.items), dtype=bool)
        allowed[[] if token is None else attributes.items_with(token)] = True
        condition = pb.Condition(attribute="tenth", any_of=pb.Values(values=[wanted]))
        return self._recommend("filtered", allowed, filter=pb.Filter(conditions=[condition]))

    def _similar(self) -> Kind:
        publication = self._publication
        rows = self._draw(len(publication.items), _REQUESTS)
        requests = [
            pb.SimilarItemsRequest(item_id=publication.items.external_id(row)).SerializeToString()
            for row in rows.tolist()
        ]
        chosen = rows[: self._queries]
        queries = unit_rows(split_biases(publication.item_vectors[chosen])[0])
        asked = [Asked(query, np.array([row])) for query, row in zip(queries, chosen, strict=True)]
        return Kind("similar", "SimilarItems", requests, 1, asked, cosine=True)

    def _session(self) -> Kind:
        publication = self._publication
        enough = np.flatnonzero(np.diff(publication.seen.offsets) >= SESSION)
        if publication.fold_in is None or not len(enough):
            raise BenchmarkError(f"no user of {publication.directory} has seen {SESSION} items")
        random = np.random.default_rng([self._seed, 1])
        sessions = [
            random.choice(publication.seen[row], SESSION, replace=False)
            for row in enough[self._draw(len(enough), _REQUESTS)].tolist()
        ]
        requests = [
            pb.RecommendRequest(
                session=pb.WeightedItems(
                    item_ids=[publication.items.external_id(row) for row in rows.tolist()]
                )
            ).SerializeToString()
            for rows in sessions
        ]
        fold_in = FoldIn(publication.fold_in)
        embeddings, _ = split_biases(publication.item_vectors)
        ones = np.ones(SESSION, dtype=np.float32)
        asked = [
            Asked(np.append(fold_in.parts(embeddings[rows], ones).sum(axis=0), np.float32(1)), rows)
            for rows in sessions[: self._queries]
        ]
        return Kind("session", "Recommend", requests, 1, asked)

    def _draw(self, count: int, most: int) -> NDArray[np.int64]:
        """Draw rows below `count`; repeats rows if there are fewer than requested."""
        random = np.random.default_rng([self._seed, count])
        return (
            np.resize(random.permutation(count), most)
            if count < most
            else random.choice(count, most, replace=False)
        )

    def _users(self, rows: NDArray[np.int64]) -> list[str]:
        return [self._publication.users.external_id(row) for row in rows.tolist()]

    def _of_users(self, rows: NDArray[np.int64], count: int | None = None) -> list[Asked]:
        chosen = rows[: count or self._queries]
        queries = user_queries(self._publication.user_vectors[chosen])
        return [
            Asked(query, self._publication.seen[row])
            for query, row in zip(queries, chosen.tolist(), strict=True)
        ]


def among_the_best(
    scores: Float32Array, returned: NDArray[np.integer], count: int, slack: Float32Array
) -> tuple[int, int]:
    """Return how many of the returned rows are among the `count` best, and the number of best rows.

    Args:
        scores: (items,) exact scores, -inf for items that aren't allowed.
        returned: rows of the answer.
        count: number of best rows.
        slack: (items,) how far a row's score may be below the last of the best. So items with equal
            scores can replace each other.
    """
    possible = min(count, int(np.isfinite(scores).sum()))
    if not possible:
        return 0, 0
    least = np.partition(scores, len(scores) - possible)[len(scores) - possible]
    good = returned[scores[returned] >= least - slack]
    return min(len(np.unique(good)), possible), possible


def _answers(kind: Kind, reply: bytes) -> list[pb.RecommendResponse | pb.SimilarItemsResponse]:
    if kind.method == "SimilarItems":
        return [pb.SimilarItemsResponse.FromString(reply)]
    if kind.method == "Recommend":
        return [pb.RecommendResponse.FromString(reply)]
    results = pb.BatchRecommendResponse.FromString(reply).results
    for result in results:
        if result.HasField("error"):
            raise BenchmarkError(f"a batch has an error: {result.error.message}")
    return [result.response for result in results]


def _rows(items: IdMap, answer: pb.RecommendResponse | pb.SimilarItemsResponse) -> NDArray[np.int64]:
    rows = [items.row(item.item_id) for item in answer.items]
    if None in rows:
        raise BenchmarkError("an answer has an item that isn't in the publication")
    return np.array(rows, dtype=np.int64)
