"""HTTP for machines that watch."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import threading

import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as of_openmetrics
from prometheus_client.parser import text_string_to_metric_families as of_text

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.observing import metrics_endpoint
from lightfm_retriever.hosting.observing.metrics_endpoint import MetricsEndpoint
from tests.shortages import descriptors_left

PATIENCE = 30


class Collector:
    """One metric, or what goes wrong."""

    def __init__(self):
        self.error = None
        self.block = None

    def collect(self):
        if self.block is not None:
            self.block.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        yield GaugeMetricFamily("things", "Things that there are.", value=3)


class Checked:
    """What the probes say, and the endpoints that ask."""

    def __init__(self):
        self.made = []
        self.live = self.ready = None
        self.collector = Collector()

    def endpoint(self, listen="127.0.0.1:0"):
        self.made.append(
            MetricsEndpoint(listen, self.collector, live=lambda: self.live, ready=lambda: self.ready)
        )
        return self.made[-1]


@pytest.fixture
def checked():
    checked = Checked()
    yield checked
    for endpoint in checked.made:
        endpoint.stop()


@pytest.fixture
def endpoint(checked):
    endpoint = checked.endpoint()
    endpoint.start()
    return endpoint


def connect(address):
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE)


def ask(address, path, *, method="GET", **headers):
    """Status, headers and body."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()


