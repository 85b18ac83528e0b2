"""An HTTP endpoint for monitoring: /metrics for Prometheus, /live and /ready for probes.

It has no TLS and no authentication, because its answers name no users and no items. It runs on separate
threads of the process that it monitors. So every request must cost little: there are limits on
connections, request size and time.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from queue import SimpleQueue
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from lightfm_retriever.hosting import addresses
from lightfm_retriever.hosting.errors import FlagError
from lightfm_retriever.hosting.observing.repeats import logger_of_calls

_log = logger_of_calls(__name__)

# Returns what is wrong, None if nothing is.
Check: TypeAlias = Callable[[], str | None]

# A client that keeps this many connections open blocks the probes.
_MAX_CONNECTIONS = 32
_MAX_HEAD_BYTES = 16 << 10
# Time limit for receiving a whole request, and for sending a whole answer.
_SECONDS = 5.0
_RETRY_SECONDS = 10.0
_PAUSE_SECONDS = 0.1


class MetricsEndpoint:
    """An HTTP server on separate threads. While its port is in use, it retries.

    Args:
        listen: HOST:PORT; port 0 takes a free port.
        collector: collects the metrics at each scrape, on any thread, also several at once.
        live: returns why the process should be restarted.
        ready: returns why the process should get no calls.

    Raises:
        HostingError: `listen` is malformed.
    """

    def __init__(self, listen: str, collector: Collector, *, live: Check, ready: Check) -> None:
        try:
            self._host, self._port = addresses.parse_one(listen, least=0)
        except addresses.AddressError as error:
            text = f"--metrics-listen is {listen!r}, but should be {error.expected}"
            raise FlagError(text) from error
        self._listen = listen
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(collector)
        self._checks = {"/live": live, "/ready": ready}
        self._taken: SimpleQueue[socket.socket | None] = SimpleQueue()
        self._free = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._listener: socket.socket | None = None
        self._problem = ""

    @property
    def address(self) -> str | None:
        """The HOST:PORT at which it answers, None while it doesn't."""
        listener = self._listener
        return None if listener is None else addresses.joined(*listener.getsockname()[:2])

    def start(self) -> None:
        """Listen, or log why that fails and retry."""
        self._bind()
        # Start all threads now: starting one without enough memory may never return.
        for _ in range(_MAX_CONNECTIONS):
            threading.Thread(target=self._talk_to_all, name="metrics-call", daemon=True).start()
        threading.Thread(target=self._run, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Take no more connections. Requests in progress are still answered."""
        self._stopping.set()
        for _ in range(_MAX_CONNECTIONS):
            self._taken.put(None)
        with self._changing:
            if self._listener is not None:
                # Closing alone wouldn't wake the thread that waits for connections.
                with contextlib.suppress(OSError):
                    self._listener.shutdown(socket.SHUT_RDWR)
                self._listener.close()
                self._listener = None

    def answer(self, path: str, accept: str) -> tuple[int, str, bytes]:
        """Return status, content type and body. `accept` selects the format of Prometheus."""
        if path == "/metrics":
            encode, content_type = _encoder(accept)
            return 200, content_type, encode(self._registry)
        if path in self._checks:
            problem = self._checks[path]()
            return _text(200, "ok") if problem is None else _text(503, problem)
        return _text(404, "unknown path: use /metrics, /live or /ready")

    def _run(self) -> None:
        while not self._stopping.is_set():
            listener = self._listener
            if listener is None:
                if not self._stopping.wait(_RETRY_SECONDS):
                    self._bind()
                continue
            try:
                connection, _ = listener.accept()
            except (OSError, MemoryError) as error:
                # It is stopping, has no descriptors or memory, or the client left at once. All pass.
                _log.debug("metrics on %s: %s", self._listen, error)
                self._stopping.wait(_PAUSE_SECONDS)
                continue
            if self._free.acquire(blocking=False):
                self._taken.put(connection)
            else:
                connection.close()

    def _bind(self) -> None:
        try:
            listener = _listen(self._host, self._port)
        except (OSError, UnicodeError) as error:
            problem = str(getattr(error, "strerror", None) or error)
            if problem != self._problem:
                _log.error(
                    "--metrics-listen %s: %s; the service runs without it and retries every %.0f s",
                    self._listen,
                    problem,
                    _RETRY_SECONDS,
                )
            self._problem = problem
            return
        with self._changing:
            if self._stopping.is_set():
                listener.close()
                return
            self._listener = listener
        _log.info("metrics on %s", self.address)

    def _talk_to_all(self) -> None:
        while (connection := self._taken.get()) is not None:
            # An error with one client, even one that can't be logged, must not affect the others.
            with contextlib.suppress(Exception):
                try:
                    with connection:
                        _Conversation(connection, ("", 0), self)
                except OSError as error:
                    _log.debug("metrics: the client left: %s", error)
                except Exception:
                    _log.exception("metrics: unexpected error")
                finally:
                    self._free.release()


class _Conversation(BaseHTTPRequestHandler):
    """One request and its response. HTTP/1.0: the connection ends with the response."""

    timeout = _SECONDS
    # Otherwise an invalid request, such as one of a gRPC client, gets an answer without a status line.
    default_request_version = "HTTP/1.0"
    server_version = "metrics"
    sys_version = ""
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = "text/plain; charset=utf-8"

    def __init__(self, connection: socket.socket, caller: Any, endpoint: MetricsEndpoint) -> None:
        self._endpoint = endpoint
        super().__init__(connection, caller, None)  # type: ignore[arg-type]

    def setup(self) -> None:
        """Read the request. Only here are its size and time limited."""
        super().setup()
        self.rfile = io.BufferedReader(io.BytesIO(_read_head(self.connection)))
        self.connection.settimeout(_SECONDS)

    def do_GET(self) -> None:
        """Answer a request."""
        try:
            status, content_type, body = self._endpoint.answer(
                self.path.partition("?")[0], ", ".join(self.headers.get_all("Accept", ()))
            )
        except Exception:
            _log.exception("metrics: %s failed", self.path)
            status, content_type, body = _text(500, "failed: see the log")
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: there is a request every few seconds."""


def _encoder(accept: str) -> tuple[Callable[[Any], bytes], str]:
    try:
        return choose_encoder(accept)
    except (ValueError, TypeError):
        # The header has an invalid version. It is the client's fault, so don't log each such request.
        return choose_encoder("")


def _read_head(connection: socket.socket) -> bytes:
    """Read a request up to its body; empty if it isn't complete within the limits."""
    end = time.monotonic() + _SECONDS
    head = b""
    while b"\r\n\r\n" not in head:
        connection.settimeout(max(0.001, end - time.monotonic()))
        data = connection.recv(4096)
        if not data or len(head) + len(data) > _MAX_HEAD_BYTES:
            return b""
        head += data
    return head


def _listen(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(
        address,
        family=family,
        # "[::]" means every address, as for gRPC.
        dualstack_ipv6=family == socket.AF_INET6 and socket.has_dualstack_ipv6(),
    )


def _text(status: int, line: str) -> tuple[int, str, bytes]:
    # Join the text to one line.
    return status, "text/plain; charset=utf-8", (" ".join(line.split()) + "\n").encode()
