"""The facts about a publication, as a frozen dataclass and as a JSON object with a checksum."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from lightfm_retriever.files.regular_files import read_regular
from lightfm_retriever.publication import layout, signed_json
from lightfm_retriever.publication.errors import (
    ManifestError,
    UnsupportedFormatError,
    VolumeError,
    says_nothing,
    shown,
)

FORMAT_VERSION = 1
MAX_BYTES = 4 << 20
"""More than any manifest has."""

MAX_FILES = 100
"""Of a version; all that layout knows are a third of that."""

# Fields that format 1 gained later, and what they are without it. They are left out then, so that an
# older manifest is encoded as it was.
_ADDED: dict[str, Any] = {"target_recall": None, "trials": [], "build_seconds": 0.0, "depths": []}
_ADDED |= {"attributes": [], "weight": None}

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Duration = Annotated[float, msgspec.Meta(ge=0)]
Scalar = str | bool | int | float | None
AttributeKind = Literal["text", "number"]

TUNED_FOR = 10
"""Number of results that the settings of an index were tuned for: recall@10."""

MAX_EFFORT = 1e9
"""Largest effort in `depths`: multiplied by what a request asks for, it is still a number."""

RESERVED_ATTRIBUTE = "title"
"""No attribute's name, since titles are published and returned under it."""


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """Size in bytes and SHA-256 (hex) of one file."""

    size: Count
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, kw_only=True)
class MeasuredSetting:
    """One setting that was measured: one point of a backend's curve of recall against time."""

    backend: str
    build: dict[str, Scalar]
    query: dict[str, Scalar]
    recall_at_10: Share
    query_microseconds: Duration


@dataclass(frozen=True, kw_only=True)
class Depth:
    """What finds a share `recall` of the `results` nearest: an effort relative to the chosen one."""

    results: Positive
    effort: Annotated[float, msgspec.Meta(gt=0, le=MAX_EFFORT)]
    recall: Share


@dataclass(frozen=True, kw_only=True)
class IndexFacts:
    """How an index was built, how to query it, and how well it was measured to answer.

    `dimensions` is that of the indexed vectors, after any transform. `recall_at_10` is the share of
    the true ten nearest that a query finds as the retriever asks it, `query_microseconds` the median
    time of that search on one thread of the machine that built it.

    `target_recall` is what the settings were tuned for, None when they weren't; `trials` are all
    settings that were measured, in that order, the chosen one among them; `build_seconds` is the time
    that building and saving the chosen index took. `depths`, in ascending order, tell how hard to
    search for more than ten, as far as the target can be reached in less time than by exact search.
    """

    backend: str
    metric: str
    dimensions: Positive
    items: Positive
    file: str | None
    build: dict[str, Scalar]
    query: dict[str, Scalar]
    recall_at_10: Share
    query_microseconds: Duration
    # The same for a bare request of ten neighbours, without looking at more candidates.
    bare_recall_at_10: Share
    bare_query_microseconds: Duration
    target_recall: Share | None = None
    trials: list[MeasuredSetting] = field(default_factory=list)
    build_seconds: Duration = 0.0
    depths: list[Depth] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """What the model was trained and evaluated on."""

    name: str
    split: str
    train_interactions: Count
    test_interactions: Count
    item_features: list[str]
    user_features: list[str]
    # The sum of the weights above 0 of all interactions; older publications have none.
    weight: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The training run that made the publication; `seconds` by stage."""

    id: str
    started_at: str
    seconds: dict[str, Duration]


@dataclass(frozen=True, kw_only=True)
class AttributeFacts:
    """An attribute of items: `kind` "text" for any number of distinct values, "number" for one."""

    name: str
    kind: AttributeKind


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All facts about one publication.

    `items` and `users` are counts of rows, `components` the embedding's dimensions without bias. The
    order of `attributes` is that of publication.attributes. The writer fills in `version`, `created_at`
    (RFC 3339, UTC) and `files`.
    """

    items: Positive
    users: Count
    components: Positive
    run: RunFacts
    libraries: dict[str, str]
    dataset: DatasetFacts
    hyperparameters: dict[str, Scalar]
    metrics: dict[str, float]
    indexes: dict[str, IndexFacts]
    attributes: list[AttributeFacts] = field(default_factory=list)
    format_version: int = FORMAT_VERSION
    version: str = ""
    created_at: str = ""
    files: dict[str, FileFacts] = field(default_factory=dict)


def encode(manifest: Manifest) -> bytes:
    """The manifest as indented JSON with its checksum; ValueError when a number isn't finite."""
    content = msgspec.to_builtins(manifest)
    for facts in (content, content["dataset"], *content["indexes"].values()):
        for name, nothing in _ADDED.items():
            # Of a decoded manifest msgspec leaves out some defaults by itself.
            if facts.get(name, nothing) == nothing:
                facts.pop(name, None)
    return signed_json.encode(content)


