"""Request ids: what one call is called in logs, by its caller or by us."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

HEADER = "x-request-id"
# What gRPC lets through is printable already, but for its length.
_GOOD = re.compile(r"[\x20-\x7e]{1,128}")

# Each call has a context of its own: gRPC makes it.
_current: ContextVar[str] = ContextVar("request_id", default="")


def current() -> str:
    """The id of the call that this code answers; "" when there is none."""
    return _current.get()


def take(metadata: Iterable[Any] | None) -> str:
    """The id that a call's metadata gives, or a new one; `current` from now on.

    One that isn't 1 to 128 printable ASCII characters is replaced.
    """
    for key, value in metadata or ():
        if key == HEADER and _GOOD.fullmatch(value):
            request_id: str = value
            break
    else:
        request_id = f"{random.getrandbits(64):016x}"
    _current.set(request_id)
    return request_id