def is_closed(connection):
    """Whether the other side has closed a connection without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_prometheus_chooses_the_format(endpoint):
    status, headers, body = ask(endpoint.address, "/metrics?x=1")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert [sample.value for family in of_text(body) for sample in family.samples] == [3]
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    status, headers, body = ask(endpoint.address, "/metrics", Accept=accept)
    assert status == 200
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert [sample.value for family in of_openmetrics(body) for sample in family.samples] == [3]


@pytest.mark.parametrize("accept", ["application/openmetrics-text;;version=-1a", ";;,q=x", "\xff"])
def test_a_header_that_says_nothing_known_gets_plain_text(endpoint, accept, caplog):
    status, headers, _ = ask(endpoint.address, "/metrics", Accept=accept)
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert caplog.text == ""


def test_probes_say_why_not_in_one_line(checked, endpoint):
    assert ask(endpoint.address, "/live")[::2] == (200, "ok\n")
    assert ask(endpoint.address, "/ready")[::2] == (200, "ok\n")
    checked.ready = "nothing\nis served"
    assert ask(endpoint.address, "/ready")[::2] == (503, "nothing is served\n")
    assert ask(endpoint.address, "/live")[0] == 200
    checked.live = "stuck"
    assert ask(endpoint.address, "/live")[::2] == (503, "stuck\n")


def test_there_is_nothing_else(endpoint):
    for path in ("/", "/metrics/", "/live/x", "//[", "/../metrics", "*"):
        assert ask(endpoint.address, path)[0] == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(endpoint.address, "/metrics", method=method)[0] == 501
    status, headers, body = ask(endpoint.address, "/metrics", method="HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 0
    assert "Python" not in headers["Server"]


def test_a_failure_of_what_is_asked_is_told_to_the_log_and_ends_nothing(checked, endpoint, caplog):
    checked.collector.error = KeyError("secret")
    status, _, body = ask(endpoint.address, "/metrics")
    assert status == 500
    assert "secret" not in body
    assert "secret" in caplog.text
    assert ask(endpoint.address, "/live")[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 4000 + b"\r\n",
    ],
    ids=["line", "headers"],
)
def test_a_request_that_is_too_long_is_not_answered(endpoint, sent):
    with connect(endpoint.address) as caller:
        with contextlib.suppress(OSError):
            caller.sendall(sent)
        assert is_closed(caller)
    assert ask(endpoint.address, "/live")[0] == 200


@pytest.mark.parametrize("sent", [b"", b"\0\xff\r\n\r\n", b"GET\r\n\r\n", b"GET /live\r\n\r\n"])
def test_garbage_ends_nothing(endpoint, sent):
    with connect(endpoint.address) as caller:
        caller.sendall(sent)
        caller.shutdown(socket.SHUT_WR)
        while caller.recv(4096):
            pass
    assert ask(endpoint.address, "/live")[0] == 200


def test_a_caller_that_never_ends_its_request_is_left_however_it_drips(endpoint, monkeypatch):
    monkeypatch.setattr(metrics_endpoint, "_SECONDS", 0.2)
    with connect(endpoint.address) as caller:
        # Each byte comes within the time that one may take, all together don't.
        caller.settimeout(0.02)
        for _ in range(PATIENCE * 50):
            try:
                caller.sendall(b"G")
                if caller.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("it waits for ever")


def test_more_connections_than_it_takes_are_closed_until_one_ends(checked, endpoint, monkeypatch):
    monkeypatch.setattr(metrics_endpoint, "_SECONDS", PATIENCE)
    with contextlib.ExitStack() as stack:
        held = [
            stack.enter_context(connect(endpoint.address))
            for _ in range(metrics_endpoint._MAX_CONNECTIONS)
        ]
        # Connections are accepted in their order, so those before are taken.
        assert is_closed(stack.enter_context(connect(endpoint.address)))
        for caller in held:
            caller.sendall(b"GET /live HTTP/1.1\r\n\r\n")
            assert caller.recv(4096).startswith(b"HTTP/1.0 200")
            while caller.recv(4096):
                pass
    # A thread ends just after its caller is answered.
    for _ in range(8):
        assert endpoint._free.acquire(timeout=PATIENCE)
    for _ in range(8):
        endpoint._free.release()
    assert ask(endpoint.address, "/live")[0] == 200


def test_a_slow_answer_keeps_no_other_waiting(checked, endpoint):
    checked.collector.block = threading.Event()
    with connect(endpoint.address) as caller:
        caller.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert ask(endpoint.address, "/live")[0] == 200
        checked.collector.block.set()
        assert caller.recv(4096).startswith(b"HTTP/1.0 200")


def test_a_port_in_use_is_said_once_and_tried_again_until_it_is_free(checked, monkeypatch, caplog):
    monkeypatch.setattr(metrics_endpoint, "_RETRY_SECONDS", 0.01)
    bound = threading.Event()
    listen, attempts = metrics_endpoint._listen, []

    def listening(host, port):
        attempts.append(port)
        listener = listen(host, port)
        bound.set()
        return listener

    monkeypatch.setattr(metrics_endpoint, "_listen", listening)
    caplog.set_level(logging.INFO)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        endpoint = checked.endpoint(address)
        endpoint.start()
        assert endpoint.address is None
        assert f"--metrics-listen {address}: Address already in use" in caplog.text
        while len(attempts) < 3:
            assert not bound.wait(0.01)
    assert bound.wait(PATIENCE)
    assert ask(address, "/live")[0] == 200
    assert endpoint.address == address
    assert caplog.text.count("already in use") == 1
    assert f"metrics on {address}" in caplog.text


def test_it_stops_while_its_port_is_taken_and_while_it_waits_for_callers(checked):
    before = {*threading.enumerate()}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        waiting = checked.endpoint(f"127.0.0.1:{taken.getsockname()[1]}")
        waiting.start()
        serving = checked.endpoint()
        serving.start()
        address = serving.address
        waiting.stop()
        serving.stop()
    assert serving.address is None
    with pytest.raises(ConnectionRefusedError):
        connect(address)
    for thread in {*threading.enumerate()} - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("listen", "asked"), [("[::1]:0", "[::1]"), ("[::]:0", "127.0.0.1"), ("localhost:0", "127.0.0.1")]
)
def test_it_listens_on_other_addresses_too(checked, listen, asked):
    endpoint = checked.endpoint(listen)
    endpoint.start()
    if endpoint.address is None:
        pytest.skip("this machine has no IPv6")
    assert ask(f"{asked}:{endpoint.address.rpartition(':')[2]}", "/live")[0] == 200


@pytest.mark.parametrize("listen", ["", "9100", ":9100", "host:", "host:x", "host:65536", "host:-1"])
def test_what_is_no_address_is_refused(checked, listen):
    with pytest.raises(HostingError, match=r"--metrics-listen is .* should be HOST:PORT"):
        checked.endpoint(listen)


def test_a_host_that_there_is_not_is_an_error_like_a_port_in_use(checked, caplog):
    endpoint = checked.endpoint(f"{'x' * 80}.invalid:0")
    endpoint.start()
    assert endpoint.address is None
    assert "tried again" in caplog.text


def test_a_caller_that_comes_while_descriptors_lack_is_answered_once_there_are_some(endpoint):
    host, _, port = endpoint.address.rpartition(":")
    # Several, since what a test before this one had open may be closed only now.
    connections = [socket.socket() for _ in range(8)]
    with descriptors_left(0):
        for connection in connections:
            connection.connect((host, int(port)))
            connection.sendall(b"GET /live HTTP/1.0\r\n\r\n")
        last = connections[-1]
        last.settimeout(0.3)
        with pytest.raises(TimeoutError):
            last.recv(1)
    last.settimeout(PATIENCE)
    assert last.recv(100).startswith(b"HTTP/1.0 200")
    for connection in connections:
        connection.close()
