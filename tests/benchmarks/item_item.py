"""Compare an item-item model with its factors: quality, CPU of a call, memory and files.

    python -m tests.benchmarks.item_item
    python -m tests.benchmarks.item_item --items 100000 --factors 64

EASE is fitted to MovieLens 100K (positives, a random fifth held out). It is served as neighbours, and
as vectors: the singular value decomposition W = U S V' gives each item the vector sqrt(S) V, and each
user the sum of sqrt(S) U of the items seen. One worker serves each version. One caller calls all of
them in turn, so that a slower machine slows all of them: look at the ratios to the first factors.
NDCG@10 is of the answers of each version for the held-out positives, without seen items.

With --items, neighbours, seen items and vectors are drawn at random: there only costs can be compared.
"""

import argparse
import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.manifest import DatasetFacts
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from retriever.answering import queries
from retriever.answering.questions import Options
from retriever.answering.snapshot import Snapshot, open_snapshot
from tests import item_item, movielens
from tests.benchmarks import asking, frame
from tests.benchmarks.asking import Plan, Server
from tests.benchmarks.figures import Figures, Ratio
from tests.machine import machine_name
from tests.service import Service
from trainer.fitting.embeddings import Embeddings
from trainer.index import make_backends
from trainer.index.tuning import TuningOptions
from trainer.preparing.dataset import build_dataset
from trainer.preparing.splits import Splitting
from trainer.progress import Silent
from trainer.publishing.publish import Indexing, publish
from trainer.publishing.publishable import Publishable
from trainer.timings import Timings

NEIGHBOURS = "neighbours"
_PENALTY = 250.0
_SESSION = 10
_REQUESTS = 500
_TASTES = 8
_WARM_UP_SECONDS = 0.5


@dataclass(frozen=True)
class Served:
    """A version: its NDCG@10, the recall of its index, its bytes, and a worker's memory."""

    name: str
    ndcg_at_10: float | None
    recall_at_10: float | None
    file_megabytes: float
    pss_megabytes: float


@dataclass(frozen=True)
class Cost:
    """The calls of one kind to one version; the ratio of CPU time is to the first factors."""

    kind: str
    name: str
    figures: Figures
    cpu: Ratio


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument("--items", type=frame.positive, help="make up a catalogue of this size")
    parser.add_argument("--users", type=frame.positive, default=2000, help="made-up users")
    parser.add_argument("--keep", type=frame.positive, default=300, help="neighbours of an item")
    parser.add_argument(
        "--factors", type=frame.positive, nargs="+", default=[64, 128, 256], help="dimensions"
    )
    parser.add_argument("--backend", default="auto", help="backend of the indexes (default: auto)")
    parser.add_argument("--rounds", type=frame.positive, default=5, help="rounds of each kind")
    parser.add_argument("--seconds", type=frame.above_0, default=4.0, help="seconds of each round")
    options = parser.parse_args()
    source = from_movielens(options.keep) if options.items is None else made_up(options)
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        place = Path(temporary)
        sources = {NEIGHBOURS: source} | {
            f"factors-{own}": factors(source, own) for own in options.factors
        }
        services = {}
        for name, own in sources.items():
            promote(place / name, publish_version(own, place / name, options.backend))
            service = Service(place / name, place / f"{name}.log", workers=1)
            services[name] = stack.enter_context(service)
        versions = [
            measured(name, sources[name], place / name, service) for name, service in services.items()
        ]
        costs = [*compared(services, requests_of(source), place, options)]
    title = (
        f"{len(source.items):,} items, {options.keep} neighbours each, "
        f"{len(source.seen.values) / len(source.users):.0f} seen items a user; {machine_name()}; "
        f"{options.rounds} rounds of {options.seconds:g} s"
    )
    frame.report(
        options,
        title,
        frame.table("Versions", map(_version_row, versions)),
        frame.table("Calls", map(_cost_row, costs)),
        versions=[asdict(own) for own in versions],
        costs=[asdict(own) for own in costs],
    )


