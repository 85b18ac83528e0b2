"""Small publications for tests, and the means to spoil them.

What lies in the index files is opaque to `publication`, so here it is noise.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.attributes import Attributes, NumberColumn, TextColumn
from lightfm_retriever.publication.facts.evaluation import EvaluationFacts, SegmentFacts
from lightfm_retriever.publication.manifest import (
    DatasetFacts,
    FileFacts,
    IndexFacts,
    Manifest,
    MeasuredSetting,
    ModelFacts,
    RunFacts,
)
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import Ragged, from_texts
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from lightfm_retriever.publication.writer import Clock, Staging, utc_now

ITEMS = 12
USERS = 6
COMPONENTS = 4
# More than ASCII, and two ids that look the same: é as one code point, and as e with an accent.
ITEM_IDS = ["café", "cafe\N{COMBINING ACUTE ACCENT}", "東京", "🎬", "a b/c", *map(str, range(7))]
USER_IDS = ["Ünal", "用户", "0", "1", "2", "3"]
TITLES = [f"Title {i} – 映画" if i else "" for i in range(ITEMS)]
# The first attributes of the items by row; the item of the last row has none at all.
GENRES = [*(["drama", "映画", "a:b|c"][: row % 4] for row in range(ITEMS - 1)), []]
YEARS = [*(np.nan if row % 5 == 1 else 1990.5 - row % 3 for row in range(ITEMS - 1)), np.nan]
STUDIOS = [*([f"studio {row % 2}"] if row % 3 else [] for row in range(ITEMS - 1)), []]
VOTES = np.arange(ITEMS, dtype=np.float64)[::-1] - 3
ATTRIBUTES = Attributes.build(
    [
        TextColumn("genres", GENRES),
        NumberColumn("year", np.array(YEARS)),
        TextColumn("studio", STUDIOS),
        NumberColumn("votes", VOTES),
    ],
    ITEMS,
)
USER_FEATURES = ["age:25-34", "country:DE", "occupation:映画"]
FOLD_IN_ROWS = 11
SIMILAR_FILE = layout.index_file(layout.SIMILAR, "annoy")
RECOMMEND_FILE = layout.index_file(layout.RECOMMEND, "annoy")
FILES = [*layout.REQUIRED_FILES["vectors"], layout.ITEM_NORMS, layout.TITLE_OFFSETS, layout.TITLE_BYTES]
FILES = sorted([*FILES, SIMILAR_FILE, RECOMMEND_FILE])
"""Every file that answers are made of."""
ALL_FILES = sorted([*FILES, layout.HELD_OUT_OFFSETS, layout.HELD_OUT_ITEMS])
"""Every file of a publication made here, but for its manifest."""
PROFILE_FILES = [layout.PROFILE_OFFSETS, layout.PROFILE_ITEMS]
ITEM_ITEM_FILES = sorted([*layout.REQUIRED_FILES["neighbours"], *PROFILE_FILES])
"""Every file of an item-item model's publication made here."""
_LATER = [*layout.PAIRS, *layout.ATTRIBUTE_FILES.values(), (layout.ID_RANKS, layout.FOLD_IN)]
EXTENDED_FILES = sorted({*ALL_FILES, *sum(_LATER, ())} - {*PROFILE_FILES})
"""The same for an extended one, which has what came later to the format too."""

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def index_facts(*, dimensions: int, file: str, items: int = ITEMS) -> IndexFacts:
    """Facts about an Annoy index."""
    measured: list[tuple[Any, ...]] = [
        ("exact", {}, {"candidates": 0}, 1.0, 30.5),
        ("annoy", {"trees": 10}, {"search_k": 100, "candidates": 100}, 0.9375, 25.5),
    ]
    names = ("backend", "build", "query", "recall_at_10", "query_microseconds")
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
        trials=[MeasuredSetting(**dict(zip(names, own, strict=True))) for own in measured],
        build_seconds=0.125,
    )


