"""What can go wrong while answering or starting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal


class RetrieverError(Exception):
    """Base of all errors of this package."""


class InvalidArgumentError(RetrieverError):
    """A request field out of range."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class UnknownIdError(RetrieverError):
    """An id that isn't in the publication.

    Attributes:
        near: those that it may have been meant to be, the nearest first.
    """

    def __init__(
        self,
        kind: Literal["item", "user", "feature"],
        external_id: str,
        version: str,
        *,
        near: Sequence[str] = (),
        hint: str = "",
    ) -> None:
        shown = external_id if len(external_id) <= 64 else external_id[:61] + "..."
        super().__init__(f"{kind} {shown!r} isn't in version {version}{hint}")
        self.kind = kind
        self.external_id = external_id
        self.near = tuple(near)
        self.version = version


class NotPublishedError(RetrieverError):
    """A version that was published without what the request needs."""

    def __init__(self, what: str, version: str, hint: str) -> None:
        super().__init__(f"version {version} was published without {what}: {hint}")
        self.what = what
        self.version = version


class PageExpiredError(RetrieverError):
    """A page of a version that isn't served any more."""

    def __init__(self, of_version: str, version: str) -> None:
        super().__init__(
            f"page_token: is of version {of_version}, but {version} is served now: start anew"
        )
        self.of_version = of_version
        self.version = version


class NothingLoadedError(RetrieverError):
    """No publication is loaded yet; the reason says why, `passes` whether one is about to be."""

    def __init__(self, reason: str, *, passes: bool = False) -> None:
        super().__init__(f"no publication is loaded: {reason}")
        self.passes = passes


class AbandonedError(RetrieverError):
    """The caller has stopped waiting: it cancelled, or its deadline passed."""


class SnapshotError(RetrieverError):
    """A publication that this retriever can't serve."""


class UnverifiedError(RetrieverError):
    """A version that couldn't be verified, for no fault of its own: it may be tried again.

    Attributes:
        costly: whether that may wait, since trying costs much and will seldom help.
    """

    def __init__(self, version: str, reason: str, *, costly: bool = False) -> None:
        super().__init__(f"{version} {reason}")
        self.costly = costly


class StartError(RetrieverError):
    """The service can't start."""


class SettingError(StartError):
    """A setting that can't be used."""
