"""The facts about a publication, as a frozen dataclass and as JSON.

The JSON object carries `checksum`, the SHA-256 of all its other keys in canonical form (sorted keys,
no white space, UTF-8), so that an edit by hand is noticed whichever field it touches.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from lightfm_retriever.files.regular_files import read_regular
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import (
    ManifestError,
    UnsupportedFormatError,
    VolumeError,
    says_nothing,
    shown,
)

FORMAT_VERSION = 1

_TOO_LARGE = "an integer has more than 64 bits"
# A newer format may be told by a large number, which is no reason to say something else.
_MOST_DIGITS = 1000
_MOST_OF_A_NAME = 40
_TOO_DEEP = "can't be read: it is nested too deeply"
_CHECKSUM = "checksum"
MAX_BYTES = 4 << 20
"""More than any manifest has."""

MAX_FILES = 100
"""Of a version; all that layout knows are a third of that."""

# Fields of an index that format 1 gained later, and what they are without it. They are left out then,
# so that an older manifest is encoded as it was.
_ADDED: dict[str, Any] = {"target_recall": None, "trials": [], "build_seconds": 0.0, "depths": []}

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Microseconds = Annotated[float, msgspec.Meta(ge=0)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
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
    sha256: Sha256


@dataclass(frozen=True, kw_only=True)
class MeasuredSetting:
    """One setting that was measured: one point of a backend's curve of recall against time."""

    backend: str
    build: dict[str, Scalar]
    query: dict[str, Scalar]
    recall_at_10: Share
    query_microseconds: Microseconds


@dataclass(frozen=True, kw_only=True)
class Depth:
    """What it takes to find more than ten: for `results` nearest an effort relative to the chosen one.

    `recall` is the share of the true `results` nearest that were found with it.
    """

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
    query_microseconds: Microseconds
    # The same for a bare request of ten neighbours, without looking at more candidates.
    bare_recall_at_10: Share
    bare_query_microseconds: Microseconds
    # Publications from before indexes were tuned have none of these.
    target_recall: Share | None = None
    trials: list[MeasuredSetting] = field(default_factory=list)
    build_seconds: Seconds = 0.0
    depths: list[Depth] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """What the model was trained and evaluated on.

    `weight` is the sum of the weights above 0 of the training and test interactions.
    """

    name: str
    split: str
    train_interactions: Count
    test_interactions: Count
    item_features: list[str]
    user_features: list[str]
    # Publications from before weights were compared have none.
    weight: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The training run that made the publication; `seconds` by stage."""

    id: str
    started_at: str
    seconds: dict[str, Seconds]


@dataclass(frozen=True, kw_only=True)
class AttributeFacts:
    """An attribute of items: `kind` "text" for any number of distinct values, "number" for one."""

    name: str
    kind: AttributeKind


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All facts about one publication.

    `items` and `users` are counts of rows, `components` the embedding's dimensions without bias.
    `attributes` are in the order that lightfm_retriever.publication.attributes numbers them in.
    `version`, `created_at` (RFC 3339, UTC) and `files` are filled in by the writer.
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
    # Publications from before there were attributes have none.
    attributes: list[AttributeFacts] = field(default_factory=list)
    format_version: int = FORMAT_VERSION
    version: str = ""
    created_at: str = ""
    files: dict[str, FileFacts] = field(default_factory=dict)


class _OddError(Exception):
    """What keeps a manifest from being read, in words."""


def encode(manifest: Manifest) -> bytes:
    """The manifest as indented JSON with its checksum; ValueError when a number isn't finite."""
    content = msgspec.to_builtins(manifest)
    for index in content["indexes"].values():
        for name, nothing in _ADDED.items():
            # Of a decoded manifest msgspec leaves out some defaults by itself.
            if index.get(name, nothing) == nothing:
                index.pop(name, None)
    if not content.get("attributes"):
        content.pop("attributes", None)
    if content["dataset"].get("weight") is None:
        content["dataset"].pop("weight", None)
    content[_CHECKSUM] = _checksum(content)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def decode(data: bytes, *, path: Path | str, version: str) -> Manifest:
    """Parse and check a manifest.

    Args:
        data: the file's bytes.
        path: the file or its URL, for error messages.
        version: the name of the directory that it lies in.

    Raises:
        UnsupportedFormatError: it has another format version.
        ManifestError: it isn't JSON, lacks a field, has one of a wrong type or out of range, was
            edited, or is another version's.
    """
    content = _parse(data, path)
    found = content.get("format_version")
    # `True == 1` in Python, so the type counts too.
    if type(found) is not int or found != FORMAT_VERSION:
        raise UnsupportedFormatError(path, found, FORMAT_VERSION)
    try:
        expected = _checksum(content)
    except RecursionError as error:
        raise ManifestError(path, _TOO_DEEP) from error
    except ValueError as error:
        raise ManifestError(path, f"can't be checked: {error}") from error
    if (odd := _odd(content)) is not None:
        raise ManifestError(path, f"can't be used: {odd}")
    if (found := content.get(_CHECKSUM)) != expected:
        has = f"checksum is {shown(found)}" if _CHECKSUM in content else "there is no checksum"
        raise ManifestError(
            path, f"{has}, but its content gives {expected!r}: it was edited after publication"
        )
    try:
        manifest = msgspec.convert(content, Manifest)
    except msgspec.ValidationError as error:
        raise ManifestError(path, str(error)) from error
    _check_consistent(manifest, path, version)
    return manifest


