"""What can be wrong with a version, a label or a volume."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lightfm_retriever.publication import layout
from tests.publications import edit_manifest, overwrite, reseal

_ENDLESS_BYTES = 1 << 43
SIMILAR = layout.index_file(layout.SIMILAR, "annoy")
RECOMMEND = layout.index_file(layout.RECOMMEND, "annoy")


def _truncate(directory: Path) -> None:
    path = directory / SIMILAR
    overwrite(path, path.read_bytes()[:-1000])


def _swap(directory: Path) -> None:
    similar, recommend = (directory / name for name in (SIMILAR, RECOMMEND))
    similar_bytes, recommend_bytes = similar.read_bytes(), recommend.read_bytes()
    overwrite(similar, recommend_bytes)
    overwrite(recommend, similar_bytes)


def _flip_a_bit(directory: Path) -> None:
    path = directory / RECOMMEND
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    overwrite(path, bytes(data))


def _lose_a_file(directory: Path) -> None:
    (directory / layout.USER_VECTORS).unlink()


def _edit_the_manifest(directory: Path) -> None:
    edit_manifest(directory, lambda content: content.update(components=99), sign=False)


def _sign_another_metric(directory: Path) -> None:
    edit_manifest(
        directory, lambda content: content["indexes"][layout.SIMILAR].update(metric="euclidean")
    )


def _sign_other_dimensions(directory: Path) -> None:
    edit_manifest(directory, lambda content: content["indexes"][layout.SIMILAR].update(dimensions=17))


def _sign_an_unknown_format(directory: Path) -> None:
    edit_manifest(directory, lambda content: content.update(format_version=2))


def _write_nonsense(directory: Path) -> None:
    overwrite(directory / layout.MANIFEST, b"\x00not a manifest")


def _publish_nan(directory: Path) -> None:
    vectors = np.load(directory / layout.ITEM_VECTORS).copy()
    vectors[3, 3] = np.nan
    file = io.BytesIO()
    np.save(file, vectors)
    reseal(directory, layout.ITEM_VECTORS, file.getvalue())


DAMAGES: dict[str, Callable[[Path], None]] = {
    "an index file cut short": _truncate,
    "two index files swapped": _swap,
    "one bit of an index flipped": _flip_a_bit,
    "a file missing": _lose_a_file,
    "a manifest edited": _edit_the_manifest,
    "another metric, signed": _sign_another_metric,
    "other dimensions, signed": _sign_other_dimensions,
    "an unknown format, signed": _sign_an_unknown_format,
    "a manifest of nonsense": _write_nonsense,
    "NaN in the vectors, signed": _publish_nan,
}
"""By name: each spoils a version that was published whole."""

BAD_LABELS: dict[str, bytes] = {
    "empty": b"",
    "a path": b"../../etc/passwd\n",
    "binary rubbish": bytes(range(256)),
    "a version that doesn't exist": b"20200101T000000Z-abcdef\n",
    "far too long": b"20200101T000000Z-abcdef" * 1000,
}
"""What a label's file may hold by mistake."""


def write_label(volume: Path, content: bytes) -> None:
    """Replace the text of the label `current` as a whole, past our own writer's checks."""
    path = layout.label_file(volume, layout.DEFAULT_LABEL)
    temporary = layout.staging_dir(volume) / "label"
    temporary.write_bytes(content)
    os.replace(temporary, path)


def fill_disk(disk: Path) -> Path:
    """Leave no byte free on a small disk of the campaign's own; returns the file to remove."""
    filler = disk / "filler"
    state = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize)
    return filler


def replace_by_fifo(path: Path) -> None:
    """Put a FIFO without a writer in a file's place: to wait for it is to wait for ever."""
    fifo = path.with_name(f".{path.name}-fifo")
    os.mkfifo(fifo)
    os.replace(fifo, path)


def replace_files(directory: Path, source: Path) -> list[str]:
    """Put another version's files in the place of those of equal size and other bytes.

    Their times stay, and the manifest. Returns which.
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
    """Have reading a version take hours, without taking room on the disk."""
    path = directory / layout.USER_VECTORS
    path.chmod(0o644)
    os.truncate(path, _ENDLESS_BYTES)
    edit_manifest(directory, lambda content: content["files"][path.name].update(size=_ENDLESS_BYTES))
