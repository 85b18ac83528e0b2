"""How the golden publications were made. They are never remade for a released format.

A golden publication is what a release has written to someone's volume: `test_golden.py` says that this
code still reads it and answers as that release did. So when a test of it fails, the code is wrong, not
the files. A new format version gets a new directory beside the old ones, made once, by

    python -m tests.contract.make_golden

which writes golden/format-N, a volume, and golden/format-N.json, what it should answer, of each format
that isn't there yet. It writes nothing where something is.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from annoy import AnnoyIndex
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.manifest import (
    DatasetFacts,
    IndexFacts,
    Manifest,
    ModelFacts,
    RunFacts,
)
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import Ragged, from_texts
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from lightfm_retriever.publication.vectors.vector_space import (
    Float32Array,
    augment_items,
    augment_queries,
    split_biases,
    user_queries,
)
from lightfm_retriever.publication.writer import Staging

GOLDEN = Path(__file__).parent / "golden"

COMPONENTS = 4
TITLES = {
    "1": "Seven Samurai",
    "2": "七人の侍",
    "10": "Amélie",
    "a b/c?d=é&f": "An id that is no path and no query",
    "café": "é as one code point",
    "cafe\N{COMBINING ACUTE ACCENT}": "é as two code points",
    "東京物語": "Tokyo Story",
    "Сталкер": "Stalker",
    "🎬": "",
    "UPPER": "Case counts",
    "upper": "case counts",
    "nul\0nul": "NUL is a character like others",
}
USERS = ["1", "2", "Ünal", "用户", "مستخدم", "u" * 512]


def make_vectors(volume: Path) -> dict[str, Any]:
    """Publish vectors, in format 1, to a new volume, and return what it should answer."""
    random = np.random.default_rng(1)
    items, users = IdMap.build(TITLES), IdMap.build(USERS)
    item_vectors = random.normal(scale=0.5, size=(len(items), COMPONENTS + 1)).astype(np.float32)
    user_vectors = random.normal(scale=0.5, size=(len(users), COMPONENTS + 1)).astype(np.float32)
    seen = [np.sort(random.choice(len(items), size=row, replace=False)) for row in range(len(users))]
    titles = [TITLES[items.external_id(row)] for row in range(len(items))]
    embeddings, _ = split_biases(item_vectors)
    augmented = augment_items(item_vectors)
    queries = augment_queries(user_queries(user_vectors))
    similar, recommend = _build(embeddings), _build(augmented)

    with Staging(volume, clock=lambda: datetime(2026, 11, 24, 4, 35, tzinfo=UTC)) as staging:
        staging.add_id_map(layout.ITEM_IDS, items)
        staging.add_id_map(layout.USER_IDS, users)
        staging.add_array(layout.ITEM_VECTORS, item_vectors)
        staging.add_array(layout.USER_VECTORS, user_vectors)
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, _ragged(seen))
        staging.add_ragged(layout.TITLE_OFFSETS, layout.TITLE_BYTES, from_texts(titles))
        for name, index in ((layout.SIMILAR, similar), (layout.RECOMMEND, recommend)):
            index.save(str(staging.path(layout.index_file(name, "annoy"))))
        facts = _facts(
            len(items),
            len(users),
            {
                layout.SIMILAR: _index_facts(layout.SIMILAR, similar, embeddings, embeddings),
                layout.RECOMMEND: _index_facts(layout.RECOMMEND, recommend, augmented, queries),
            },
        )
        version = staging.publish(facts).version
    promote(volume, version)
    # git doesn't keep an empty directory.
    layout.staging_dir(volume).rmdir()
    return {
        "version": version,
        "item_ids": [items.external_id(row) for row in range(len(items))],
        "user_ids": [users.external_id(row) for row in range(len(users))],
        "item_vectors": item_vectors.tolist(),
        "user_vectors": user_vectors.tolist(),
        "seen": [row.tolist() for row in seen],
        "titles": titles,
        "similar": [_neighbours(similar, vector) for vector in embeddings],
        "recommend": [_neighbours(recommend, query) for query in queries],
    }


def make_neighbours(volume: Path) -> dict[str, Any]:
    """Publish an item-item model, in format 2, to a new volume, and return what it should answer."""
    random = np.random.default_rng(2)
    items, users = IdMap.build(TITLES), IdMap.build(USERS)
    count = len(items)
    # From an item without neighbours to one that has all others.
    lists = [
        np.sort(random.choice(np.setdiff1d(np.arange(count), [row]), size=row, replace=False))
        for row in range(count)
    ]
    rows = _ragged(lists)
    # Quarters: their sums aren't rounded.
    weights = (random.integers(-4, 9, len(rows.values)) / 4).astype(np.float32)
    seen = [np.sort(random.choice(count, size=row, replace=False)) for row in range(len(users))]
    profiles = [own[: len(own) - row % 2] for row, own in enumerate(seen)]
    with Staging(volume, clock=lambda: datetime(2026, 11, 30, 20, 30, tzinfo=UTC)) as staging:
        staging.add_id_map(layout.ITEM_IDS, items)
        staging.add_id_map(layout.USER_IDS, users)
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, _ragged(seen))
        staging.add_ragged(layout.PROFILE_OFFSETS, layout.PROFILE_ITEMS, _ragged(profiles))
        staging.add_neighbours(Neighbours(rows, weights))
        facts = replace(
            _facts(count, len(users), {}),
            components=0,
            model=ModelFacts(family="ease", kind="neighbours"),
        )
        version = staging.publish(facts).version
    promote(volume, version)
    layout.staging_dir(volume).rmdir()
    matrix = np.zeros((count, count))
    matrix[rows.owners, rows.values] = weights
    return {
        "version": version,
        "item_ids": [items.external_id(row) for row in range(count)],
        "user_ids": [users.external_id(row) for row in range(len(users))],
        "seen": [own.tolist() for own in seen],
        "profiles": [own.tolist() for own in profiles],
        "neighbours": [own.tolist() for own in lists],
        "weights": [
            weights[rows.offsets[row] : rows.offsets[row + 1]].tolist() for row in range(count)
        ],
        "scores": [matrix[own].sum(axis=0).tolist() for own in profiles],
    }


FORMATS = {1: make_vectors, 2: make_neighbours}


def _ragged(rows: Sequence[NDArray[np.integer]]) -> Ragged:
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return Ragged(offsets, np.concatenate(rows).astype(np.int32))


def _build(vectors: Float32Array) -> AnnoyIndex:
    index = AnnoyIndex(vectors.shape[1], "angular")
    index.set_seed(1)
    for row, vector in enumerate(vectors):
        index.add_item(row, vector)
    # With more threads the file would differ from run to run.
    index.build(10, n_jobs=1)
    return index


def _neighbours(index: AnnoyIndex, query: Sequence[float]) -> dict[str, Any]:
    rows, distances = index.get_nns_by_vector(query, 10, include_distances=True)
    return {"rows": rows, "distances": distances}


def _index_facts(
    name: str, index: AnnoyIndex, vectors: Float32Array, queries: Float32Array
) -> IndexFacts:
    cosines = queries @ vectors.T / np.linalg.norm(vectors, axis=1)
    nearest = np.argsort(-cosines, axis=1)[:, :10]
    hits = [
        len({*rows.tolist()} & {*_neighbours(index, query)["rows"]})
        for rows, query in zip(nearest, queries, strict=True)
    ]
    recall = sum(hits) / nearest.size
    return IndexFacts(
        backend="annoy",
        metric="angular",
        dimensions=vectors.shape[1],
        items=len(vectors),
        file=layout.index_file(name, "annoy"),
        build={"trees": 10, "seed": 1, "threads": 1},
        query={"search_k": -1, "candidates": 100},
        # Every candidate that there is; the times are made up.
        recall_at_10=1.0,
        query_microseconds=10.0,
        bare_recall_at_10=recall,
        bare_query_microseconds=5.0,
    )


def _facts(items: int, users: int, indexes: dict[str, IndexFacts]) -> Manifest:
    return Manifest(
        items=items,
        users=users,
        components=COMPONENTS,
        run=RunFacts(
            id="golden", started_at="2026-11-24T04:34:58Z", seconds={"fit": 1.5, "index": 0.25}
        ),
        libraries={"annoy": "1.17.3", "numpy": "2.4.6", "rectools-lightfm": "1.17.3"},
        dataset=DatasetFacts(
            name="金",
            split="random",
            train_interactions=15,
            test_interactions=3,
            item_features=["genre"],
            user_features=[],
        ),
        hyperparameters={
            "loss": "warp",
            "components": COMPONENTS,
            "learning_rate": 0.05,
            "item_alpha": 0.0,
            "normalise": False,
            "max_sampled": None,
        },
        metrics={"precision_at_10": 0.125, "auc": 0.75},
        indexes=indexes,
    )


def main() -> None:
    written = []
    for number, make in FORMATS.items():
        volume = GOLDEN / f"format-{number}"
        answers = volume.with_suffix(".json")
        if volume.exists() or answers.exists():
            continue
        text = json.dumps(make(volume), indent=1, ensure_ascii=False)
        answers.write_text(text + "\n", encoding="utf-8")
        written.append(volume)
    if not written:
        raise SystemExit(f"{GOLDEN} has all formats already, and golden files are never remade")


if __name__ == "__main__":
    main()
