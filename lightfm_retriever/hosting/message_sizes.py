"""Limits of message sizes: the default of gRPC clients, and the limits of our servers."""

from __future__ import annotations

DEFAULT_ANSWER_BYTES = 4 << 20
"""The largest message that a gRPC client receives by default."""

ID_FIELD_BYTES = 4
"""The most extra bytes of a text of up to 512 bytes in a message: its field number and length."""

_MIB = 1 << 20


def whole_mib(size: int) -> int:
    """Round a number of bytes up to a whole MiB."""
    return -(-size // _MIB) * _MIB


def received(largest: int) -> list[tuple[str, int]]:
    """Return the option of a server for its largest request, in bytes.

    The server receives one MiB more, so that a request that is a little too large gets a status with
    details. gRPC itself rejects larger requests without details.
    """
    return [("grpc.max_receive_message_length", largest + _MIB)]
