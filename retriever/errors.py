"""Errors of answering calls and of starting the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal


class RetrieverError(Exception):
    """Base of all errors of this package."""


class InvalidArgumentError(RetrieverError):
    """A request field is invalid."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class UnknownIdError(RetrieverError):
    """The version doesn't have an id.

    Attributes:
        near: known ids that may have been meant, the nearest first.
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
    """The version was published without data that the request needs.

    Attributes:
        model: the family of the version's model, if no model of its kind has such data; else "".
    """

    def __init__(self, what: str, version: str, hint: str, *, model: str = "") -> None:
        super().__init__(f"version {version} was published without {what}: {hint}")
        self.what = what
        self.version = version
        self.model = model


class PageExpiredError(RetrieverError):
    """A page token belongs to a version that isn't served any more."""

    def __init__(self, of_version: str, version: str) -> None:
        super().__init__(
            f"page_token: belongs to version {of_version}, but version {version} is served now: "
            "start again at the first page"
        )
        self.of_version = of_version
        self.version = version


class NothingLoadedError(RetrieverError):
    """No version is loaded. `passes` says whether the service is about to load one."""

    def __init__(self, reason: str, *, passes: bool = False) -> None:
        super().__init__(f"no version is loaded: {reason}")
        self.passes = passes


class AbandonedError(RetrieverError):
    """The caller cancelled the call, or its deadline passed."""


class SnapshotError(RetrieverError):
    """This retriever can't serve a version."""


class UnverifiedError(RetrieverError):
    """A version couldn't be verified for a reason outside the version. The service may try again.

    Attributes:
        costly: whether the next attempt should come late, because attempts are expensive.
    """

    def __init__(self, version: str, reason: str, *, costly: bool = False) -> None:
        super().__init__(f"{version} {reason}")
        self.costly = costly


class StartError(RetrieverError):
    """The service can't start."""


class SettingError(StartError):
    """A setting has an invalid value."""
