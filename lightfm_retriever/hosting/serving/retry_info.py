"""When callers are asked to come again."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2


def retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    """After so long."""
    delay = Duration()
    delay.FromNanoseconds(int(seconds * 1e9))
    return error_details_pb2.RetryInfo(retry_delay=delay)
