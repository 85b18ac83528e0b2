"""A TCP proxy in the test's own process, whose network fails when it is told to."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from types import SimpleNamespace

from tests.service import PATIENCE

_CHUNK_BYTES = 2**18
# How much a slow network lets through at once.
_PIECE_SECONDS = 0.05
_BODY = "<?xml version='1.0'?><Error><Code>InternalError</Code><Message>A test's.</Message></Error>"


@dataclass(frozen=True)
class Counts:
    """What went through since the proxy's start: bytes each way, and connections dropped by cut()."""

    to_server: int = 0
    to_client: int = 0
    cut: int = 0


@dataclass(frozen=True, eq=False)
class _Fault:
    """What is wrong with the network, and bytes a second, bytes before a cut, or an answer's status."""

    kind: str = "pass"
    number: float = 0


class FaultProxy:
    """Forwards TCP connections to a server on 127.0.0.1; made by proxy().

    A fault holds until the next one, also for connections that are open already: a client's pool
    can't get round it.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.counts = Counts()
        self._changed = threading.Condition()
        self._fault = _Fault()
        self._cuts_left = 0
        self._open: set[socket.socket] = set()
        self._free_at: dict[str, float] = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def forward(self) -> None:
        """All is well again; what hung goes on."""
        self._set(_Fault())

    def refuse(self) -> None:
        """Close every connection at once, open ones too."""
        self._set(_Fault("refuse"), drop=True)

    def hang(self) -> None:
        """Accept connections and let nothing through, in either direction."""
        self._set(_Fault("hang"))

    def slow(self, bytes_per_second: float) -> None:
        """Let so much through in each direction, of all connections together."""
        self._set(_Fault("slow", bytes_per_second))

    def cut(self, after_bytes: int, times: int) -> None:
        """Let so many bytes of the server through on a connection, headers included, then drop it.

        Counted from now on. A connection whose server sends no more than that is left alone, and
        after so many `times` all is well again.
        """
        self._cuts_left = times
        self._set(_Fault("cut", after_bytes))

    def answer(self, status: int) -> None:
        """Answer every HTTP request by an error as S3 writes it, and drop open connections."""
        self._set(_Fault("answer", status), drop=True)

    def wait_for(self, is_so: Callable[[Counts], bool]) -> None:
        """Wait until this is true of the counts."""
        with self._changed:
            assert self._changed.wait_for(lambda: is_so(self.counts), PATIENCE), self.counts

    def close(self) -> None:
        # Not close() alone, which an accept() in another thread doesn't notice.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.refuse()

    def _set(self, fault: _Fault, *, drop: bool = False) -> None:
        with self._changed:
            self._fault = fault
            self._free_at = {}
            for one in self._open if drop else ():
                _shut(one)
            self._changed.notify_all()

    def _count(self, name: str, more: int) -> None:
        with self._changed:
            self.counts = replace(self.counts, **{name: getattr(self.counts, name) + more})
            self._changed.notify_all()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), self._dropped_by_faults(client):
            if self._fault.kind == "answer":
                self._answer(client)
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            with server, self._dropped_by_faults(server):
                way = client, server, "to_server"
                up = threading.Thread(target=self._pump, args=way, daemon=True)
                up.start()
                self._pump(server, client, "to_client")
                up.join()

    @contextmanager
    def _dropped_by_faults(self, one: socket.socket) -> Iterator[None]:
        with self._changed:
            if self._fault.kind == "refuse":
                raise ConnectionRefusedError
            self._open.add(one)
        try:
            yield
        finally:
            with self._changed:
                self._open.discard(one)

    def _answer(self, client: socket.socket) -> None:
        """Read a whole request, since closing sooner could take the answer away again."""
        with client.makefile("rb") as request:
            length = 0
            while (line := request.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            while length > 0 and (read := len(request.read(min(length, _CHUNK_BYTES)))):
                length -= read
        fault = self._fault
        if line and fault.kind == "answer":
            head = f"HTTP/1.1 {fault.number} Fault\r\nContent-Type: application/xml\r\n"
            head += f"Content-Length: {len(_BODY)}\r\nConnection: close\r\n\r\n"
            client.sendall((head + _BODY).encode())

    def _pump(self, source: socket.socket, target: socket.socket, direction: str) -> None:
        """Forward until either end closes or a fault drops the connection."""
        # What went through since the fault was set.
        flow, data = SimpleNamespace(direction=direction, fault=None, sent=0), b""
        with suppress(OSError):
            while data := data or source.recv(_CHUNK_BYTES):
                if not (allowed := self._allowed(len(data), flow)):
                    break
                flow.sent += allowed
                # Before it is sent: whoever got something finds it counted.
                self._count(direction, allowed)
                target.sendall(data[:allowed])
                data = data[allowed:]
        _shut(source)
        _shut(target)

    def _allowed(self, wanted: int, flow: SimpleNamespace) -> int:
        """How many of the bytes may go through now, after the wait for it; 0: drop the connection."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._fault.kind != "hang")
                if flow.fault is not self._fault:
                    flow.fault, flow.sent = self._fault, 0
                fault = self._fault
                if fault.kind == "slow":
                    piece = min(wanted, max(1, int(fault.number * _PIECE_SECONDS)))
                    if self._wait_turn(piece, fault, flow.direction):
                        return piece
                elif fault.kind == "cut" and flow.direction == "to_client":
                    if (left := int(fault.number) - flow.sent) > 0:
                        return min(wanted, left)
                    self._cuts_left -= 1
                    if not self._cuts_left:
                        self._fault = _Fault()
                    self._count("cut", 1)
                    return 0
                else:
                    return wanted if fault.kind in ("pass", "cut") else 0

    def _wait_turn(self, piece: int, fault: _Fault, direction: str) -> bool:
        """Wait until the piece has had its time; False if the fault changed before."""
        now = time.monotonic()
        end = max(now, self._free_at.get(direction, 0)) + piece / fault.number
        self._free_at[direction] = end
        return not self._changed.wait_for(lambda: self._fault is not fault, end - now)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def proxy(server_port: int) -> closing[FaultProxy]:
    """Run one for a server on 127.0.0.1, and close it and its connections at the end."""
    return closing(FaultProxy(server_port))
