"""Measure recall@10 and latency for each way of asking, as a retriever answers it.

    python -m tests.benchmarks.recall --items 100000 --backends annoy,faiss,nmslib

Items and users are those of MovieLens 100K, trained with user features. More of them are interpolated
between random pairs. A user has seen items near those of the nearest MovieLens user. The trainer's code
tunes the index to recall@10 of 0.95 and publishes a version for each backend. With --volume, vectors
and seen items are those of the version that a volume's label `current` names.

The retriever's own code answers, on one thread. Each question is asked with the effort of its way, and
with the effort that was tuned for known users, as for a version that lacks the others. Each answer is
compared with exact search among the items that may be returned. An item with the score of the last
expected one counts as expected.

    known                known users, without the items that they have seen
    known, seen          known users, with these items
    session              1 to 100 items of one user, without these items
    session, seen        the same, with these items
    features             one to three user features of different columns
    limit N              known users, N results
    session, limit N     sessions, N results
    random S             known users, a condition that a share S of random items meets
    near S               the same, of items that are near each other
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from lightfm_retriever.publication import labels, layout, reader
from lightfm_retriever.publication.manifest import Manifest
from retriever.answering.questions import Options, UserFeatures, UserSubject, WeightedItems
from retriever.answering.snapshot import Snapshot, open_snapshot
from retriever.worker.online_recall import compare
from tests import retrievable
from tests.benchmarks import filters, frame, indexes, large
from tests.machine import machine_name
from trainer.data import movielens
from trainer.data.features import FeatureTable
from trainer.fitting.embeddings import Embeddings, extract_embeddings, learned
from trainer.fitting.lightfm_model import Hyperparameters, train
from trainer.fitting.warm_start import state_of
from trainer.index import make_backends
from trainer.index.tuning import TuningOptions
from trainer.preparing.dataset import build_dataset
from trainer.preparing.splits import Splitting
from trainer.publishing.publish import Indexing, publish
from trainer.publishing.publishable import Publishable
from trainer.report.subject import interpolated
from trainer.timings import Timings

LIMITS = (10, 50, 100, 500)
SHARES = (0.5, 0.1, 0.01)
LONGEST = 100
USER_FEATURES = ("gender", "occupation", "age")
_FILTER_SEED = 7


@dataclass(frozen=True)
class Asked:
    """A way of asking: its name, subjects and options."""

    name: str
    subjects: Sequence[UserSubject]
    options: Options


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument("--items", type=int, default=100_000, help="items (default: 100000)")
    parser.add_argument("--users", type=int, default=20_000, help="users (default: 20000)")
    parser.add_argument("--backends", default="annoy", help="comma-separated names (default: annoy)")
    parser.add_argument("--volume", type=Path, help="volume with the content to publish instead")
    parser.add_argument(
        "--folder", type=Path, help="volume to publish to; its versions are measured if it has some"
    )
    parser.add_argument("--queries", type=int, default=500, help="of each way (default: 500)")
    parser.add_argument("--seed", type=int, default=42, help="random seed (default: 42)")
    options = parser.parse_args()
    tables, versions = [], []
    with large.kept_in(options.folder) as folder:
        for manifest, snapshot in opened(options, folder):
            with threadpool_limits(1):
                results = [measure(snapshot, way) for way in ways(snapshot, options)]
            facts = manifest.indexes[layout.RECOMMEND]
            name = facts.backend
            seconds = manifest.run.seconds.get("index", 0.0)
            tables.append(
                frame.table(
                    f"{facts.items:,} items; {name} {indexes.settings(facts)}, "
                    f"tuned in {seconds:.0f} s; {machine_name()}",
                    [*map(_row, results)],
                )
            )
            versions.append({"name": name, "index": asdict(facts), "results": results})
            del snapshot
    frame.report(options, *tables, versions=versions)


def opened(options: argparse.Namespace, folder: Path) -> Iterator[tuple[Manifest, Snapshot]]:
    """Yield each version to measure, and its manifest."""
    folder.mkdir(exist_ok=True)
    if made := reader.list_versions(folder):
        for version in made:
            yield reader.read_manifest(folder, version), open_snapshot(folder, version)
        return
    if options.volume is None:
        content = generate(options.items, options.users, options.seed)
    else:
        content = content_of(options.volume)
    for name in options.backends.split(","):
        indexing = Indexing(
            backends=make_backends(name), options=TuningOptions(seed=options.seed), fall_back=False
        )
        reporter = frame.reporter(options)
        manifest = publish(
            content, folder, indexing=indexing, timings=Timings(), reporter=reporter
        ).manifest
        yield manifest, open_snapshot(folder, manifest.version)


def generate(items: int, users: int, seed: int) -> Publishable:
    """Return the trainer's content after training, with user features and attributes."""
    dataset = build_dataset(
        movielens.read_interactions(indexes.DATA_DIR),
        items=FeatureTable(),
        users=movielens.read_users(indexes.DATA_DIR, USER_FEATURES),
        splitting=Splitting("none", seed),
    )
    model = train(dataset, Hyperparameters(seed=seed), on_epoch=lambda: None)
    own = extract_embeddings(model, dataset)
    item_vectors = interpolated(own.item_vectors, items, seed=seed)
    user_vectors = interpolated(own.user_vectors, users, seed=seed + 1)
    seen = large.draw_seen(
        large.nearest(user_vectors, own.user_vectors),
        dataset.seen(),
        large.nearest(item_vectors, own.item_vectors),
        seed=seed,
    )
    columns, _ = filters.make_kinds(item_vectors, _FILTER_SEED)
    content = large.publishable("to measure", Embeddings(item_vectors, user_vectors), seen, columns)
    return replace(content, user_features=learned(state_of(model, dataset)))


