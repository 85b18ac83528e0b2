"""Targets: what parses one file of a volume. Nothing but our own errors may come of it."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np

from lightfm_retriever.publication import labels, layout, manifest, search_effort
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    LabelError,
    NothingToRollBackToError,
)
from lightfm_retriever.publication.manifest import Depth
from lightfm_retriever.publication.storage.arrays import map_array
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import Ragged, are_among
from lightfm_retriever.publication.vectors.vector_space import best
from tests import publications, retrievable
from tests.fuzz import mutation
from tests.fuzz.runner import Execute, note

_VERSION = "20261124T043500Z-3fa9c1"


def manifests(_: Path) -> Execute:
    path = Path("manifest.json")
    whole = [manifest.encode(publications.complete_manifest(extended=own)) for own in (False, True)]

    def execute(random: Random) -> str:
        data = random.choice(whole)
        version = json.loads(data)["version"]
        if random.random() < 0.4:
            data = mutation.mutate_bytes(random, data)
        else:
            content = json.loads(data)
            for _ in range(random.choice((1, 1, 2, 4))):
                content = mutation.mutate_json(random, content)
            if isinstance(content, dict):
                content["checksum"] = publications.checksum(content)
            data = json.dumps(content).encode()
        try:
            read = manifest.decode(data, path=path, version=version)
        except InvalidPublicationError as error:
            return f"{type(error).__name__} {error.reason[:30]}"
        # What is accepted can be written, and says the same again.
        assert manifest.decode(manifest.encode(read), path=path, version=version) == read
        return "accepted"

    return execute


def label_files(directory: Path) -> Execute:
    label, history = (own(directory, "current") for own in (layout.label_file, layout.history_file))
    for path in (label, history, layout.version_dir(directory, _VERSION) / "x"):
        path.parent.mkdir(parents=True, exist_ok=True)

    def execute(random: Random) -> str:
        label.write_bytes(mutation.mutate_bytes(random, _VERSION.encode() + b"\n"))
        verbs = random.choices(("promote", "rollback", ""), k=5)
        lines = "".join(f"\n{verb} {_VERSION}\n" for verb in verbs)
        history.write_bytes(mutation.mutate_bytes(random, lines.encode()))
        try:
            named = labels.read_label(directory, "current")
            assert layout.is_version_name(named)
        except LabelError:
            named = "refused"
        try:
            assert layout.is_version_name(labels.rollback_target(directory))
        except NothingToRollBackToError:
            return f"{named == _VERSION} nothing"
        return f"{named == _VERSION} back"

    return execute


def id_maps(directory: Path) -> Execute:
    ids = retrievable.ids(retrievable.ODD_ITEM_IDS, 60)
    path = directory / "hostile.trie"
    IdMap.build(ids).save(path)
    whole = path.read_bytes()

    def execute(random: Random) -> str:
        note("open")
        publications.overwrite(path, mutation.mutate_bytes(random, whole))
        try:
            id_map = IdMap.open(path)
        except InvalidPublicationError:
            return "refused"
        note("look up")
        for own in (*ids, *mutation.TEXTS):
            id_map.row(own)
        note("restore")
        for row in (*range(min(len(id_map), 100)), -1, len(id_map), 2**70):
            try:
                id_map.external_id(row)
            except (IndexError, UnicodeDecodeError):
                continue
        return f"opened {len(id_map) == len(ids)}"

    return execute


def arrays(directory: Path) -> Execute:
    made = np.random.default_rng(1)
    whole = [
        made.normal(size=(20, 5)).astype(np.float32),
        np.arange(21, dtype=np.int64),
        np.empty((0, 5), dtype=np.float32),
    ]
    path = directory / "hostile.npy"

    def execute(random: Random) -> str:
        array = random.choice(whole)
        np.save(path, array)
        data = path.read_bytes()
        if random.random() < 0.3:
            data = mutation.mutate_array(random, array)
        publications.overwrite(path, mutation.mutate_bytes(random, data))
        try:
            mapped = map_array(path, array.dtype, (None, *array.shape[1:]))
        except InvalidPublicationError as error:
            return error.reason[:30]
        assert mapped.dtype == array.dtype
        assert mapped.shape[1:] == array.shape[1:]
        # Every byte is there.
        mapped.tobytes()
        return "mapped"

    return execute


def rows(_: Path) -> Execute:
    def execute(random: Random) -> str:
        offsets = np.cumsum([0, *(random.randrange(4) for _ in range(random.randrange(6)))])
        values = np.array([random.randrange(-1, 9) for _ in range(offsets[-1])], dtype=np.int32)
        for _ in range(random.choice((0, 0, 1, 2))):
            offsets[random.randrange(len(offsets))] = random.choice((-1, 0, 1, 5, 2**62, -(2**62)))
        given = Ragged(offsets, values)
        problem = given.problem()
        if problem is None:
            whole = [given[row].tolist() for row in range(len(given))]
            assert [value for own in whole for value in own] == values.tolist()
            wrong = [row for row, own in enumerate(whole) if own != sorted({*own})]
            assert given.first_not_ascending(chunk=2) == (wrong[0] if wrong else None)
        ascending = np.unique(values)
        asked = np.array([random.randrange(-2, 10) for _ in range(4)])
        assert are_among(asked, ascending).tolist() == [own in {*ascending.tolist()} for own in asked]
        scores = np.array([random.choice((0, 1, -1, 2, -np.inf)) for _ in range(6)], dtype=np.float32)
        most = random.randrange(1, 9)
        expected = sorted(range(6), key=lambda row: (-scores[row], row))[:most]
        assert best(scores, most).tolist() == expected
        return str(problem)[:4]

    return execute


def efforts(_: Path) -> Execute:
    content = json.loads(manifest.encode(publications.complete_manifest()))
    path = Path("manifest.json")

    def execute(random: Random) -> str:
        content["indexes"]["similar"]["depths"] = [
            {
                "results": mutation.integer(random) if random.random() < 0.3 else 11 + 7 * place,
                "effort": mutation.number(random),
                "recall": 1.0,
            }
            for place in range(random.randrange(4))
        ]
        content["checksum"] = publications.checksum(content)
        try:
            read = manifest.decode(json.dumps(content).encode(), path=path, version=content["version"])
        except InvalidPublicationError as error:
            return error.reason[:30]
        depths: list[Depth] = read.indexes["similar"].depths
        effort = search_effort.Depths(depths).effort(random.choice((1, 10, 11, 12, 25, 1000, 2**31)))
        found = search_effort.scaled(
            random.choice((0, 1, 1000, 2**31 - 1)),
            count=random.choice((1, 10, 1000, 2**31 - 1)),
            candidates=random.choice((0, 10, 1000, 2**31 - 1)),
            per_candidate=random.choice((1e-9, 1.0, 1e4)),
            effort=effort * random.choice((0.1, 1.0, 100.0)),
            most=random.choice((1, 1000, 2**31 - 1)),
        )
        assert type(found) is int
        assert 1 <= found < 2**31
        return "scaled"

    return execute
