"""Measure recall and latency of Recommend with filters, next to unfiltered search in the same run.

    python -m tests.benchmarks.filters --items 100000 --backend annoy

Item vectors are interpolated between random pairs of MovieLens 100K's factors, so they form clusters.
Queries are users. The index is tuned to recall@10 of 0.95, as in publishing, and the version is
published and opened, so that its files are mapped.

Each filter matches 50 %, 10 %, 1 % or 0.1 % of the items, in one of three ways:

    at random   a text attribute of random items
    near        a text attribute of the items near a few items: of most users, no best item matches,
                but of some, all do
    number      a range of a number

All queries run in this process on one thread. Recall is relative to exact search among the matching
items.
"""

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import Column, NumberColumn, TextColumn
from lightfm_retriever.publication.storage.ragged import empty as no_rows
from lightfm_retriever.publication.vectors.vector_space import Float32Array, row_norms, split_biases
from retriever.answering.questions import (
    AS_TUNED,
    AnyCondition,
    NumberCondition,
    Options,
    Search,
    ValueCondition,
)
from retriever.answering.snapshot import Snapshot, open_snapshot
from tests import retrievable
from tests.benchmarks import frame, indexes, large
from tests.benchmarks.questions import TIE, among_the_best
from tests.machine import machine_name
from trainer.fitting.embeddings import Embeddings
from trainer.index import NAMES
from trainer.progress import Silent

SHARES = (0.5, 0.1, 0.01, 0.001)
LIMIT = 10
WARM_UP = 20
_ANCHORS = 20


@dataclass(frozen=True)
class Kind:
    """One kind of query: its name, its options, and the items that match."""

    name: str
    share: float
    options: Options
    matching: NDArray[np.bool_]


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument("--items", type=int, default=100_000, help="items (default: 100000)")
    parser.add_argument("--backend", choices=NAMES, default="annoy", help="index (default: annoy)")
    parser.add_argument("--queries", type=int, default=300, help="at most 500 (default: 300)")
    parser.add_argument("--seed", type=int, default=42, help="random seed (default: 42)")
    options = parser.parse_args()
    vectors, users = indexes.make("interpolated", options.items, options.seed)
    users = users[: options.queries]
    with tempfile.TemporaryDirectory() as temporary:
        columns, kinds = make_kinds(vectors, options.seed)
        volume, embeddings = Path(temporary), Embeddings(vectors, users)
        content = large.publishable("with filters", embeddings, no_rows(len(users)), columns)
        manifest = large.published(volume, content, options.backend, options.seed, Silent())
        snapshot = open_snapshot(volume, manifest.version)
        with threadpool_limits(1):
            results = [measure(snapshot, kind, users) for kind in kinds]
    facts = manifest.indexes[layout.RECOMMEND]
    title = (
        f"{len(vectors):,} vectors of {vectors.shape[1]} dimensions; "
        f"{facts.backend} {indexes.settings(facts)}, "
        f"recall@10 {facts.recall_at_10:.4f} when tuned; {machine_name()}"
    )
    frame.report(
        options,
        frame.table(title, map(_row, results)),
        vectors=vectors.shape,
        index=asdict(facts),
        results=results,
    )


def make_kinds(vectors: Float32Array, seed: int) -> tuple[list[Column], list[Kind]]:
    """Return the attributes to publish, and all kinds of query."""
    random = np.random.default_rng(seed)
    count = len(vectors)
    everything = np.ones(count, dtype=bool)
    kinds = [
        Kind(name, 1.0, Options(limit=LIMIT, search=search), everything)
        for name, search in (("no filter", AS_TUNED), ("no filter, exact", Search(exact=True)))
    ]
    anchors = split_biases(vectors)[0][random.choice(count, _ANCHORS, replace=False)]
    nearness = (split_biases(vectors)[0] @ anchors.T).max(axis=1)
    numbers = random.random(count)
    columns: list[Column] = []
    for name, order in (
        ("at random", random.permutation(count)),
        ("near", np.argsort(-nearness)),
    ):
        place = np.empty(count, dtype=np.int64)
        place[order] = np.arange(count)
        values: list[list[str]] = [[] for _ in range(count)]
        for share in SHARES:
            matching = place < share * count
            for row in np.flatnonzero(matching).tolist():
                values[row].append(f"{share:g}")
            kinds.append(_kind(name, share, ValueCondition(name, "any", [f"{share:g}"]), matching))
        columns.append(TextColumn(name, values))
    columns.append(NumberColumn("number", numbers))
    kinds.extend(
        _kind("number", share, NumberCondition("number", max=share), numbers <= share)
        for share in SHARES
    )
    return columns, kinds


def _kind(name: str, share: float, condition: AnyCondition, matching: NDArray[np.bool_]) -> Kind:
    return Kind(name, share, Options(limit=LIMIT, conditions=[condition]), matching)


def measure(snapshot: Snapshot, kind: Kind, users: Float32Array) -> dict[str, Any]:
    """Query for every user, after a warm-up with a few users."""
    # The id map may number the users in another order.
    user_ids = [snapshot.publication.users.external_id(row) for row in range(len(users))]
    for user_id in user_ids[:WARM_UP]:
        retrievable.recommend(snapshot, user_id, kind.options)
    answers = []
    nanoseconds = []
    for user_id in user_ids:
        started = time.perf_counter_ns()
        answers.append(retrievable.recommend(snapshot, user_id, kind.options))
        nanoseconds.append(time.perf_counter_ns() - started)
    vectors = snapshot.publication.item_vectors
    found = wanted = 0
    for user, answer in zip(users, answers, strict=True):
        assert kind.matching[answer.rows].all()
        query = np.append(user[:-1], np.float32(1))
        scores = np.where(kind.matching, vectors @ query, -np.inf)
        slack = TIE * float(np.linalg.norm(query)) * row_norms(vectors[answer.rows])
        hits, possible = among_the_best(scores, answer.rows, LIMIT, slack)
        found, wanted = found + hits, wanted + possible
    p50, p99 = (float(value) / 1000 for value in np.percentile(nanoseconds, [50, 99]))
    return {
        "kind": kind.name,
        "share": kind.share,
        "recall_at_10": found / wanted,
        "p50_microseconds": p50,
        "p99_microseconds": p99,
        "by_index": float(np.mean([not answer.exact for answer in answers])),
        "candidates": float(np.mean([answer.candidates for answer in answers])),
        "shortest": min(len(answer.rows) for answer in answers),
    }


def _row(result: dict[str, Any]) -> dict[str, str]:
    return {
        "filter": result["kind"],
        "lets through": f"{result['share'] * 100:g} %",
        "recall@10": f"{result['recall_at_10']:.4f}",
        "p50 µs": f"{result['p50_microseconds']:,.0f}",
        "p99 µs": f"{result['p99_microseconds']:,.0f}",
        "by index": f"{result['by_index']:.0%}",
        "exactly": f"{1 - result['by_index']:.0%}",
        "candidates": f"{result['candidates']:,.0f}",
        "fewest results": str(result["shortest"]),
    }


if __name__ == "__main__":
    frame.run(main)
