"""How large messages may be: what clients take by default, and what our servers do."""

from __future__ import annotations

DEFAULT_ANSWER_BYTES = 4 << 20
"""The largest message that a gRPC client takes unless it is told otherwise."""

ID_FIELD_BYTES = 4
"""The most that a text of at most 512 bytes takes beside its bytes: a field's number and a length."""

_MIB = 1 << 20


def whole_mib(size: int) -> int:
    """Round a number of bytes up to a whole MiB."""
    return -(-size // _MIB) * _MIB


def received(largest: int) -> list[tuple[str, int]]:
    """Return the option of a server whose largest request has so many bytes.

    It takes a MiB more, so that a request that is somewhat too large is told so by a status with
    details. gRPC refuses what is larger still before anybody can look at it.
    """
    return [("grpc.max_receive_message_length", largest + _MIB)]
