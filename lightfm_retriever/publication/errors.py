"""Errors of volumes, versions and labels."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from lightfm_retriever.files.regular_files import IrregularFileError

# Error numbers that are about the file itself. Others, such as too many open files or a disk failure,
# say nothing about the file.
_ABOUT_THE_FILE = {None, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENODEV}
_ABOUT_THE_FILE |= {errno.ENOENT, errno.ENOTDIR, errno.ENXIO}

_MOST_SHOWN = 80


class PublicationError(Exception):
    """Base of all errors of this package."""


class _AtError(PublicationError):
    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class VolumeError(_AtError):
    """The volume can't be read or written. `path` is a URL for a volume in an object store."""


class InvalidIdError(PublicationError):
    """An external id can't be published or looked up."""

    def __init__(self, external_id: str, reason: str) -> None:
        shown = ascii(external_id if len(external_id) <= 60 else external_id[:57] + "...")
        super().__init__(f"id {shown}: {reason}")
        self.external_id = external_id
        self.reason = reason


class VectorError(PublicationError):
    """Vectors can't be indexed or published."""


class TooLongError(VectorError):
    """Vectors are so long that their scores would exceed float32."""


class LabelError(PublicationError):
    """A label is missing, malformed or unreadable."""

    def __init__(self, label: str, reason: str) -> None:
        super().__init__(f"label {label!r}: {reason}")
        self.label = label
        self.reason = reason


class LabelMovedError(PublicationError):
    """Another process has moved a label. `expected` and `found` are versions, None for none."""

    def __init__(self, label: str, *, expected: str | None, found: str | None) -> None:
        super().__init__(
            f"label {label!r} names {found or 'no version'}, but named {expected or 'none'} before: "
            "another process has moved it; look at the versions and try again"
        )
        self.label = label
        self.expected = expected
        self.found = found


class NothingToRollBackToError(PublicationError):
    """A label never named another version that still exists."""

    def __init__(self, label: str, *, is_known: bool = True) -> None:
        super().__init__(
            f"label {label!r}: no earlier version that it named is still on the volume; "
            "choose one with 'promote'"
            if is_known
            else f"label {label!r} has never named a version: promote one with 'promote'"
        )
        self.label = label


class VersionNotFoundError(PublicationError):
    """The volume doesn't have this version."""

    def __init__(self, version: str, volume: Path | str) -> None:
        super().__init__(f"version {version!r} isn't on the volume {volume}")
        self.version = version
        self.volume = volume


class NoVectorsError(PublicationError):
    """A version has no vectors, because its model is an item-item model."""

    def __init__(self, version: str, family: str) -> None:
        super().__init__(
            f"version {version} has no vectors: its model, {family}, is an item-item model, which has "
            "neighbours of items instead"
        )
        self.version = version
        self.family = family


class LabelledVersionError(PublicationError):
    """A version can't be deleted, because labels name it."""

    def __init__(self, version: str, labels: Sequence[str]) -> None:
        names = ", ".join(map(repr, labels))
        super().__init__(
            f"version {version!r} isn't deleted, because label {names} names it: "
            "promote another version first"
        )
        self.version = version
        self.labels = [*labels]


class InvalidPublicationError(_AtError):
    """A version is invalid and must not be served. `path` is the invalid file or its URL."""


class ManifestError(InvalidPublicationError):
    """The manifest is missing, invalid, or was edited after publication."""


class UnsupportedFormatError(InvalidPublicationError):
    """This release can't read the manifest's format version."""

    def __init__(self, path: Path | str, found: object, supported: Sequence[int]) -> None:
        what = "there is no format_version" if found is None else f"format_version is {shown(found)}"
        known = " and ".join(map(str, supported))
        super().__init__(path, f"{what}, but this release reads {known} only")
        self.found = found
        self.supported = supported


class MissingFileError(InvalidPublicationError):
    """A file of the manifest is missing."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(path, "the manifest names this file, but it is missing")


class MismatchError(InvalidPublicationError):
    """A file doesn't match the manifest. The error names both values."""

    def __init__(self, path: Path | str, what: str, *, expected: object, found: object) -> None:
        super().__init__(path, f"{what} is {found}, but should be {expected}")
        self.what = what
        self.expected = expected
        self.found = found


def shown(value: object) -> str:
    """Show a value of a manifest in at most 80 characters."""
    if isinstance(value, dict | list):
        # It may be nested too deeply to be written.
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def says_nothing(error: OSError) -> bool:
    """Return whether an error says nothing about the file, so that it may pass by itself."""
    return not isinstance(error, IrregularFileError) and error.errno not in _ABOUT_THE_FILE


def unreadable(path: Path, error: OSError, what: str = "") -> VolumeError | InvalidPublicationError:
    """Return the error for a file of a version that can't be opened or read. `what` begins its text.

    It is a VolumeError if the cause isn't the version and may pass.
    """
    reason = what + (error.strerror or str(error))
    return (VolumeError if says_nothing(error) else InvalidPublicationError)(path, reason)


@contextlib.contextmanager
def as_volume_error(path: Path, what: str) -> Iterator[None]:
    """Convert an OSError of the block to a VolumeError that says `what` failed, and where."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise VolumeError(path, f"{what}: {where}: {error.strerror or error}") from error
