"""The manifest: the facts about a version, as a dataclass and as a JSON object with a checksum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from lightfm_retriever.files.regular_files import read_regular
from lightfm_retriever.publication import layout, signed_json
from lightfm_retriever.publication.completeness import file_problems
from lightfm_retriever.publication.errors import (
    ManifestError,
    UnsupportedFormatError,
    VolumeError,
    says_nothing,
    shown,
)
from lightfm_retriever.publication.evaluation_facts import EvaluationFacts
from lightfm_retriever.publication.index_facts import MAX_EFFORT as MAX_EFFORT
from lightfm_retriever.publication.index_facts import (
    TUNED_FOR,
    Count,
    Duration,
    Positive,
)
from lightfm_retriever.publication.index_facts import Depth as Depth
from lightfm_retriever.publication.index_facts import IndexFacts as IndexFacts
from lightfm_retriever.publication.index_facts import MeasuredSetting as MeasuredSetting
from lightfm_retriever.publication.index_facts import Scalar as Scalar
from lightfm_retriever.publication.index_facts import WayFacts as WayFacts

FORMAT_VERSIONS = (1, 2)
"""The format versions that this release reads. It writes the oldest one that has all files."""

MAX_BYTES = 4 << 20
"""The largest manifest in bytes: more than any manifest needs."""

# Fields that were added to format 1 later, and their defaults. A field with its default isn't encoded,
# so that an older manifest is encoded as it was.
_ADDED: dict[str, Any] = {"target_recall": None, "trials": [], "build_seconds": 0.0, "depths": []}
_ADDED |= {"attributes": [], "weight": None, "model": None, "candidates": [], "evaluation": None}
_ADDED |= {"ways": {}}
AttributeKind = Literal["text", "number"]

RESERVED_ATTRIBUTE = "title"
"""A name that no attribute may have, because titles are returned under it."""


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """Size in bytes and SHA-256 (hex) of one file."""

    size: Count
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """The data that the model was trained and evaluated on."""

    name: str
    split: str
    train_interactions: Count
    # Held-out positives; older versions also counted held-out pairs with a weight of 0 or less.
    test_interactions: Count
    item_features: list[str]
    user_features: list[str]
    # The sum of the weights above 0 of all interactions; None in older versions.
    weight: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrialFacts:
    """A candidate that a model was chosen among, and its result.

    Attributes:
        model: the name of the family.
        settings: its hyperparameters, with the epochs that were best.
        state: "complete", "failed", or "skipped" because of the budget.
        ndcg_at_10: on the validation interactions, without seen items; None unless complete.
        folded_in: whether fold-in of the users' items ranked better than trained vectors of users.
        trained_ndcg_at_10, folded_ndcg_at_10: by each of them; None for a model without vectors.
        seconds: duration of the fit and the validation.
        reason: why it failed or was skipped.
    """

    model: str
    settings: dict[str, Scalar]
    state: Literal["complete", "failed", "skipped"]
    ndcg_at_10: float | None = None
    folded_in: bool = False
    trained_ndcg_at_10: float | None = None
    folded_ndcg_at_10: float | None = None
    seconds: Duration = 0.0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The training run that published the version; `seconds` by stage."""

    id: str
    started_at: str
    seconds: dict[str, Duration]


@dataclass(frozen=True, kw_only=True)
class AttributeFacts:
    """An attribute of items. Kind "text" has any number of distinct values, "number" one or none."""

    name: str
    kind: AttributeKind


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """The family of the model, such as "ease", and its kind: its files are those of the kind."""

    family: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9_.-]{0,63}$")]
    kind: layout.Kind


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All facts about one version.

    `items` and `users` are numbers of rows; `components` is the number of dimensions of an embedding
    without bias, 0 for a model of neighbours. `model` is None in older versions, which have vectors.
    `attributes` have the order of publication.attributes. `candidates` are the models that this one was
    chosen among, if any. The writer fills in `format_version`, `version`, `created_at` (RFC 3339, UTC)
    and `files`.
    """

    items: Positive
    users: Count
    components: Count
    run: RunFacts
    libraries: dict[str, str]
    dataset: DatasetFacts
    hyperparameters: dict[str, Scalar]
    metrics: dict[str, float]
    indexes: dict[str, IndexFacts]
    attributes: list[AttributeFacts] = field(default_factory=list)
    model: ModelFacts | None = None
    candidates: list[TrialFacts] = field(default_factory=list)
    evaluation: EvaluationFacts | None = None
    format_version: int = FORMAT_VERSIONS[0]
    version: str = ""
    created_at: str = ""
    files: dict[str, FileFacts] = field(default_factory=dict)

    @property
    def kind(self) -> layout.Kind:
        """The kind of the model."""
        return "vectors" if self.model is None else self.model.kind

    @property
    def family(self) -> str:
        """The family of the model; empty in older versions."""
        return "" if self.model is None else self.model.family


def encode(manifest: Manifest) -> bytes:
    """Encode a manifest as indented JSON with its checksum. ValueError if a number isn't finite."""
    content = msgspec.to_builtins(manifest)
    for facts in (content, content["dataset"], *content["indexes"].values()):
        for name, nothing in _ADDED.items():
            # For a decoded manifest, msgspec leaves out some defaults itself.
            if facts.get(name, nothing) == nothing:
                facts.pop(name, None)
    return signed_json.encode(content)