def decode(data: bytes, *, path: Path | str, version: str) -> Manifest:
    """Parse and check a manifest; `path` is for messages, `version` its directory's name.

    Raises:
        UnsupportedFormatError: it has another format version.
        ManifestError: it isn't JSON, lacks a field, has one of a wrong type or out of range, was
            edited, or is another version's.
    """
    content = signed_json.parse(data, path)
    found = content.get("format_version")
    # `True == 1` in Python, so the type counts too.
    if type(found) is not int or found != FORMAT_VERSION:
        raise UnsupportedFormatError(path, found, FORMAT_VERSION)
    signed_json.check(content, path)
    try:
        manifest = msgspec.convert(content, Manifest)
    except msgspec.ValidationError as error:
        raise ManifestError(path, str(error)) from error
    # The checksum guards against accidents; this against our own mistakes and against manifests that
    # someone signed anew.
    if (problem := next(_problems(manifest, version), None)) is not None:
        raise ManifestError(path, problem)
    return manifest


def read(directory: Path, *, version: str | None = None) -> Manifest:
    """Read and check the manifest of a directory, by default of the version that it is named after.

    Raises as `decode` and `unreadable` do.
    """
    path = directory / layout.MANIFEST
    try:
        data = read_regular(path, max_bytes=MAX_BYTES + 1)
    except OSError as error:
        kind = VolumeError if says_nothing(error) else ManifestError
        raise kind(path, error.strerror or str(error)) from error
    if len(data) > MAX_BYTES:
        raise ManifestError(path, f"is larger than {MAX_BYTES} bytes")
    return decode(data, path=path, version=directory.name if version is None else version)


def _problems(manifest: Manifest, version: str) -> Iterator[str]:
    """What types can't say."""
    if manifest.version != version:
        yield f"version is {shown(manifest.version)}, but it lies in {version!r}"
    try:
        offset = datetime.fromisoformat(manifest.created_at).utcoffset()
    except ValueError:
        offset = None
    if offset != timedelta(0):
        yield f"created_at is {shown(manifest.created_at)}, which isn't a UTC time"
    yield from (f"files: {problem}" for problem in _file_problems(manifest.files))
    yield from _attribute_problems(manifest)
    both = (layout.SIMILAR, layout.RECOMMEND)
    yield from (f"indexes: {name!r} is missing" for name in both if name not in manifest.indexes)
    for name in manifest.indexes:
        where = f"indexes.{name}" if len(name) <= 40 else f"indexes[{shown(name)}]"
        yield from (f"{where}.{problem}" for problem in _index_problems(manifest, name))


def _file_problems(files: Collection[str]) -> Iterator[str]:
    if len(files) > MAX_FILES:
        yield f"there are {len(files)}, but a version has at most {MAX_FILES}"
    yield from (
        f"{shown(own)} isn't a plain file name" for own in files if not layout.is_file_name(own)
    )
    yield from (f"{name!r} is missing" for name in layout.REQUIRED_FILES if name not in files)
    for one, other in layout.PAIRS:
        if (one in files) != (other in files):
            yield f"{one!r} and {other!r} need each other"
    missing = [name for name in layout.MODEL_FILES if name not in files]
    if 0 < len(missing) < len(layout.MODEL_FILES):
        yield f"{missing[0]!r} is missing, though there are others of a model's files"


def _attribute_problems(manifest: Manifest) -> Iterator[str]:
    names: set[str] = set()
    for position, attribute in enumerate(manifest.attributes):
        where, name = f"attributes[{position}]", attribute.name
        if not name:
            yield f"{where}: the name is empty"
        if name == RESERVED_ATTRIBUTE:
            yield f"{where}: {name!r} is reserved"
        if name in names:
            yield f"{where}: {shown(name)} is there already"
        names.add(name)
    kinds = {attribute.kind for attribute in manifest.attributes}
    for kind, files in layout.ATTRIBUTE_FILES.items():
        for name in files:
            if (kind in kinds) != (name in manifest.files):
                odd = (
                    "missing, though attributes has a"
                    if kind in kinds
                    else "there, but attributes has no"
                )
                yield f"files: {name!r} is {odd} {kind}"


def _index_problems(manifest: Manifest, name: str) -> Iterator[str]:
    index = manifest.indexes[name]
    if index.items != manifest.items:
        yield f"items is {index.items}, but items is {manifest.items}"
    for less, more in pairwise([TUNED_FOR, *(depth.results for depth in index.depths)]):
        if more <= less:
            above = f"from above {TUNED_FOR}"
            yield f"depths: {more} results come after {less}, but should ascend, {above}"
    expected = layout.index_file(name, index.backend)
    if index.file not in (None, expected):
        yield f"file is {shown(index.file)}, but should be {shown(expected)}"
    if index.file not in (None, *manifest.files):
        yield f"file: {shown(index.file)} isn't among files"
