"""The proxy whose network fails, and the store that is tested through it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests import fault_proxy, seaweedfs
from tests.fault_proxy import FaultProxy

obstore = pytest.importorskip("obstore")
pytest.importorskip("obstore.store")

BODY = b"0123456789" * 20_000
# What the client gets before it is told that nothing will come; loopback takes a thousandth of it.
SILENCE_SECONDS = 0.2


class _Pages(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Dropped connections are what is tested."""


class _Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """Before a server that answers BODY."""
    with _Pages(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            with fault_proxy.proxy(server.server_port) as running:
                yield running
        finally:
            server.shutdown()


def ask(proxy: FaultProxy, timeout: float = 30) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_forwards_and_counts(proxy: FaultProxy) -> None:
    assert ask(proxy) == ask(proxy) == (200, BODY)
    counts = proxy.counts
    assert counts.connections == 2
    assert 2 * len(BODY) < counts.to_client < 2 * len(BODY) + 2000
    assert 0 < counts.to_server < 2000
    assert (counts.cut, counts.answered) == (0, 0)


def test_refuses_new_connections_and_drops_open_ones(proxy: FaultProxy) -> None:
    kept = HTTPConnection("127.0.0.1", proxy.port, timeout=30)
    kept.request("GET", "/")
    kept.getresponse().read()
    proxy.refuse()
    for _ in range(2):
        with pytest.raises((OSError, HTTPException)):
            ask(proxy)
    with suppress(ConnectionError):
        assert kept.sock.recv(1) == b""
    proxy.forward()
    assert ask(proxy) == (200, BODY)
    kept.close()


def test_hangs_until_it_forwards_again(proxy: FaultProxy) -> None:
    proxy.hang()
    with pytest.raises(TimeoutError):
        ask(proxy, SILENCE_SECONDS)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        proxy.wait_for(lambda counts: counts.connections == 2)
        assert (proxy.counts.to_server, proxy.counts.to_client) == (0, 0)
        proxy.forward()
        assert client.recv(12) == b"HTTP/1.1 200"


def test_is_as_slow_as_told(proxy: FaultProxy) -> None:
    proxy.slow(len(BODY) * 4)
    start = time.monotonic()
    assert ask(proxy) == (200, BODY)
    # No less than a quarter of a second; more would be the machine's doing.
    assert time.monotonic() - start > 0.24


def test_leaves_off_being_slow(proxy: FaultProxy) -> None:
    proxy.slow(1000)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        proxy.wait_for(lambda counts: counts.to_client > 0)
        proxy.forward()
        proxy.wait_for(lambda counts: counts.to_client > len(BODY))


def test_cuts_so_many_answers(proxy: FaultProxy) -> None:
    proxy.cut(len(BODY) // 2, times=2)
    for _ in range(2):
        with pytest.raises(IncompleteRead) as raised:
            ask(proxy)
        assert len(BODY) // 2 - 1000 < len(raised.value.partial) < len(BODY) // 2
    assert ask(proxy) == (200, BODY)
    assert proxy.counts.cut == 2


def test_cuts_a_connection_that_was_open_before(proxy: FaultProxy) -> None:
    kept = HTTPConnection("127.0.0.1", proxy.port, timeout=30)
    kept.request("GET", "/")
    kept.getresponse().read()
    proxy.cut(1000)
    kept.request("GET", "/")
    with pytest.raises(IncompleteRead):
        kept.getresponse().read()
    kept.close()


def test_answers_errors_in_the_servers_place(proxy: FaultProxy) -> None:
    proxy.answer(503, "SlowDown", times=2)
    for _ in range(2):
        status, body = ask(proxy)
        assert status == 503
        assert b"<Code>SlowDown</Code>" in body
    assert ask(proxy) == (200, BODY)
    assert proxy.counts.answered == 2


def test_a_server_that_is_down_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with fault_proxy.proxy(port) as proxy, pytest.raises((OSError, HTTPException)):
        ask(proxy)


def test_closes_what_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with fault_proxy.proxy(server.getsockname()[1]) as proxy:
            client = socket.create_connection(("127.0.0.1", proxy.port), timeout=30)
            server.accept()[0].close()
        with client, suppress(ConnectionError):
            assert client.recv(1) == b""
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", proxy.port), timeout=30)


@pytest.fixture(scope="module")
def store() -> Iterator[seaweedfs.Server]:
    program = seaweedfs.program()
    if program is None:
        pytest.skip(seaweedfs.MISSING)
    with seaweedfs.server(program) as running:
        yield running


def opened(store: seaweedfs.Server, **changed: str) -> Any:
    options = {name.lower(): value for name, value in store.environment.items()} | changed
    options.pop("aws_allow_http")
    return obstore.store.from_url(
        store.url("some/where"), client_options={"allow_http": True}, **options
    )


def test_the_store_keeps_what_it_got_while_it_is_down(store: seaweedfs.Server) -> None:
    obstore.put(opened(store), "kept", b"content")
    store.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", store.port), timeout=30)
    store.start()
    assert bytes(obstore.get(opened(store), "kept").bytes()) == b"content"


def test_the_store_refuses_other_credentials(store: seaweedfs.Server) -> None:
    obstore.put(opened(store), "asked", b"content")
    for wrong in (
        {"aws_access_key_id": "other"},
        {"aws_secret_access_key": "other"},
        {"skip_signature": "1"},
    ):
        with pytest.raises(obstore.exceptions.PermissionDeniedError):
            obstore.get(opened(store, **wrong), "asked")
    former = opened(store)
    store.change_credentials("new-key", "new-secret")
    assert bytes(obstore.get(opened(store), "asked").bytes()) == b"content"
    with pytest.raises(obstore.exceptions.PermissionDeniedError):
        obstore.get(former, "asked")


def test_the_store_behind_the_proxy(store: seaweedfs.Server) -> None:
    obstore.put(opened(store), "behind", b"content")
    with fault_proxy.proxy(store.port) as proxy:
        behind = opened(store, aws_endpoint_url=proxy.endpoint)
        assert bytes(obstore.get(behind, "behind").bytes()) == b"content"
        proxy.answer(503, times=1)
        assert bytes(obstore.get(behind, "behind").bytes()) == b"content"
        assert proxy.counts.answered == 1
