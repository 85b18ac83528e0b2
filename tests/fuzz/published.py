"""Publications that have all that there is, small enough to make often."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import Attributes, NumberColumn, TextColumn
from lightfm_retriever.publication.manifest import Depth
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import from_texts
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import row_norms, split_biases
from lightfm_retriever.publication.writer import Staging
from tests import publications, retrievable

ITEMS = 60
USERS = 15
COMPONENTS = 4
GENRES = ("drama", "comedy", "映画", "a:b|c")
FEATURES = ("age:25-34", "country:DE", "occupation:映画")
ITEM_IDS = retrievable.ids(retrievable.ODD_ITEM_IDS, ITEMS)
USER_IDS = retrievable.ids(retrievable.ODD_USER_IDS, USERS)
SEED = 1


def publish(volume: Path, backend: str) -> str:
    random = np.random.default_rng(SEED)
    items, users = IdMap.build(ITEM_IDS), IdMap.build(USER_IDS)
    item_vectors = random.normal(size=(ITEMS, COMPONENTS + 1)).astype(np.float32)
    user_vectors = random.normal(size=(USERS, COMPONENTS + 1)).astype(np.float32)
    seen = retrievable.ragged(
        np.sort(random.choice(ITEMS, size=row * (ITEMS - 1) // (USERS - 1), replace=False))
        for row in range(USERS)
    )
    genres = [list(GENRES[: random.integers(0, 5)]) for _ in range(ITEMS)]
    years = np.where(random.random(ITEMS) < 0.2, np.nan, random.integers(1990, 2000, ITEMS))
    attributes = Attributes.build([TextColumn("genres", genres), NumberColumn("year", years)], ITEMS)
    in_order = sorted(range(ITEMS), key=lambda row: items.external_id(row).encode())
    ranks = np.argsort(in_order).astype(np.int32)
    popularity = random.integers(0, 4, ITEMS).astype(np.int32)
    popular = sorted(range(ITEMS), key=lambda row: (-popularity[row], ranks[row]))
    fold_in = FoldIn.build(item_vectors, user_vectors, seen, seed=1)
    assert fold_in is not None
    with Staging(volume) as staging:
        staging.add_id_map(layout.ITEM_IDS, items)
        staging.add_id_map(layout.USER_IDS, users)
        staging.add_id_map(layout.USER_FEATURES, IdMap.build(FEATURES))
        for name, array in (
            (layout.ITEM_VECTORS, item_vectors),
            (layout.USER_VECTORS, user_vectors),
            (layout.ITEM_NORMS, row_norms(split_biases(item_vectors)[0])),
            (layout.ID_RANKS, ranks),
            (layout.POPULARITY, popularity),
            (layout.POPULAR_ITEMS, np.array(popular, dtype=np.int32)),
            (layout.USER_FEATURE_VECTORS, user_vectors[: len(FEATURES)]),
            (layout.FOLD_IN, fold_in.array),
        ):
            staging.add_array(name, array)
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, seen)
        staging.add_ragged(layout.HELD_OUT_OFFSETS, layout.HELD_OUT_ITEMS, seen)
        titles = from_texts(retrievable.title_of(items.external_id(row)) for row in range(ITEMS))
        staging.add_ragged(layout.TITLE_OFFSETS, layout.TITLE_BYTES, titles)
        staging.add_attributes(attributes)
        indexes = retrievable.build_indexes(staging, item_vectors, backend=backend)
        for index in indexes.values():
            index.depths.append(Depth(results=40, effort=3.0, recall=1.0))
        facts = retrievable.facts(ITEMS, USERS, COMPONENTS, indexes)
        return staging.publish(replace(facts, attributes=[*attributes.facts])).version


def sign(directory: Path, content: dict[str, Any]) -> None:
    """Write a manifest with a checksum that fits, whatever it says."""
    content["checksum"] = publications.checksum(content)
    text = json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
    publications.overwrite(directory / layout.MANIFEST, text)


def facts_of(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
