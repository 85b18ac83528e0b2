"""Everything that can be wrong with a volume or a publication."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from lightfm_retriever.files.regular_files import IrregularFileError

# What is found where a file should be. All else, such as too many open files or a disk that fails, says
# nothing about the file.
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
    """The volume can't be read or written. `path` is a URL where the volume is elsewhere."""


class InvalidIdError(PublicationError):
    """An external id that can't be published or looked up."""

    def __init__(self, external_id: str, reason: str) -> None:
        shown = ascii(external_id if len(external_id) <= 60 else external_id[:57] + "...")
        super().__init__(f"id {shown}: {reason}")
        self.external_id = external_id
        self.reason = reason


class VectorError(PublicationError):
    """Vectors that must not be indexed or published."""


class TooLongError(VectorError):
    """Vectors whose scores would be beyond float32."""


class LabelError(PublicationError):
    """A label that is missing, malformed or unreadable."""

    def __init__(self, label: str, reason: str) -> None:
        super().__init__(f"label {label!r}: {reason}")
        self.label = label
        self.reason = reason


class LabelMovedError(PublicationError):
    """A label that someone else has moved. `expected` and `found` are versions, None for none."""

    def __init__(self, label: str, *, expected: str | None, found: str | None) -> None:
        super().__init__(
            f"label {label!r} names {found or 'no version'} now, not {expected or 'none'} as before: "
            "another process has moved it; look at the versions and try again"
        )
        self.label = label
        self.expected = expected
        self.found = found


class NothingToRollBackToError(PublicationError):
    """A label that never named another version that still exists, or none at all."""

    def __init__(self, label: str, *, is_known: bool = True) -> None:
        super().__init__(
            f"label {label!r}: no earlier version that it named is still on the volume; "
            "choose one with 'promote'"
            if is_known
            else f"label {label!r} has never named a version: have it name one with 'promote'"
        )
        self.label = label


class VersionNotFoundError(PublicationError):
    """No such version on the volume."""

    def __init__(self, version: str, volume: Path | str) -> None:
        super().__init__(f"version {version!r} isn't on the volume {volume}")
        self.version = version
        self.volume = volume


class LabelledVersionError(PublicationError):
    """A version that labels name, so it isn't deleted."""

    def __init__(self, version: str, labels: Sequence[str]) -> None:
        names = ", ".join(map(repr, labels))
        super().__init__(
            f"version {version!r} isn't deleted, since it is what {names} names: "
            "promote another version first"
        )
        self.version = version
        self.labels = [*labels]


class InvalidPublicationError(_AtError):
    """A version that must not be served. `path` names the file at fault, or its URL."""


class ManifestError(InvalidPublicationError):
    """The manifest is missing, isn't valid, or was edited after publication."""


class UnsupportedFormatError(InvalidPublicationError):
    """The manifest has a format version that this release doesn't read."""

    def __init__(self, path: Path | str, found: object, supported: int) -> None:
        what = "there is no format_version" if found is None else f"format_version is {shown(found)}"
        super().__init__(path, f"{what}, but this release reads {supported} only")
        self.found = found
        self.supported = supported


class MissingFileError(InvalidPublicationError):
    """A file that the manifest names isn't there."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(path, "the manifest names this file, but it is missing")


class MismatchError(InvalidPublicationError):
    """A file isn't what the manifest says it is. Both values are named."""

    def __init__(self, path: Path | str, what: str, *, expected: object, found: object) -> None:
        super().__init__(path, f"{what} is {found}, but should be {expected}")
        self.what = what
        self.expected = expected
        self.found = found


def shown(value: object) -> str:
    """Say a value of a manifest, which may be of any size, in a few characters."""
    if isinstance(value, dict | list):
        # It may be nested too deeply to be written.
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def says_nothing(error: OSError) -> bool:
    """Whether an error may pass without a change of the file that couldn't be opened or read."""
    return not isinstance(error, IrregularFileError) and error.errno not in _ABOUT_THE_FILE


def unreadable(path: Path, error: OSError, what: str = "") -> VolumeError | InvalidPublicationError:
    """The error for a version's file that can't be opened or read, which begins with `what` can't be.

    A VolumeError says nothing about the version, and may pass.
    """
    reason = what + (error.strerror or str(error))
    return (VolumeError if says_nothing(error) else InvalidPublicationError)(path, reason)


@contextlib.contextmanager
def as_volume_error(path: Path, what: str) -> Iterator[None]:
    """Raise VolumeError for an OSError of the block, which says `what` went wrong, and where."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise VolumeError(path, f"{what}: {where}: {error.strerror or error}") from error