def decode(data: bytes, *, path: Path | str, version: str) -> Manifest:
    """Parse and check a manifest; `path` is for messages, `version` the name of its directory.

    Raises:
        UnsupportedFormatError: the manifest has another format version.
        ManifestError: it isn't JSON, a field is missing, has a wrong type or is out of range, it was
            edited, or it belongs to another version.
    """
    content = signed_json.parse(data, path)
    found = content.get("format_version")
    # In Python True == 1, so check the type too.
    if type(found) is not int or found not in FORMAT_VERSIONS:
        raise UnsupportedFormatError(path, found, FORMAT_VERSIONS)
    signed_json.check(content, path)
    try:
        manifest = msgspec.convert(content, Manifest)
    except msgspec.ValidationError as error:
        raise ManifestError(path, str(error)) from error
    # The checksum detects accidents. These checks detect our own mistakes, and edited manifests with a
    # new checksum.
    if (problem := next(_problems(manifest, version), None)) is not None:
        raise ManifestError(path, problem)
    return manifest


def read(directory: Path, *, version: str | None = None) -> Manifest:
    """Read and check the manifest in a directory. The default version is the directory's name.

    Raises the errors of `decode` and `unreadable`.
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
    """Yield problems that the types can't express."""
    if manifest.version != version:
        yield f"version is {shown(manifest.version)}, but the directory is {version!r}"
    try:
        offset = datetime.fromisoformat(manifest.created_at).utcoffset()
    except ValueError:
        offset = None
    if offset != timedelta(0):
        yield f"created_at is {shown(manifest.created_at)}, but should be a time in UTC"
    yield from _model_problems(manifest)
    yield from _attribute_problems(manifest)
    kinds = {attribute.kind for attribute in manifest.attributes}
    yield from (f"files: {own}" for own in file_problems(manifest.files, manifest.kind, kinds))
    both = (layout.SIMILAR, layout.RECOMMEND) if manifest.kind == "vectors" else ()
    yield from (f"indexes: {name!r} is missing" for name in both if name not in manifest.indexes)
    for name in manifest.indexes:
        where = f"indexes.{name}" if len(name) <= 40 else f"indexes[{shown(name)}]"
        yield from (f"{where}.{problem}" for problem in _index_problems(manifest, name))


def _model_problems(manifest: Manifest) -> Iterator[str]:
    kind = manifest.kind
    if (kind == "vectors") != (manifest.components > 0):
        least = "1 or more" if kind == "vectors" else "0"
        yield f"components is {manifest.components}, but should be {least} for a model of {kind}"
    if kind != "vectors" and manifest.indexes:
        yield f"indexes: {shown(min(manifest.indexes))} is there, but a model of {kind} has none"
    if manifest.format_version != (needed := layout.format_version(manifest.files)):
        yield f"format_version is {manifest.format_version}, but should be {needed} for these files"


def _attribute_problems(manifest: Manifest) -> Iterator[str]:
    names: set[str] = set()
    for position, attribute in enumerate(manifest.attributes):
        where, name = f"attributes[{position}]", attribute.name
        if not name:
            yield f"{where}: the name is empty"
        if name == RESERVED_ATTRIBUTE:
            yield f"{where}: {name!r} is reserved"
        if name in names:
            yield f"{where}: {shown(name)} occurs twice"
        names.add(name)


def _index_problems(manifest: Manifest, name: str) -> Iterator[str]:
    index = manifest.indexes[name]
    if index.items != manifest.items:
        yield f"items is {index.items}, but items of the version is {manifest.items}"
    yield from _depth_problems("", index.depths)
    for way, facts in index.ways.items():
        yield from _depth_problems(f"ways[{shown(way)}].", facts.depths)
    expected = layout.index_file(name, index.backend)
    if index.file not in (None, expected):
        yield f"file is {shown(index.file)}, but should be {shown(expected)}"
    if index.file not in (None, *manifest.files):
        yield f"file: {shown(index.file)} isn't among files"


def _depth_problems(where: str, depths: Sequence[Depth]) -> Iterator[str]:
    for less, more in pairwise([TUNED_FOR, *(depth.results for depth in depths)]):
        if more <= less:
            above = f"above {TUNED_FOR}"
            yield f"{where}depths: results {more} follow {less}, but should be ascending and {above}"
