"""Targets: what parses one file of a volume. Nothing but our own errors may come of it."""

import json
from pathlib import Path
from random import Random

import numpy as np

from lightfm_retriever.publication import labels, layout, manifest
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    LabelError,
    NothingToRollBackToError,
)
from lightfm_retriever.publication.storage.arrays import map_array
from lightfm_retriever.publication.storage.id_map import IdMap
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
        changed = random.random() < 0.3
        data = mutation.mutate_array(random, array) if changed else publications.npy(array)
        path.write_bytes(mutation.mutate_bytes(random, data))
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
