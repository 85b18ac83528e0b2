"""Damages versions, labels and volumes."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lightfm_retriever.publication import layout
from tests.publications import edit_manifest, npy, overwrite, reseal

_ENDLESS_BYTES = 1 << 43
SIMILAR = layout.index_file(layout.SIMILAR, "annoy")
RECOMMEND = layout.index_file(layout.RECOMMEND, "annoy")


def _swap(directory: Path) -> None:
    similar, recommend = (directory / name for name in (SIMILAR, RECOMMEND))
    similar_bytes, recommend_bytes = similar.read_bytes(), recommend.read_bytes()
    overwrite(similar, recommend_bytes)
    overwrite(recommend, similar_bytes)


def _flip_a_bit(directory: Path) -> None:
    data = bytearray((directory / RECOMMEND).read_bytes())
    data[len(data) // 2] ^= 1
    overwrite(directory / RECOMMEND, bytes(data))


def _publish_nan(directory: Path) -> None:
    vectors = np.load(directory / layout.ITEM_VECTORS).copy()
    vectors[3, 3] = np.nan
    reseal(directory, layout.ITEM_VECTORS, npy(vectors))


def _signed(part: Callable[[Any], dict[str, Any]], **changes: object) -> Callable[[Path], None]:
    """Return a function that changes a part of a manifest, and corrects its checksum."""
    return lambda directory: edit_manifest(directory, lambda content: part(content).update(changes))


def _similar(content: Any) -> Any:
    return content["indexes"][layout.SIMILAR]


DAMAGES: dict[str, Callable[[Path], object]] = {
    "an index file cut short": lambda directory: overwrite(
        directory / SIMILAR, (directory / SIMILAR).read_bytes()[:-1000]
    ),
    "two index files swapped": _swap,
    "one bit of an index flipped": _flip_a_bit,
    "a file missing": lambda directory: (directory / layout.USER_VECTORS).unlink(),
    "a manifest edited": lambda directory: edit_manifest(
        directory, lambda content: content.update(components=99), sign=False
    ),
    "another metric, signed": _signed(_similar, metric="euclidean"),
    "other dimensions, signed": _signed(_similar, dimensions=17),
    "an unknown format, signed": _signed(lambda content: content, format_version=9),
    "a manifest of nonsense": lambda directory: overwrite(
        directory / layout.MANIFEST, b"\x00not a manifest"
    ),
    "NaN in the vectors, signed": _publish_nan,
}
"""Damages by name. Each function damages a valid version."""

BAD_LABELS: dict[str, bytes] = {
    "empty": b"",
    "a path": b"../../etc/passwd\n",
    "binary rubbish": bytes(range(256)),
    "a version that doesn't exist": b"20200101T000000Z-abcdef\n",
    "far too long": b"20200101T000000Z-abcdef" * 1000,
}
"""Wrong contents of a label's file, by name."""


def write_label(volume: Path, content: bytes) -> None:
    """Replace the text of the label `current` atomically, without the checks of our own writer."""
    path = layout.label_file(volume, layout.DEFAULT_LABEL)
    temporary = layout.staging_dir(volume) / "label"
    temporary.write_bytes(content)
    os.replace(temporary, path)


def fill_disk(disk: Path) -> Path:
    """Fill the campaign's small disk to the last byte. Returns the file to remove afterwards."""
    filler = disk / "filler"
    state = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize)
    return filler


def replace_by_fifo(path: Path) -> None:
    """Replace a file by a FIFO without a writer: a process that opens it would wait forever."""
    fifo = path.with_name(f".{path.name}-fifo")
    os.mkfifo(fifo)
    os.replace(fifo, path)


def replace_files(directory: Path, source: Path) -> list[str]:
    """Replace files by another version's files of equal size and other bytes.

    Keeps the files' times, and the manifest. Returns the names of the replaced files.
    """
    replaced = []
    for path in sorted(directory.iterdir()):
        before, data = path.stat(), (source / path.name).read_bytes()
        if path.name == layout.MANIFEST or len(data) != before.st_size or data == path.read_bytes():
            continue
        other = path.with_name(f".{path.name}-other")
        other.write_bytes(data)
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.replace(other, path)
        replaced.append(path.name)
    return replaced


def make_endless(directory: Path) -> None:
    """Make reading a version take hours, by a sparse file that needs no space on the disk."""
    path = directory / layout.USER_VECTORS
    path.chmod(0o644)
    os.truncate(path, _ENDLESS_BYTES)
    edit_manifest(directory, lambda content: content["files"][path.name].update(size=_ENDLESS_BYTES))
