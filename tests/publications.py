"""Small publications for tests, and the means to spoil them.

What lies in the index files is opaque to `publication`, so here it is noise.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from publication import layout
from publication.id_map import IdMap
from publication.manifest import DatasetFacts, FileFacts, IndexFacts, Manifest, RunFacts, Trial
from publication.ragged import Ragged, from_texts
from publication.writer import Clock, Staging, utc_now

ITEMS = 12
USERS = 6
COMPONENTS = 4
# More than ASCII, and two ids that look the same: é as one code point, and as e with an accent.
ITEM_IDS = [
    "café",
    "cafe\N{COMBINING ACUTE ACCENT}",
    "東京",
    "🎬",
    "a b/c",
    *(str(i) for i in range(7)),
]
USER_IDS = ["Ünal", "用户", "0", "1", "2", "3"]
TITLES = [f"Title {i} – 映画" if i else "" for i in range(ITEMS)]
SIMILAR_FILE = layout.index_file(layout.SIMILAR, "annoy")
RECOMMEND_FILE = layout.index_file(layout.RECOMMEND, "annoy")
FILES = sorted(
    [
        *layout.REQUIRED_FILES,
        layout.ITEM_NORMS,
        layout.TITLE_OFFSETS,
        layout.TITLE_BYTES,
        SIMILAR_FILE,
        RECOMMEND_FILE,
    ]
)
"""Every file that answers are made of."""
ALL_FILES = sorted([*FILES, layout.HELD_OUT_OFFSETS, layout.HELD_OUT_ITEMS])
"""Every file of a publication made here, but for its manifest."""

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def index_facts(*, dimensions: int, file: str, items: int = ITEMS) -> IndexFacts:
    """Facts about an Annoy index."""
    return IndexFacts(
        backend="annoy",
        metric="angular",
        dimensions=dimensions,
        items=items,
        file=file,
        build={"trees": 10, "seed": 1, "threads": 1},
        query={"search_k": -1, "candidates": 100},
        recall_at_10=1.0,
        query_microseconds=25.5,
        bare_recall_at_10=0.875,
        bare_query_microseconds=12.25,
        target_recall=0.95,
        trials=[
            Trial(
                backend="exact",
                build={},
                query={"candidates": 0},
                recall_at_10=1.0,
                query_microseconds=30.5,
            ),
            Trial(
                backend="annoy",
                build={"trees": 10},
                query={"search_k": 100, "candidates": 100},
                recall_at_10=0.9375,
                query_microseconds=25.5,
            ),
        ],
        build_seconds=0.125,
    )


def facts(**changes: Any) -> Manifest:
    """A manifest as the writer takes it."""
    made = Manifest(
        items=ITEMS,
        users=USERS,
        components=COMPONENTS,
        run=RunFacts(
            id="run-1", started_at="2026-11-24T04:30:00Z", seconds={"train": 0.5, "index": 0.25}
        ),
        libraries={"annoy": "1.17.3", "numpy": "2.4.6"},
        dataset=DatasetFacts(
            name="példa",
            split="leave-one-out",
            train_interactions=40,
            test_interactions=6,
            item_features=["genre"],
            user_features=[],
        ),
        hyperparameters={
            "loss": "warp",
            "learning_rate": 0.05,
            "epochs": 3,
            "normalise": True,
            "cap": None,
        },
        metrics={"precision_at_10": 0.258},
        indexes={
            layout.SIMILAR: index_facts(dimensions=COMPONENTS, file=SIMILAR_FILE),
            layout.RECOMMEND: index_facts(dimensions=COMPONENTS + 2, file=RECOMMEND_FILE),
        },
    )
    return replace(made, **changes)


def complete_manifest() -> Manifest:
    """A manifest as the writer completes it, without a publication around it."""
    files = {
        name: FileFacts(size=100 + i, sha256=hashlib.sha256(name.encode()).hexdigest())
        for i, name in enumerate(ALL_FILES)
    }
    return facts(
        version=layout.version_name(NOON, "3fa9c1"), created_at="2026-11-24T12:00:00Z", files=files
    )


def stage(staging: Staging, *, seed: int = 1) -> None:
    """Write every file of a publication; its numbers depend on the seed alone."""
    random = np.random.default_rng(seed)
    staging.add_id_map(layout.ITEM_IDS, IdMap.build(ITEM_IDS))
    staging.add_id_map(layout.USER_IDS, IdMap.build(USER_IDS))
    for name, rows in ((layout.ITEM_VECTORS, ITEMS), (layout.USER_VECTORS, USERS)):
        vectors = random.normal(size=(rows, COMPONENTS + 1)).astype(np.float32)
        staging.add_array(name, vectors)
        if name == layout.ITEM_VECTORS:
            staging.add_array(layout.ITEM_NORMS, norms(vectors))
    seen = [np.sort(random.choice(ITEMS, size=user, replace=False)) for user in range(USERS)]
    offsets = np.cumsum([0, *map(len, seen)], dtype=np.int64)
    staging.add_ragged(
        layout.SEEN_OFFSETS, layout.SEEN_ITEMS, Ragged(offsets, np.concatenate(seen).astype(np.int32))
    )
    staging.add_ragged(layout.TITLE_OFFSETS, layout.TITLE_BYTES, from_texts(TITLES))
    for name, size in ((SIMILAR_FILE, 1000), (RECOMMEND_FILE, 1200)):
        staging.path(name).write_bytes(random.bytes(size))
    # The first user has nothing held out, the others ever more, and none what they have seen.
    held_out = [np.setdiff1d(np.arange(ITEMS), rows)[: 2 * user] for user, rows in enumerate(seen)]
    offsets = np.cumsum([0, *map(len, held_out)], dtype=np.int64)
    staging.add_ragged(
        layout.HELD_OUT_OFFSETS,
        layout.HELD_OUT_ITEMS,
        Ragged(offsets, np.concatenate(held_out).astype(np.int32)),
    )


def norms(item_vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Norms of the embeddings of items, by numpy and without their biases."""
    return np.linalg.norm(item_vectors[:, :-1].astype(np.float64), axis=1).astype(np.float32)