def _parse(data: bytes, path: Path | str) -> dict[str, Any]:
    try:
        content = json.loads(data, object_pairs_hook=_object, parse_int=_integer)
    except _OddError as error:
        raise ManifestError(path, f"can't be used: {error}") from error
    except UnicodeDecodeError as error:
        coding = error.encoding.upper()
        raise ManifestError(path, f"isn't JSON: byte {error.start} isn't {coding}") from error
    except RecursionError as error:
        raise ManifestError(path, _TOO_DEEP) from error
    except ValueError as error:
        raise ManifestError(path, f"isn't JSON: {error}") from error
    if not isinstance(content, dict):
        raise ManifestError(path, "should be a JSON object, but isn't")
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # The last counts, so the content may be as it was published all the same.
        [[twice, _]] = Counter(name for name, _ in pairs).most_common(1)
        raise _OddError(f"{shown(twice)} is there twice: it was edited after publication")
    return found


def _integer(text: str) -> int:
    # Of thousands of digits it takes long, or can't be.
    if len(text) > _MOST_DIGITS:
        raise _OddError(_TOO_LARGE)
    return int(text)


def read(directory: Path, *, version: str | None = None) -> Manifest:
    """Read and check the manifest of one version's directory; raises as `decode` and `unreadable` do.

    Args:
        directory: of the version.
        version: its name; None for that of the directory.
    """
    path = directory / layout.MANIFEST
    try:
        data = read_regular(path, max_bytes=MAX_BYTES + 1)
    except OSError as error:
        if says_nothing(error):
            raise VolumeError(path, error.strerror or str(error)) from error
        raise ManifestError(path, error.strerror or str(error)) from error
    if len(data) > MAX_BYTES:
        raise ManifestError(path, f"is larger than {MAX_BYTES} bytes")
    return decode(data, path=path, version=directory.name if version is None else version)