def from_movielens(keep: int) -> Publishable:
    """Fit EASE to MovieLens 100K, without a fifth of the interactions."""
    read = movielens.read()
    dataset = build_dataset(
        read.interactions, items=read.items, users=read.users, splitting=Splitting("random", 42)
    )
    seen = dataset.seen()
    return Publishable(
        items=dataset.items,
        users=dataset.users,
        neighbours=item_item.ease(seen, len(dataset.items), penalty=_PENALTY, keep=keep),
        profiles=seen,
        family="ease",
        seen=seen,
        held_out=dataset.held_out(),
        facts=_facts("MovieLens 100K"),
    )


def made_up(options: argparse.Namespace) -> Publishable:
    """Draw neighbours and seen items; of both, popular items are more."""
    random, items = np.random.default_rng(1), options.items
    drawn = (items * random.random((items, options.keep)) ** 2).astype(np.int32)
    owners = np.repeat(np.arange(items), options.keep)
    other = drawn.ravel() != owners
    rows = ragged.of_pairs(owners[other], drawn.ravel()[other].astype(np.int64), items)
    weights = random.normal(0.02, 0.05, len(rows.values)).astype(np.float32)
    counts = random.integers(1, 100, options.users)
    users = np.repeat(np.arange(options.users), counts)
    chosen = (items * random.random(len(users)) ** 2).astype(np.int64)
    seen = ragged.of_pairs(users, chosen, options.users)
    return Publishable(
        items=IdMap.build([f"item-{row}" for row in range(items)]),
        users=IdMap.build([f"user-{row}" for row in range(options.users)]),
        neighbours=Neighbours(rows, weights),
        profiles=seen,
        family="ease",
        seen=seen,
        facts=_facts("made up"),
    )


def factors(source: Publishable, dimensions: int) -> Publishable:
    """Turn an item-item model into vectors; those of a made-up one are drawn."""
    neighbours, items = source.neighbours, len(source.items)
    assert neighbours is not None
    if source.held_out is None:
        # Of a few hidden tastes, since no index finds its way among vectors without any order.
        random = np.random.default_rng(2)
        tastes = random.normal(size=(_TASTES, dimensions))
        left, right = (
            random.normal(size=(items, _TASTES)) @ tastes
            + 0.2 * random.normal(size=(items, dimensions))
            for _ in range(2)
        )
    else:
        rows = neighbours.rows
        matrix = sp.csr_matrix((neighbours.weights, rows.values, rows.offsets), shape=(items, items))
        u, sizes, v = np.linalg.svd(matrix.toarray().astype(np.float64))
        roots = np.sqrt(sizes[:dimensions])
        left, right = u[:, :dimensions] * roots, v[:dimensions].T * roots
    ones = np.ones(len(source.seen.values))
    shape = (len(source.users), items)
    users = sp.csr_matrix((ones, source.seen.values, source.seen.offsets), shape=shape) @ left
    return replace(
        source,
        embeddings=Embeddings(*(_without_bias(own) for own in (right, users))),
        neighbours=None,
        profiles=None,
    )


def publish_version(source: Publishable, volume: Path, backend: str) -> str:
    """Publish to a volume, and return the version."""
    indexing = Indexing(backends=make_backends(backend), options=TuningOptions(seed=42, threads=1))
    made = publish(source, volume, indexing=indexing, timings=Timings(), reporter=Silent())
    return made.manifest.version


def measured(name: str, source: Publishable, volume: Path, service: Service) -> Served:
    """Measure the answers and the memory of a version that is served."""
    status = service.wait_until(lambda status: status.version and status.workers[0].pss_bytes)
    snapshot = open_snapshot(volume, status.version)
    facts = snapshot.publication.manifest
    recalls = [index.recall_at_10 for key, index in facts.indexes.items() if key == "recommend"]
    return Served(
        name,
        None if source.held_out is None else _ndcg(snapshot, source.held_out),
        recalls[0] if recalls else None,
        sum(file.size for file in facts.files.values()) / 1e6,
        service.status().workers[0].pss_bytes / 1e6,
    )


