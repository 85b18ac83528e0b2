"""Request ids: they identify a call in logs. The caller or the service chooses them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

HEADER = "x-request-id"
# gRPC accepts only printable characters, but of any length.
_GOOD = re.compile(r"[\x20-\x7e]{1,128}")

# gRPC makes a separate context for each call.
_current: ContextVar[str] = ContextVar("request_id", default="")


def current() -> str:
    """Return the id of the current call; "" if there is none."""
    return _current.get()


def take(metadata: Iterable[Any] | None) -> str:
    """Return the id in the metadata of a call, or a new id, and make it the current one.

    An id that isn't 1 to 128 printable ASCII characters is replaced.
    """
    for key, value in metadata or ():
        if key == HEADER and _GOOD.fullmatch(value):
            request_id: str = value
            break
    else:
        request_id = f"{random.getrandbits(64):016x}"
    _current.set(request_id)
    return request_id