def content_of(volume: Path) -> Publishable:
    """Return the vectors, users and seen items of a volume's version, to publish them again."""
    version = reader.open_publication(volume, labels.read_label(volume, layout.DEFAULT_LABEL))
    embeddings = Embeddings(version.item_vectors, version.user_vectors)
    columns, _ = filters.make_kinds(version.item_vectors, _FILTER_SEED)
    # Rows keep their numbers, since the ids are the same.
    return replace(
        large.publishable("again", embeddings, version.seen, columns),
        items=version.items,
        users=version.users,
    )


def ways(snapshot: Snapshot, options: argparse.Namespace) -> Iterator[Asked]:
    """Yield all ways in which the version can be asked."""
    publication = snapshot.publication
    random = np.random.default_rng(options.seed)
    rows = random.permutation(np.flatnonzero(np.diff(publication.seen.offsets)))[: options.queries]
    users = [publication.users.external_id(row) for row in rows.tolist()]
    seen_too = Options(exclude_seen=False)
    yield Asked("known", users, Options())
    yield Asked("known, seen", users, seen_too)
    sessions = []
    for row in rows.tolist():
        seen = publication.seen[row]
        most = min(LONGEST, len(seen))
        count = int(np.exp(random.uniform(0, np.log(most + 1))))
        chosen = random.choice(seen, min(most, max(1, count)), replace=False)
        ids = [publication.items.external_id(item) for item in chosen.tolist()]
        sessions.append(WeightedItems(ids))
    if publication.fold_in is not None:
        yield Asked("session", sessions, Options())
        yield Asked("session, seen", sessions, seen_too)
    if publication.user_features is not None:
        by_column: dict[str, list[str]] = {}
        for name in sorted(publication.user_features.starting_with("")):
            by_column.setdefault(name.partition(":")[0], []).append(name)
        columns = [*by_column.values()]
        asked = []
        for _ in users:
            count = random.integers(1, len(columns), endpoint=True)
            chosen = random.choice(len(columns), count, replace=False)
            asked.append(UserFeatures([str(random.choice(columns[own])) for own in chosen]))
        yield Asked("features", asked, Options())
    for limit in LIMITS[1:]:
        yield Asked(f"limit {limit}", users[:100], Options(limit=limit))
        if publication.fold_in is not None:
            yield Asked(f"session, limit {limit}", sessions[:100], Options(limit=limit))
    _, kinds = filters.make_kinds(publication.item_vectors, _FILTER_SEED)
    for kind in kinds:
        if kind.share in SHARES and kind.name in ("at random", "near"):
            yield Asked(f"{kind.name.split()[-1]} {kind.share:g}", users, kind.options)


def measure(snapshot: Snapshot, asked: Asked) -> dict[str, Any]:
    """Ask in one way for every subject, with the effort of that way and with the tuned one."""
    usual = replace(
        snapshot,
        model=replace(snapshot.model, recommend=replace(snapshot.model.recommend, ways={})),
    )
    figures = {"own": _Figures(snapshot), "tuned": _Figures(usual)}
    for place, subject in enumerate(asked.subjects):
        # In turns, so that both meet the same machine.
        for one in [*figures.values()][:: 1 if place % 2 else -1]:
            one.ask(subject, asked.options)
    return {"way": asked.name} | {name: one.found() for name, one in figures.items()}


class _Figures:
    """The answers of a version in one way of asking."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._nanoseconds: list[int] = []
        self._found = self._wanted = self._by_index = 0

    def ask(self, subject: UserSubject, options: Options) -> None:
        """Ask twice, so that the second answer finds its memory near, and compare."""
        retrievable.recommend(self._snapshot, subject, options)
        started = time.perf_counter_ns()
        answer = retrievable.recommend(self._snapshot, subject, options)
        self._nanoseconds.append(time.perf_counter_ns() - started)
        found, wanted = compare(self._snapshot, subject, options, answer)
        self._found, self._wanted = self._found + found, self._wanted + wanted
        self._by_index += not answer.exact

    def found(self) -> dict[str, float]:
        """Return recall, the median time, and the share of answers by the index."""
        return {
            "recall": self._found / self._wanted if self._wanted else 1.0,
            "p50_microseconds": float(np.median(self._nanoseconds)) / 1000,
            "by_index": self._by_index / len(self._nanoseconds),
        }


def _row(result: dict[str, Any]) -> dict[str, str]:
    own, tuned = result["own"], result["tuned"]
    return {
        "asked": result["way"],
        "recall, tuned effort": f"{tuned['recall']:.4f}",
        "own effort": f"{own['recall']:.4f}",
        "p50 µs, tuned effort": f"{tuned['p50_microseconds']:,.0f}",
        "own effort, µs": f"{own['p50_microseconds']:,.0f}",
        "ratio": f"{own['p50_microseconds'] / tuned['p50_microseconds']:.2f}",
        "by index": f"{own['by_index']:.0%}",
    }


if __name__ == "__main__":
    frame.run(main)
