"""When to ask again, told to gRPC's own retries, which ignore RetryInfo."""

from __future__ import annotations

from typing import Any, cast

import grpc

_TRAILER = "grpc-retry-pushback-ms"


def with_pushback(status: grpc.Status, seconds: float) -> grpc.Status:
    """Return the same status, with the trailer that gRPC's retries wait by."""
    trailing = (*(status.trailing_metadata or ()), (_TRAILER, str(round(seconds * 1000))))
    # What grpc_status makes is a named tuple; its package has no types.
    told: grpc.Status = cast("Any", status)._replace(trailing_metadata=trailing)
    return told
