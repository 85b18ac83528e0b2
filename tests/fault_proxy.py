"""A TCP proxy in the test's own process, whose network fails when it is told to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

# How long anything may take: an end to waiting for what never comes, not a measure.
_PATIENCE = 30
_CHUNK_BYTES = 2**18
# How much a slow network lets through at once.
_PIECE_SECONDS = 0.05
_DIRECTIONS = ("to_server", "to_client")


@dataclass(frozen=True)
class Counts:
    """What went through since the proxy's start.

    Attributes:
        connections: accepted, also those that were refused at once.
        to_server, to_client: bytes that were let through; answers of the proxy's own aren't counted.
        cut: connections that were dropped by cut().
        answered: requests that were answered by answer().
    """

    connections: int = 0
    to_server: int = 0
    to_client: int = 0
    cut: int = 0
    answered: int = 0


@dataclass(frozen=True)
class _Fault:
    """What is wrong with the network.

    Attributes:
        kind: pass, refuse, hang, slow, cut or answer.
        bytes_per_second: of slow.
        after_bytes: of cut.
        response: of answer.
        times: how often a cut or an answer happens before all is well again; None: always.
    """

    kind: str = "pass"
    bytes_per_second: float = 0
    after_bytes: int = 0
    response: bytes = b""
    times: int | None = None


class FaultProxy:
    """Forwards TCP connections to a server on 127.0.0.1; made by proxy().

    A fault holds until the next one, also for connections that are open already: a client's pool
    can't get round it.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._changed = threading.Condition()
        self._fault = _Fault()
        self._generation = 0
        self._counts = Counts()
        self._open: set[socket.socket] = set()
        self._free_at = dict.fromkeys(_DIRECTIONS, 0.0)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """http://127.0.0.1:PORT."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def counts(self) -> Counts:
        with self._changed:
            return self._counts

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
        self._set(_Fault("slow", bytes_per_second=bytes_per_second))

    def cut(self, after_bytes: int, times: int | None = None) -> None:
        """Let so many bytes of the server through on a connection, headers included, then drop it.

        Counted from now on. A connection whose server sends no more than that is left alone.

        Args:
            times: after so many all is well again.
        """
        self._set(_Fault("cut", after_bytes=after_bytes, times=times))

    def answer(self, status: int, code: str = "InternalError", times: int | None = None) -> None:
        """Answer every HTTP request by an error as S3 writes it, and drop open connections.

        Args:
            code: S3's name of the error.
            times: after so many all is well again.
        """
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>A test's.</Message></Error>"
        head = (
            f"HTTP/1.1 {status} Fault\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}"
        )
        response = f"{head}\r\nConnection: close\r\n\r\n{body}".encode()
        self._set(_Fault("answer", response=response, times=times), drop=True)

    def wait_for(self, is_so: Callable[[Counts], bool]) -> None:
        """Wait until this is true of the counts."""
        with self._changed:
            assert self._changed.wait_for(lambda: is_so(self._counts), _PATIENCE), self._counts

    def close(self) -> None:
        # Not close() alone, which an accept() in another thread doesn't notice.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._set(_Fault("refuse"), drop=True)

    def _set(self, fault: _Fault, *, drop: bool = False) -> None:
        with self._changed:
            self._fault = fault
            self._generation += 1
            self._free_at = dict.fromkeys(_DIRECTIONS, 0.0)
            if drop:
                for one in self._open:
                    _shut(one)
            self._changed.notify_all()

    def _add(self, **more: int) -> None:
        with self._changed:
            sums = {name: getattr(self._counts, name) + value for name, value in more.items()}
            self._counts = replace(self._counts, **sums)
            self._changed.notify_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._add(connections=1)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), self._dropped_by_faults(client):
            if self._fault.kind == "answer":
                self._answer(client)
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            with server, self._dropped_by_faults(server):
                upwards = threading.Thread(
                    target=self._pump, args=(client, server, "to_server"), daemon=True
                )
                upwards.start()
                self._pump(server, client, "to_client")
                upwards.join()

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
        with self._changed:
            response = self._fault.response
            if not line or not self._happens("answer"):
                return
        self._add(answered=1)
        client.sendall(response)

    def _pump(self, source: socket.socket, target: socket.socket, direction: str) -> None:
        """Forward until either end closes or a fault drops the connection."""
        flow = _Flow(direction)
        with suppress(OSError):
            while data := memoryview(source.recv(_CHUNK_BYTES)):
                while data:
                    allowed = self._allowed(len(data), flow)
                    if not allowed:
                        break
                    flow.sent += allowed
                    # Before it is sent: whoever got something finds it counted.
                    self._add(**{direction: allowed})
                    target.sendall(data[:allowed])
                    data = data[allowed:]
                if data:
                    break
        _shut(source)
        _shut(target)

    def _allowed(self, wanted: int, flow: _Flow) -> int:
        """How many of the bytes may go through now, after the wait for it; 0: drop the connection."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._fault.kind != "hang")
                fault, generation = self._fault, self._generation
                if flow.generation != generation:
                    flow.generation, flow.sent = generation, 0
                if fault.kind == "pass":
                    return wanted
                if fault.kind == "slow":
                    piece = min(wanted, max(1, int(fault.bytes_per_second * _PIECE_SECONDS)))
                    if self._wait_turn(piece, fault.bytes_per_second, flow.direction):
                        return piece
                elif fault.kind == "cut":
                    left = fault.after_bytes - flow.sent
                    if flow.direction == "to_server":
                        return wanted
                    if left > 0:
                        return min(wanted, left)
                    if self._happens("cut"):
                        self._add(cut=1)
                        return 0
                else:
                    return 0

    def _wait_turn(self, piece: int, bytes_per_second: float, direction: str) -> bool:
        """Wait until the piece has had its time; False if the fault changed before."""
        generation = self._generation
        now = time.monotonic()
        end = max(now, self._free_at[direction]) + piece / bytes_per_second
        self._free_at[direction] = end
        return not self._changed.wait_for(lambda: self._generation != generation, end - now)

    def _happens(self, kind: str) -> bool:
        """Whether this is the fault now; one that happens so many times has happened once more."""
        if self._fault.kind != kind:
            return False
        if self._fault.times is not None:
            left = self._fault.times - 1
            self._fault = replace(self._fault, times=left) if left else _Fault()
        return True


@dataclass
class _Flow:
    """One direction of a connection: what went through since the fault was set."""

    direction: str
    generation: int = 0
    sent: int = 0


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(server_port: int) -> Iterator[FaultProxy]:
    """Run one for a server on 127.0.0.1, and close it and its connections at the end."""
    running = FaultProxy(server_port)
    try:
        yield running
    finally:
        running.close()
