"""A call's context without gRPC: how a call was ended, and whether gRPC could have sent that."""

from collections.abc import Callable
from typing import NoReturn

import grpc

# Beyond about 8 kB of status gRPC sends another one; the message goes with it a second time.
_MOST_BYTES = 8000


class UnansweredError(Exception):
    """What a real context raises to leave the handler."""


class Context:
    """A call's context. The caller stops waiting after so many looks whether it still does."""

    def __init__(self, *, looks: int = 1_000_000) -> None:
        self._looks = looks
        self._status: grpc.Status | None = None

    def is_active(self) -> bool:
        self._looks -= 1
        return self._looks >= 0

    def add_callback(self, callback: Callable[[], None]) -> bool:  # noqa: ARG002
        return True

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        self._status = status
        raise UnansweredError

    @property
    def code(self) -> grpc.StatusCode:
        assert self._status is not None
        return self._status.code

    def check(self, unanswered: UnansweredError) -> None:
        assert self._status is not None
        if self.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
            # What the handler caught.
            raise unanswered.__context__ or AssertionError(self._status.details)
        details = self._status.details.encode()
        encoded = sum(1 if 32 <= byte < 127 and byte != 37 else 3 for byte in details)
        trailing = sum(len(value) * 4 / 3 for _, value in self._status.trailing_metadata or ())
        assert encoded + trailing <= _MOST_BYTES, f"{encoded} + {trailing:.0f} bytes of status"