def publish(volume: Path, *, seed: int = 1, clock: Clock = utc_now) -> str:
    """Publish and return the version's name."""
    with Staging(volume, clock=clock) as staging:
        stage(staging, seed=seed)
        return staging.publish(facts()).version


def overwrite(path: Path, data: bytes) -> None:
    """Replace a published file, which is read-only."""
    path.unlink()
    path.write_bytes(data)


def edit_manifest(
    directory: Path, edit: Callable[[dict[str, Any]], None], *, sign: bool = True
) -> None:
    """Edit a version's manifest, and give it a checksum that fits."""
    path = directory / layout.MANIFEST
    content = json.loads(path.read_bytes())
    edit(content)
    if sign:
        content["checksum"] = checksum(content)
    overwrite(path, json.dumps(content, indent=2, ensure_ascii=False).encode())


def checksum(content: dict[str, Any]) -> str:
    """The manifest's checksum as README.md says it, apart from the code under test."""
    rest = {key: value for key, value in content.items() if key != "checksum"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def reseal(directory: Path, name: str, data: bytes) -> None:
    """Replace a file, and make the manifest say that it was always so."""
    overwrite(directory / name, data)
    found = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit_manifest(directory, lambda content: content["files"].update({name: found}))


def copy(volume: Path, target: Path) -> Path:
    """Copy a volume, to spoil the copy."""
    return Path(shutil.copytree(volume, target))


def tree(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Mode, time of the last change and content of everything below a directory."""
    return {
        str(path.relative_to(root)): (
            path.stat().st_mode,
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(root.rglob("*"))
    }