def facts(**changes: Any) -> Manifest:
    """A manifest as the writer takes it."""
    counts = {"train_interactions": 40, "test_interactions": 6}
    features: dict[str, list[str]] = {"item_features": ["genre"], "user_features": []}
    seconds = {"train": 0.5, "index": 0.25}
    loss = {"loss": "warp", "learning_rate": 0.05, "epochs": 3, "normalise": True, "cap": None}
    made = Manifest(
        items=ITEMS,
        users=USERS,
        components=COMPONENTS,
        run=RunFacts(id="run-1", started_at="2026-11-24T04:30:00Z", seconds=seconds),
        libraries={"annoy": "1.17.3", "numpy": "2.4.6"},
        dataset=DatasetFacts(name="példa", split="leave-one-out", **counts, **features),
        hyperparameters=loss,
        metrics={"precision_at_10": 0.258},
        indexes={
            layout.SIMILAR: index_facts(dimensions=COMPONENTS, file=SIMILAR_FILE),
            layout.RECOMMEND: index_facts(dimensions=COMPONENTS + 2, file=RECOMMEND_FILE),
        },
    )
    return replace(made, **changes)


def item_item_facts(**changes: Any) -> Manifest:
    """The same of an item-item model."""
    model = ModelFacts(family="ease", kind="neighbours")
    return facts(**{"components": 0, "indexes": {}, "model": model, **changes})


EVALUATION = EvaluationFacts(
    test=hashlib.sha256(b"test").hexdigest(),
    users=943,
    evaluated_users=900,
    interactions=9000,
    errors={"test_ndcg_at_10_unseen": 0.005, "test_precision_at_10_unseen": 0.004},
    segments=[
        SegmentFacts(
            by=by,
            value=value,
            rule=rule,
            users=users,
            interactions=users,
            metrics={"ndcg_at_10": 0.25, "recall_at_10": 0.5},
            errors={"ndcg_at_10": 0.01},
        )
        for by, value, rule, users in (
            ("user_activity", "low", "1 to 9 seen items", 300),
            ("genres", "Komödie", "7 items", 40),
        )
    ],
)
"""The test of an extended manifest."""


def complete_manifest(*, extended: bool = False, item_item: bool = False) -> Manifest:
    """A manifest as the writer completes it, without a publication around it."""
    names = EXTENDED_FILES if extended else ITEM_ITEM_FILES if item_item else ALL_FILES
    files = {
        name: FileFacts(size=100 + i, sha256=hashlib.sha256(name.encode()).hexdigest())
        for i, name in enumerate(names)
    }
    return (item_item_facts if item_item else facts)(
        format_version=2 if item_item else 1,
        version=layout.version_name(NOON, "3fa9c1"),
        created_at="2026-11-24T12:00:00Z",
        files=files,
        attributes=[*ATTRIBUTES.facts] if extended else [],
        evaluation=EVALUATION if extended else None,
    )


def ragged(rows: Iterable[ArrayLike]) -> Ragged:
    """Rows of item rows."""
    arrays = [np.asarray(row, dtype=np.int32) for row in rows]
    offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
    return Ragged(offsets, np.concatenate([np.empty(0, dtype=np.int32), *arrays]))


def stage(staging: Staging, *, seed: int = 1, extended: bool = False) -> None:
    """Write every file of a publication; its numbers depend on the seed alone."""
    random = np.random.default_rng(seed)
    staging.add_id_map(layout.ITEM_IDS, IdMap.build(ITEM_IDS))
    staging.add_id_map(layout.USER_IDS, IdMap.build(USER_IDS))
    for name, rows in ((layout.ITEM_VECTORS, ITEMS), (layout.USER_VECTORS, USERS)):
        vectors = random.normal(size=(rows, COMPONENTS + 1)).astype(np.float32)
        staging.add_array(name, vectors)
        if name == layout.ITEM_VECTORS:
            norms = np.linalg.norm(vectors[:, :-1].astype(np.float64), axis=1)
            staging.add_array(layout.ITEM_NORMS, norms.astype(np.float32))
    seen = [np.sort(random.choice(ITEMS, size=user, replace=False)) for user in range(USERS)]
    staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, ragged(seen))
    staging.add_ragged(layout.TITLE_OFFSETS, layout.TITLE_BYTES, from_texts(TITLES))
    for name, size in ((SIMILAR_FILE, 1000), (RECOMMEND_FILE, 1200)):
        staging.path(name).write_bytes(random.bytes(size))
    # The first user has nothing held out, the others ever more, and none what they have seen.
    held_out = [np.setdiff1d(np.arange(ITEMS), rows)[: 2 * user] for user, rows in enumerate(seen)]
    staging.add_ragged(layout.HELD_OUT_OFFSETS, layout.HELD_OUT_ITEMS, ragged(held_out))
    if extended:
        _stage_more(staging, random)


