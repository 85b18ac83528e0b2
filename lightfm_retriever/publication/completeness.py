"""Whether the files that a manifest lists are those that a version needs."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import shown

MAX_FILES = 100
"""The most files of a version; layout knows half as many."""


def file_problems(
    files: Collection[str], kind: layout.Kind, attribute_kinds: Collection[str]
) -> Iterator[str]:
    """Yield the problems of the file names of a version.

    Args:
        files: the names.
        kind: of the model.
        attribute_kinds: of the attributes of items.
    """
    if len(files) > MAX_FILES:
        yield f"there are {len(files)}, but a version has at most {MAX_FILES}"
    yield from (
        f"{shown(own)} isn't a plain file name" for own in files if not layout.is_file_name(own)
    )
    yield from (f"{name!r} is missing" for name in layout.REQUIRED_FILES[kind] if name not in files)
    yield from (
        f"{name!r} is there, but a model of {kind} has no such file"
        for name in files
        if name in layout.FILES and not layout.FILES[name].fits(kind)
    )
    for one, other in layout.PAIRS:
        if (one in files) != (other in files):
            yield f"only one of {one!r} and {other!r} is there, but both are needed"
    missing = [name for name in layout.MODEL_FILES if name not in files]
    if 0 < len(missing) < len(layout.MODEL_FILES):
        yield f"{missing[0]!r} is missing, but other files of the model are there"
    yield from _of_attributes(files, attribute_kinds)


def _of_attributes(files: Collection[str], kinds: Collection[str]) -> Iterator[str]:
    for kind, names in layout.ATTRIBUTE_FILES.items():
        told = "missing, though attributes has a" if kind in kinds else "there, but attributes has no"
        for name in names:
            if (kind in kinds) != (name in files):
                yield f"{name!r} is {told} {kind}"