def requests_of(source: Publishable) -> Mapping[str, tuple[str, list[bytes]]]:
    """Return of each kind of call the method and requests."""
    random = np.random.default_rng(3)
    users = random.permutation(np.flatnonzero(np.diff(source.seen.offsets)))[:_REQUESTS].tolist()
    items = random.permutation(len(source.items))[:_REQUESTS].tolist()
    name = source.items.external_id
    sessions = [[name(row) for row in source.seen[user][:_SESSION].tolist()] for user in users]
    of_users = [pb.RecommendRequest(user_id=source.users.external_id(user)) for user in users]
    of_sessions = [pb.RecommendRequest(session={"item_ids": own}) for own in sessions]
    of_items = [pb.SimilarItemsRequest(item_id=name(row)) for row in items]
    return {
        "recommend": ("Recommend", [one.SerializeToString() for one in of_users]),
        "session": ("Recommend", [one.SerializeToString() for one in of_sessions]),
        "similar": ("SimilarItems", [one.SerializeToString() for one in of_items]),
    }


def compared(
    services: Mapping[str, Service],
    requests: Mapping[str, tuple[str, list[bytes]]],
    place: Path,
    options: argparse.Namespace,
) -> Iterator[Cost]:
    """Call all services in turn with each kind of call, and yield what each took."""
    servers = [Server(own.target, own.worker_pids()) for own in services.values()]
    for kind, (method, own) in requests.items():
        path = asking.write_requests(place / kind, own)
        plan = Plan(method=method, seconds=options.seconds, requests=path, callers=1)
        # In the first calls code is still being imported and compiled.
        asking.ask(servers, msgspec.structs.replace(plan, seconds=_WARM_UP_SECONDS))
        rounds = [asking.ask(servers, plan) for _ in range(options.rounds)]
        base = [one[1].cpu_microseconds for one in rounds]
        for number, name in enumerate(services):
            calls = [one[number] for one in rounds]
            cpu = Ratio.of([one.cpu_microseconds for one in calls], [max(one, 1e-3) for one in base])
            yield Cost(kind, name, Figures.of(*calls), cpu)


def _ndcg(snapshot: Snapshot, held_out: Ragged) -> float:
    """Return the mean NDCG@10 of the answers over users with a held-out positive."""
    discounts = 1 / np.log2(np.arange(2, 12))
    found = []
    for row in np.flatnonzero(np.diff(held_out.offsets)).tolist():
        user_id = snapshot.publication.users.external_id(row)
        plan = queries.plan_recommend(snapshot, user_id, Options())
        rows = queries.answer(snapshot, plan).rows
        hits = np.isin(rows, held_out[row])
        found.append((hits @ discounts[: len(rows)]) / discounts[: min(10, len(held_out[row]))].sum())
    return float(np.mean(found))


def _without_bias(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.concatenate([vectors, np.zeros((len(vectors), 1))], axis=1).astype(np.float32)


def _facts(name: str) -> DatasetFacts:
    return DatasetFacts(
        name=name,
        split="random",
        train_interactions=0,
        test_interactions=0,
        item_features=[],
        user_features=[],
    )


def _version_row(own: Served) -> dict[str, str]:
    return {
        "version": own.name,
        "NDCG@10": "-" if own.ndcg_at_10 is None else f"{own.ndcg_at_10:.4f}",
        "recall@10": "exact" if own.recall_at_10 is None else f"{own.recall_at_10:.4f}",
        "files, MB": f"{own.file_megabytes:.1f}",
        "worker, MB (PSS)": f"{own.pss_megabytes:.0f}",
    }


def _cost_row(own: Cost) -> dict[str, str]:
    return {
        "call": own.kind,
        "version": own.name,
        "CPU µs a call": f"{own.figures.cpu_microseconds:.0f}",
        "to the first factors": str(own.cpu),
        "p50 ms": f"{own.figures.p50_milliseconds:.3f}",
        "p99 ms": f"{own.figures.p99_milliseconds:.3f}",
    }


if __name__ == "__main__":
    frame.run(main)
