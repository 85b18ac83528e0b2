"""What the retriever can serve: small publications with real indexes, and snapshots without any file.

A publication's numbers depend on its seed alone, so a test can tell which version an answer is from.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import Attributes, Column
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.manifest import Depth, IndexFacts
from lightfm_retriever.publication.reader import Publication, open_publication
from lightfm_retriever.publication.search_effort import Depths, IndexCosts
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import from_texts, text
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from lightfm_retriever.publication.vectors.vector_space import row_norms, split_biases
from lightfm_retriever.publication.writer import Staging
from retriever.answering import queries
from retriever.answering.neighbour_model import NeighbourModel
from retriever.answering.queries import RankedRows
from retriever.answering.questions import (
    Checkpoint,
    ItemSubject,
    Options,
    UserSubject,
    always_wanted,
)
from retriever.answering.search import VectorRanker
from retriever.answering.snapshot import Snapshot
from retriever.answering.vector_model import Scorer, VectorModel
from tests import publications
from tests.publications import ragged as ragged
from trainer.index import make_backends
from trainer.index.measure import query_settings
from trainer.index.protocol import BuiltIndex, IndexTask, Space

# More than ASCII, two ids that look the same, the longest one, and what a careless reader mistakes for
# the end of a text, a line, a path or a query.
ODD_ITEM_IDS = ["café", "cafe\N{COMBINING ACUTE ACCENT}", "東京", "🎬", "a b/c?d=é&f", "nul\0nul"]
ODD_ITEM_IDS += ["line\nbreak", "[bold]", "é" * 256]
ODD_USER_IDS = ["Ünal", "用户", "u" * 512]
COMPONENTS = 4
# As tuned, an index finds any number.
ANY_DEPTH = Depths([Depth(results=1_000_000, effort=1.0, recall=1.0)])


def ids(odd: Sequence[str], count: int) -> list[str]:
    """So many ids: odd ones, then numbers."""
    return [*odd, *map(str, range(count))][:count]


def publish(
    volume: Path,
    *,
    seed: int = 1,
    items: int = 40,
    users: int = 12,
    components: int = COMPONENTS,
    backend: str = "annoy",
    build: dict[str, Any] | None = None,
    titles: bool = True,
    label: str | None = layout.DEFAULT_LABEL,
    query: dict[str, Any] | None = None,
    attributes: Sequence[Column] = (),
    item_ids: Sequence[str] | None = None,
    stage_more: Callable[[Staging], object] = lambda _: None,
) -> str:
    """Publish a version whose numbers are the seed's, move a label to it, and return its name."""
    random = np.random.default_rng(seed)
    item_map = IdMap.build(item_ids or ids(ODD_ITEM_IDS, items))
    user_ids = IdMap.build(ids(ODD_USER_IDS, users))
    item_vectors = random.normal(size=(items, components + 1)).astype(np.float32)
    user_vectors = random.normal(size=(users, components + 1)).astype(np.float32)
    # From a user who has seen nothing to one who has seen nearly everything.
    seen = [
        np.sort(random.choice(items, size=row * (items - 1) // max(1, users - 1), replace=False))
        for row in range(users)
    ]
    with Staging(volume) as staging:
        staging.add_id_map(layout.ITEM_IDS, item_map)
        staging.add_id_map(layout.USER_IDS, user_ids)
        staging.add_array(layout.ITEM_VECTORS, item_vectors)
        staging.add_array(layout.ITEM_NORMS, row_norms(split_biases(item_vectors)[0]))
        staging.add_array(layout.USER_VECTORS, user_vectors)
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, ragged(seen))
        if titles:
            named = (f"Title of {own[:20]} – 映画" for own in map(item_map.external_id, range(items)))
            # One has none.
            texts = from_texts("" if "東京" in title else title for title in named)
            staging.add_ragged(layout.TITLE_OFFSETS, layout.TITLE_BYTES, texts)
        indexes = build_indexes(staging, item_vectors, backend=backend, build=build, query=query)
        stage_more(staging)
        of_items = Attributes.build(attributes, items)
        staging.add_attributes(of_items)
        own = {"items": items, "users": users, "components": components, "indexes": indexes}
        own |= {"libraries": {}, "hyperparameters": {}, "metrics": {}, "attributes": [*of_items.facts]}
        version = staging.publish(publications.facts(**own)).version
    if label is not None:
        promote(volume, version, label=label)
    return version


def publish_item_item(
    volume: Path,
    *,
    seed: int = 1,
    items: int = 40,
    users: int = 12,
    label: str | None = layout.DEFAULT_LABEL,
) -> str:
    """The same of an item-item model, with the same ids; each item has up to twelve neighbours."""
    random = np.random.default_rng(seed)
    sizes = [row * (items - 1) // max(1, users - 1) for row in range(users)]
    seen = [np.sort(random.choice(items, size=size, replace=False)) for size in sizes]
    with Staging(volume) as staging:
        staging.add_id_map(layout.ITEM_IDS, IdMap.build(ids(ODD_ITEM_IDS, items)))
        staging.add_id_map(layout.USER_IDS, IdMap.build(ids(ODD_USER_IDS, users)))
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, ragged(seen))
        staging.add_neighbours(publications.neighbours(random, items, most=12))
        facts = publications.item_item_facts(
            items=items, users=users, libraries={}, hyperparameters={}, metrics={}
        )
        version = staging.publish(facts).version
    if label is not None:
        promote(volume, version, label=label)
    return version


def build_indexes(
    staging: Staging,
    item_vectors: NDArray[np.float32],
    *,
    backend: str = "annoy",
    build: dict[str, Any] | None = None,
    query: dict[str, Any] | None = None,
) -> dict[str, IndexFacts]:
    """Build and stage both indexes.

    `build` replaces the parameters of the backend's first round, `query` those that find everything.
    """
    facts = {}
    for name in (layout.SIMILAR, layout.RECOMMEND):
        path = staging.path(layout.index_file(name, backend))
        built = build_index(name, item_vectors, path, backend=backend, build=build)
        facts[name] = index_facts(built, backend, items=len(item_vectors), file=path.name, query=query)
    return facts


def build_index(
    name: str,
    item_vectors: NDArray[np.float32],
    path: Path,
    *,
    backend: str = "annoy",
    build: dict[str, Any] | None = None,
) -> BuiltIndex:
    """One index, as the trainer builds it, with all of `build` beside the first round's parameters."""
    (made,) = make_backends(backend)
    similar = name == layout.SIMILAR
    vectors = split_biases(item_vectors)[0] if similar else item_vectors
    space: Space = "cosine" if similar else "inner_product"
    settings = {**made.rounds(len(vectors), space)[0][0], **(build or {})}
    return made.build(IndexTask(vectors, space, path, settings, seed=1))


def index_facts(
    built: BuiltIndex, backend: str, *, items: int, file: str, query: dict[str, Any] | None = None
) -> IndexFacts:
    """What the manifest says of it, when nobody has measured it; by default it finds everything."""
    if query is None:
        query = query_settings(built, built.effort.most if built.effort else 0)
    own = {"backend": backend, "metric": built.metric, "build": built.build, "query": query}
    facts = publications.index_facts(dimensions=built.dimensions, items=items, file=file)
    return replace(facts, file=file if built.has_file else None, **own)


# ---- what the answers should be, in float64 and by plain arithmetic


@dataclass(frozen=True, eq=False)
class Expected:
    """What one version should answer."""

    publication: Publication

    @classmethod
    @functools.cache
    def of(cls, volume: Path, version: str) -> Expected:
        return cls(open_publication(volume, version))

    @functools.cache  # noqa: B019 - there are few, and they are asked again and again
    def scores(self, user_id: str) -> dict[str, float]:
        """LightFM's score of each item that the user hasn't seen."""
        rows = self.publication.seen[self.publication.users.row(user_id)].tolist()
        seen = {*map(self.publication.items.external_id, rows)}
        scores = self.all_scores(user_id).items()
        least = -np.inf if self.publication.neighbours is None else 0
        return {item_id: score for item_id, score in scores if item_id not in seen and score > least}

    def all_scores(self, user_id: str) -> dict[str, float]:
        """LightFM's score of each item, or the sum of the weights of a user's items."""
        if self.publication.neighbours is not None:
            rows = self.publication.seen[self.publication.users.row(user_id)]
            return self._by_id(self._weights()[rows].sum(axis=0))
        user = np.float64(self.publication.user_vectors[self.publication.users.row(user_id)])
        items = np.float64(self.publication.item_vectors)
        return self._by_id(items[:, :-1] @ user[:-1] + items[:, -1] + user[-1])

    @functools.cache  # noqa: B019
    def cosines(self, item_id: str) -> dict[str, float]:
        """The cosine of each other item's embedding to this one's, or the weights of its neighbours."""
        if self.publication.neighbours is not None:
            weights = self._by_id(self._weights()[self.publication.items.row(item_id)])
            return {other: weight for other, weight in weights.items() if weight > 0}
        items = np.float64(self.publication.item_vectors)[:, :-1]
        items /= np.linalg.norm(items, axis=1, keepdims=True)
        cosines = self._by_id(items @ items[self.publication.items.row(item_id)])
        del cosines[item_id]
        return cosines

    def _weights(self) -> NDArray[np.float64]:
        """The item-item matrix."""
        own = self.publication.neighbours
        assert own is not None
        matrix = np.zeros((len(own), len(own)))
        matrix[own.rows.owners, own.rows.values] = own.weights
        return matrix

    def title(self, item_id: str) -> str:
        return text(self.publication.titles, self.publication.items.row(item_id))

    def _by_id(self, values: NDArray[np.float64]) -> dict[str, float]:
        external_id = self.publication.items.external_id
        return {external_id(row): value for row, value in enumerate(values.tolist())}


def assert_best(items: Iterable[Any], scores: dict[str, float], limit: int = 10) -> None:
    """The items of a response are the best of these, each with its score, best first."""
    items = list(items)
    assert [item.score for item in items] == sorted((item.score for item in items), reverse=True)
    found = {item.item_id: item.score for item in items}
    assert len(found) == len(items) == min(limit, len(scores))
    assert found.keys() <= scores.keys()
    for item_id, score in found.items():
        assert abs(score - scores[item_id]) < 1e-5
    if found:
        others = (score for item_id, score in scores.items() if item_id not in found)
        assert max(others, default=-np.inf) <= min(found.values()) + 1e-5


# ---- snapshots in memory, for tests that need no file


class DictIdMap(list[str]):
    """An id map as far as queries need one, of ids in the order of their rows."""

    external_id = list.__getitem__

    def row(self, external_id: str) -> int | None:
        return self.index(external_id) if external_id in self else None

    def starting_with(self, prefix: str) -> Iterator[str]:
        return (external_id for external_id in self if external_id.startswith(prefix))


class FixedIndex:
    """Answers with the same rows whatever is asked, and notes how many were asked for."""

    def __init__(self, rows: Sequence[int], *, candidates: int = 0) -> None:
        self.candidates = candidates
        self.asked: list[int] = []
        self.efforts: list[float] = []
        self._rows = np.array(rows, dtype=np.int64)

    def search(
        self,
        query: NDArray[np.float32],  # noqa: ARG002
        count: int,
        effort: float = 1.0,
    ) -> NDArray[np.int64]:
        self.asked.append(count)
        self.efforts.append(effort)
        return self._rows[:count]


def snapshot(
    item_vectors: ArrayLike,
    user_vectors: ArrayLike,
    *,
    seen: Sequence[Sequence[int]] | None = None,
    titles: Sequence[str] | None = None,
    similar: FixedIndex | None = None,
    recommend: FixedIndex | None = None,
    version: str = "20261124T043500Z-3fa9c1",
    item_ids: Sequence[str] | None = None,
    id_ranks: bool = True,
    costs: IndexCosts = IndexCosts(0, 0),  # noqa: B008 - frozen
    depths: Depths = ANY_DEPTH,
    item_norms: ArrayLike | None = None,
    **published: Any,
) -> Snapshot:
    """A snapshot of arrays: item r is "item-r", user r "user-r"; searched exactly unless told how.

    An index that is given is asked however small the catalogue and the share that matches a filter,
    unless `costs` or `depths` say otherwise.
    `published` are further fields of a Publication, such as attributes; they are None by default.
    """
    items = np.array(item_vectors, dtype=np.float32)
    users = np.array(user_vectors, dtype=np.float32)
    ids = item_ids or [f"item-{row}" for row in range(len(items))]
    ranks = np.argsort(sorted(range(len(ids)), key=lambda row: ids[row].encode())).astype(np.int32)
    norms = None if item_norms is None else np.array(item_norms, dtype=np.float32)
    files = {layout.ITEM_VECTORS: SimpleNamespace(sha256=version.encode().hex())}
    own: dict[str, Any] = {
        "directory": Path(),
        "manifest": SimpleNamespace(
            version=version, files=files, kind="vectors", family="", indexes={}
        ),
        "items": DictIdMap(ids),
        "users": DictIdMap([f"user-{row}" for row in range(len(users))]),
        "item_vectors": items,
        "user_vectors": users,
        "seen": ragged(seen if seen is not None else [[] for _ in users]),
        "item_norms": norms,
        "titles": None if titles is None else from_texts(titles),
        "held_out": None,
        "id_ranks": ranks if id_ranks else None,
    }
    publication = Publication(**own, **published)
    embeddings = split_biases(items)[0]
    by_cosine, by_score = Scorer(embeddings, cosine=True, norms=norms), Scorer(items)
    ties = publication.id_ranks
    rankers = (
        VectorRanker(similar, by_cosine, ties, costs, depths),
        VectorRanker(recommend, by_score, ties, costs, depths),
    )
    return Snapshot(publication, VectorModel(publication, items, users, embeddings, *rankers))


def item_item_snapshot(
    links: Sequence[dict[int, float]],
    *,
    seen: Sequence[Sequence[int]],
    profiles: Sequence[Sequence[int]] | None = None,
    item_ids: Sequence[str] | None = None,
    version: str = "20261124T043500Z-3fa9c1",
    **published: Any,
) -> Snapshot:
    """A snapshot of an item-item model; `links` are the weights of each item's neighbours by row."""
    ids = item_ids or [f"item-{row}" for row in range(len(links))]
    ranks = np.argsort(sorted(range(len(ids)), key=lambda row: ids[row].encode())).astype(np.int32)
    rows = [sorted(own.keys() - {row}) for row, own in enumerate(links)]
    weights = [own[other] for own, others in zip(links, rows, strict=True) for other in others]
    files = {layout.NEIGHBOUR_WEIGHTS: SimpleNamespace(sha256=version.encode().hex())}
    facts = SimpleNamespace(version=version, files=files, kind="neighbours", family="ease")
    own: dict[str, Any] = {
        "directory": Path(),
        "manifest": facts,
        "items": DictIdMap(ids),
        "users": DictIdMap([f"user-{row}" for row in range(len(seen))]),
        "seen": ragged(seen),
        "profiles": None if profiles is None else ragged(profiles),
        "neighbours": Neighbours(ragged(rows), np.array(weights, dtype=np.float32)),
        "id_ranks": ranks,
        **dict.fromkeys(["item_vectors", "user_vectors", "item_norms", "titles", "held_out"]),
    }
    publication = Publication(**own, **published)
    return Snapshot(publication, NeighbourModel(publication))


def similar_items(snapshot: Snapshot, subject: ItemSubject, *how: Any, **by_name: Any) -> RankedRows:
    """Ask and answer, as a call does."""
    return _answer(queries.plan_similar_items, snapshot, subject, *how, **by_name)


def recommend(snapshot: Snapshot, subject: UserSubject, *how: Any, **by_name: Any) -> RankedRows:
    """The same of a user, a session or features."""
    return _answer(queries.plan_recommend, snapshot, subject, *how, **by_name)


def _answer(
    plan: Callable[..., Any],
    snapshot: Snapshot,
    subject: ItemSubject | UserSubject,
    options: Options = Options(),  # noqa: B008 - frozen
    checkpoint: Checkpoint = always_wanted,
) -> RankedRows:
    return queries.answer(snapshot, plan(snapshot, subject, options, checkpoint), checkpoint)
