"""Publications that have all that there is, small enough to make often."""

from pathlib import Path
from typing import Any

import numpy as np

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import NumberColumn, TextColumn
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.vectors.fold_in import FoldIn
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


def publish(volume: Path, backend: str) -> None:
    random = np.random.default_rng(SEED)
    item_vectors, user_vectors = (
        random.normal(size=(count, COMPONENTS + 1)).astype(np.float32) for count in (ITEMS, USERS)
    )
    seen = retrievable.ragged(
        np.sort(random.choice(ITEMS, size=row * (ITEMS - 1) // (USERS - 1), replace=False))
        for row in range(USERS)
    )
    genres = [list(GENRES[: random.integers(0, 5)]) for _ in range(ITEMS)]
    years = np.where(random.random(ITEMS) < 0.2, np.nan, random.integers(1990, 2000, ITEMS))
    ranks = np.argsort(np.argsort([own.encode() for own in ITEM_IDS])).astype(np.int32)
    popularity = random.integers(0, 4, ITEMS).astype(np.int32)
    popular = sorted(range(ITEMS), key=lambda row: (-popularity[row], ranks[row]))
    fold_in = FoldIn.build(item_vectors, user_vectors, seen, seed=1)
    assert fold_in is not None

    def stage_more(staging: Staging) -> None:
        staging.add_id_map(layout.USER_FEATURES, IdMap.build(FEATURES))
        for name, array in (
            (layout.ID_RANKS, ranks),
            (layout.POPULARITY, popularity),
            (layout.POPULAR_ITEMS, np.array(popular, dtype=np.int32)),
            (layout.USER_FEATURE_VECTORS, user_vectors[: len(FEATURES)]),
            (layout.FOLD_IN, fold_in.array),
        ):
            staging.add_array(name, array)
        staging.add_ragged(layout.HELD_OUT_OFFSETS, layout.HELD_OUT_ITEMS, seen)

    version = retrievable.publish(
        volume,
        seed=SEED,
        items=ITEMS,
        users=USERS,
        backend=backend,
        label=None,
        attributes=[TextColumn("genres", genres), NumberColumn("year", years)],
        stage_more=stage_more,
    )

    def tune(content: dict[str, Any]) -> None:
        for index in content["indexes"].values():
            index["depths"] = [{"results": 40, "effort": 3.0, "recall": 1.0}]

    publications.edit_manifest(layout.version_dir(volume, version), tune)
