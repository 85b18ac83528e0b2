"""HTTP/2 by hand, for callers that no gRPC library would be: frames over one plain connection."""

import contextlib
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
CANCEL = struct.pack(">I", 8)
_INITIAL_WINDOW_SIZE = 4
_HEAD = struct.Struct(">HBBBI")


class Frame(NamedTuple):
    """One frame that came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """The bytes of one frame."""
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 255, kind, flags, stream) + payload


def headers(method: str, fields: Iterable[tuple[str, str]] = ()) -> bytes:
    """The header block of a gRPC call: literals that no table keeps (RFC 7541, 6.2.2).

    Fields of the same name take the place of the usual ones.
    """
    told = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "x",
        "te": "trailers",
        "content-type": "application/grpc",
        **dict(fields),
    }
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in told.items())


def message(content: bytes, *, compressed: bool = False) -> bytes:
    """A message as gRPC puts it into DATA frames."""
    return struct.pack(">BI", compressed, len(content)) + content


class Connection:
    """A plain HTTP/2 connection; a context manager.

    Args:
        target: "HOST:PORT".
        window: how many bytes of a response may come before more are asked for.
    """

    def __init__(self, target: str, *, window: int = 65_535, seconds: float = 30) -> None:
        host, _, port = target.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=seconds)
        self.socket.sendall(
            PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, window))
        )
        self._buffer = b""

    def begin(self, stream: int, method: str, fields: Iterable[tuple[str, str]] = ()) -> None:
        """Send the headers of a call; streams have odd numbers that rise."""
        self.socket.sendall(frame(HEADERS, END_HEADERS, stream, headers(method, fields)))

    def send(self, stream: int, content: bytes, *, compressed: bool = False) -> None:
        """Send the one message of a call."""
        self.socket.sendall(frame(DATA, END_STREAM, stream, message(content, compressed=compressed)))

    def frames(self) -> Iterator[Frame]:
        """What comes, until the connection ends; settings and pings are acknowledged."""
        while True:
            while (came := self._next()) is None:
                if not self._receive():
                    return
            yield came

    def take(self) -> bool:
        """Read what has come, and acknowledge settings and pings; False when the connection ended."""
        if not self._receive():
            return False
        while self._next() is not None:
            pass
        return True

    def _next(self) -> Frame | None:
        """The next frame that came, None when none has whole."""
        if len(self._buffer) < _HEAD.size:
            return None
        high, low, kind, flags, stream = _HEAD.unpack_from(self._buffer)
        end = _HEAD.size + (high << 8) + low
        if len(self._buffer) < end:
            return None
        payload, self._buffer = self._buffer[_HEAD.size : end], self._buffer[end:]
        if kind in (SETTINGS, PING) and not flags & ACK:
            with contextlib.suppress(OSError):
                self.socket.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
        return Frame(kind, flags, stream, payload)

    def _receive(self) -> bool:
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            return False
        self._buffer += data
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def _text(text: str) -> bytes:
    content = text.encode("latin-1")
    size = len(content)
    if size < 127:
        return bytes([size]) + content
    size -= 127
    head = [127]
    while size >= 128:
        head.append(size % 128 + 128)
        size //= 128
    return bytes([*head, size]) + content