def _stage_more(staging: Staging, random: np.random.Generator) -> None:
    ids = IdMap.build(ITEM_IDS)
    in_order = sorted(range(ITEMS), key=lambda row: ids.external_id(row).encode())
    ranks = np.argsort(in_order).astype(np.int32)
    staging.add_array(layout.ID_RANKS, ranks)
    popularity = random.integers(0, 4, ITEMS).astype(np.int32)
    popular = sorted(range(ITEMS), key=lambda row: (-popularity[row], ranks[row]))
    staging.add_array(layout.POPULARITY, popularity)
    staging.add_array(layout.POPULAR_ITEMS, np.array(popular, dtype=np.int32))
    staging.add_id_map(layout.USER_FEATURES, IdMap.build(USER_FEATURES))
    for name, shape in (
        (layout.USER_FEATURE_VECTORS, (len(USER_FEATURES), COMPONENTS + 1)),
        (layout.FOLD_IN, (FOLD_IN_ROWS, COMPONENTS)),
    ):
        # None below 0, as a row of what folds sessions in must be.
        staging.add_array(name, np.abs(random.normal(size=shape)).astype(np.float32))
    staging.add_attributes(ATTRIBUTES)


def neighbours(random: np.random.Generator, items: int, *, most: int = 5) -> Neighbours:
    """Neighbours of items, up to `most` of each, some with a weight below 0."""
    lists = [
        np.sort(random.choice(np.setdiff1d(np.arange(items), [row]), size=size, replace=False))
        for row, size in enumerate(random.integers(0, min(most, items - 1) + 1, items).tolist())
    ]
    rows = ragged(lists)
    return Neighbours(rows, random.normal(0.2, 0.3, len(rows.values)).astype(np.float32))


def publish_item_item(volume: Path, *, seed: int = 1, clock: Clock = utc_now) -> str:
    """Publish an item-item model and return the version's name; profiles lack what users saw last."""
    random = np.random.default_rng(seed)
    seen = [np.sort(random.choice(ITEMS, size=user, replace=False)) for user in range(USERS)]
    with Staging(volume, clock=clock) as staging:
        staging.add_id_map(layout.ITEM_IDS, IdMap.build(ITEM_IDS))
        staging.add_id_map(layout.USER_IDS, IdMap.build(USER_IDS))
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, ragged(seen))
        staging.add_ragged(*PROFILE_FILES, ragged(rows[:-1] for rows in seen))
        staging.add_neighbours(neighbours(random, ITEMS))
        return staging.publish(item_item_facts()).version


def publish(volume: Path, *, seed: int = 1, clock: Clock = utc_now, extended: bool = False) -> str:
    """Publish and return the version's name."""
    attributes = [*ATTRIBUTES.facts] if extended else []
    with Staging(volume, clock=clock) as staging:
        stage(staging, seed=seed, extended=extended)
        return staging.publish(facts(attributes=attributes)).version


def roll_back(volume: Path, *, label: str = layout.DEFAULT_LABEL) -> str:
    """Make a label name what it named before, and return that version."""
    target = labels.rollback_target(volume, label=label)
    expected = labels.read_label_or_none(volume, label)
    labels.swap(volume, target, label=label, expected=expected, verb="rollback")
    return target


def npy(array: NDArray[Any]) -> bytes:
    """The file of an array, also of objects."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


class Mischief:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def daily(volume: Path, count: int, *, first: datetime = NOON) -> list[str]:
    """Publish so many versions, a day apart; oldest first."""
    days = [first + timedelta(days=day) for day in range(count)]
    return [publish(volume, seed=seed, clock=lambda at=at: at) for seed, at in enumerate(days)]


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
    # What UTF-8 hasn't is escaped as JSON does it.
    text = json.dumps(content, indent=2, ensure_ascii=False)
    overwrite(path, text.encode("utf-8", "backslashreplace"))


def checksum(content: dict[str, Any]) -> str:
    """The manifest's checksum as README.md says it, apart from the code under test."""
    rest = {key: value for key, value in content.items() if key != "checksum"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def reseal(directory: Path, name: str, data: bytes) -> None:
    """Replace a file, and make the manifest say that it was always so."""
    overwrite(directory / name, data)
    found = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit_manifest(directory, lambda content: content["files"].update({name: found}))


def make_deadly_id_map(directory: Path) -> None:
    """Let the items' id map say that its first part is enormous: whoever opens it reads beyond it."""
    path = directory / layout.ITEM_IDS
    data = bytearray(path.read_bytes())
    data[24:28] = b"\xff\xff\xff\x7f"
    reseal(directory, path.name, bytes(data))


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