def _checksum(content: dict[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != _CHECKSUM}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _odd(value: object) -> str | None:
    """What of a JSON value no message, no metric and no terminal can hold; None for nothing.

    Who lists versions shows many manifests at once, and one of these would hide all others.
    """
    # Not by recursion: it may be nested as deep as Python's stack.
    left = [value]
    while left:
        match left.pop():
            case str() as text:
                try:
                    text.encode()
                except UnicodeEncodeError:
                    return f"the text {text[:60]!a} isn't Unicode"
            case int() as number if not -(2**63) <= number < 2**63:
                return _TOO_LARGE
            case dict() as mapping:
                left += [*mapping, *mapping.values()]
            case list() as values:
                left += values
    return None


def _check_consistent(manifest: Manifest, path: Path | str, version: str) -> None:
    """What types can't say. The checksum guards against accidents; this against our own mistakes
    and against manifests that someone signed anew."""
    if manifest.version != version:
        raise ManifestError(path, f"version is {shown(manifest.version)}, but it lies in {version!r}")
    try:
        offset = datetime.fromisoformat(manifest.created_at).utcoffset()
    except ValueError:
        offset = None
    if offset != timedelta(0):
        raise ManifestError(path, f"created_at is {shown(manifest.created_at)}, which isn't a UTC time")
    _check_files(manifest, path)
    _check_attributes(manifest, path)
    _check_indexes(manifest, path)


def _check_files(manifest: Manifest, path: Path | str) -> None:
    if len(manifest.files) > MAX_FILES:
        raise ManifestError(
            path, f"files: there are {len(manifest.files)}, but a version has at most {MAX_FILES}"
        )
    for name in manifest.files:
        if not layout.is_file_name(name):
            raise ManifestError(path, f"files: {shown(name)} isn't a plain file name")
    for name in layout.REQUIRED_FILES:
        if name not in manifest.files:
            raise ManifestError(path, f"files: {name!r} is missing")
    for one, other in (*layout.OPTIONAL_PAIRS, *layout.OTHER_PAIRS):
        if (one in manifest.files) != (other in manifest.files):
            raise ManifestError(path, f"files: {one!r} and {other!r} need each other")
    missing = [name for name in layout.MODEL_FILES if name not in manifest.files]
    if 0 < len(missing) < len(layout.MODEL_FILES):
        raise ManifestError(
            path, f"files: {missing[0]!r} is missing, though there are others of a model's files"
        )


def _check_attributes(manifest: Manifest, path: Path | str) -> None:
    names: set[str] = set()
    for position, attribute in enumerate(manifest.attributes):
        where = f"attributes[{position}]"
        if not attribute.name:
            raise ManifestError(path, f"{where}: the name is empty")
        if attribute.name == RESERVED_ATTRIBUTE:
            raise ManifestError(path, f"{where}: {attribute.name!r} is reserved")
        if attribute.name in names:
            raise ManifestError(path, f"{where}: {shown(attribute.name)} is there already")
        names.add(attribute.name)
    kinds = {attribute.kind for attribute in manifest.attributes}
    for kind, files in layout.ATTRIBUTE_FILES.items():
        for name in files:
            if kind in kinds and name not in manifest.files:
                raise ManifestError(path, f"files: {name!r} is missing, though attributes has a {kind}")
            if kind not in kinds and name in manifest.files:
                raise ManifestError(path, f"files: {name!r} is there, but attributes has no {kind}")


def _check_indexes(manifest: Manifest, path: Path | str) -> None:
    for name in (layout.SIMILAR, layout.RECOMMEND):
        if name not in manifest.indexes:
            raise ManifestError(path, f"indexes: {name!r} is missing")
    for name, index in manifest.indexes.items():
        where = f"indexes.{name}" if len(name) <= _MOST_OF_A_NAME else f"indexes[{shown(name)}]"
        if index.items != manifest.items:
            raise ManifestError(path, f"{where}.items is {index.items}, but items is {manifest.items}")
        results = [TUNED_FOR, *(depth.results for depth in index.depths)]
        for less, more in pairwise(results):
            if more <= less:
                raise ManifestError(
                    path,
                    f"{where}.depths: {more} results come after {less}, but should ascend, from above "
                    f"{TUNED_FOR}",
                )
        if index.file is None:
            continue
        if index.file != (expected := layout.index_file(name, index.backend)):
            raise ManifestError(
                path, f"{where}.file is {shown(index.file)}, but should be {shown(expected)}"
            )
        if index.file not in manifest.files:
            raise ManifestError(path, f"{where}.file: {shown(index.file)} isn't among files")
