"""HTTP for machines that watch."""

import contextlib
import http.client
import socket
import threading
from unittest import mock

import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as of_openmetrics
from prometheus_client.parser import text_string_to_metric_families as of_text

from lightfm_retriever.hosting.observing import metrics_endpoint
from lightfm_retriever.hosting.observing.metrics_endpoint import MetricsEndpoint
from tests.shortages import descriptors_left
from tests.trainer_service import wait_until

PATIENCE = 30
LIVE = b"GET /live HTTP/1.1\r\n\r\n"
ANSWERED = b"HTTP/1.0 200"
OPENMETRICS = "application/openmetrics-text"


@pytest.fixture
def watched():
    """What is asked: one metric, and what the probes say."""
    metrics = [GaugeMetricFamily("things", "Things that there are.", value=3)]
    made = mock.Mock(spec=["live", "ready", "collect"], live=None, ready=None)
    made.collect.return_value = metrics
    return made


@pytest.fixture
def start(watched):
    with contextlib.ExitStack() as stack:

        def started(listen="127.0.0.1:0"):
            checks = {"live": lambda: watched.live, "ready": lambda: watched.ready}
            made = MetricsEndpoint(listen, watched, **checks)
            stack.callback(made.stop)
            made.start()
            return made

        yield started


@pytest.fixture
def address(start):
    return start().address


def place(address):
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def connect(address):
    return socket.create_connection(place(address), timeout=PATIENCE)


def ask(address, path, *, method="GET", **headers):
    caller = http.client.HTTPConnection(*place(address), timeout=PATIENCE)
    with contextlib.closing(caller):
        caller.request(method, path, headers=headers)
        response = caller.getresponse()
        return response.status, response.headers, response.read().decode()


def is_closed(connection):
    try:
        return connection.recv(1) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True


def test_prometheus_chooses_the_format(address, caplog):
    for accept, content_type, read in (
        ("", "text/plain; version=0.0.4; charset=utf-8", of_text),
        (f"{OPENMETRICS};;version=-1a", "text/plain; version=0.0.4", of_text),
        (f"{OPENMETRICS};version=1.0.0,text/plain", f"{OPENMETRICS}; version=1.0.0", of_openmetrics),
    ):
        status, headers, body = ask(address, "/metrics?x=1", Accept=accept)
        assert status == 200
        assert headers["Content-Type"].startswith(content_type)
        assert [sample.value for family in read(body) for sample in family.samples] == [3]
        assert caplog.text == ""


def test_probes_say_why_not_in_one_line(watched, address):
    assert ask(address, "/live")[::2] == ask(address, "/ready")[::2] == (200, "ok\n")
    watched.ready = "nothing\nis served"
    assert ask(address, "/ready")[::2] == (503, "nothing is served\n")
    assert ask(address, "/live")[0] == 200
    watched.live = "stuck"
    assert ask(address, "/live")[::2] == (503, "stuck\n")


def test_there_is_nothing_else_and_a_failure_is_told_to_the_log(watched, address, caplog):
    for path in ("/", "/metrics/", "//["):
        assert ask(address, path)[0] == 404
    assert ask(address, "/metrics", method="POST")[0] == 501
    status, headers, body = ask(address, "/metrics", method="HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 0
    assert "Python" not in headers["Server"]
    watched.collect.side_effect = KeyError("secret")
    status, _, body = ask(address, "/metrics")
    assert status == 500
    assert "secret" not in body
    assert "secret" in caplog.text
    assert ask(address, "/live")[0] == 200


def test_garbage_ends_nothing_and_what_is_too_long_is_not_answered(address):
    long_line = b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n"
    long_headers = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 4000 + b"\r\n"
    for sent in (long_line, long_headers, b"", b"\0\xff\r\n\r\n", b"GET\r\n\r\n"):
        with connect(address) as caller:
            with contextlib.suppress(OSError):
                caller.sendall(sent)
                caller.shutdown(socket.SHUT_WR)
            assert is_closed(caller) or len(sent) < 100
        assert ask(address, "/live")[0] == 200


def test_a_caller_that_never_ends_its_request_is_left_however_it_drips(address, monkeypatch):
    monkeypatch.setattr(metrics_endpoint, "_SECONDS", 0.2)
    with connect(address) as caller:
        # Each byte comes within the time that one may take, all together don't.
        caller.settimeout(0.02)
        for _ in range(100):
            with contextlib.suppress(TimeoutError):
                caller.sendall(b"G")
                if is_closed(caller):
                    return
    pytest.fail("it waits for ever")


def test_more_connections_than_it_takes_are_closed_until_one_ends(address, monkeypatch):
    monkeypatch.setattr(metrics_endpoint, "_SECONDS", PATIENCE)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(address)) for _ in range(metrics_endpoint._MAX_CONNECTIONS)]
        # Connections are accepted in their order, so those before are taken.
        assert is_closed(stack.enter_context(connect(address)))
        for caller in held:
            caller.sendall(LIVE)
            assert caller.recv(4096).startswith(ANSWERED)
    # A thread ends just after its caller is answered.
    answered = b""
    while not answered.startswith(ANSWERED):
        with connect(address) as caller, contextlib.suppress(OSError):
            caller.sendall(LIVE)
            answered = caller.recv(4096)


def test_a_port_in_use_is_said_once_and_tried_again_until_it_is_free(start, monkeypatch, caplog):
    monkeypatch.setattr(metrics_endpoint, "_RETRY_SECONDS", 0.01)
    tried = mock.Mock(wraps=metrics_endpoint._listen)
    monkeypatch.setattr(metrics_endpoint, "_listen", tried)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        endpoint = start(address)
        wait_until(lambda: tried.call_count > 2)
        assert endpoint.address is None
    wait_until(lambda: endpoint.address)
    assert ask(address, "/live")[0] == 200
    assert caplog.text.count(f"--metrics-listen {address}: Address already in use") == 1


def test_it_stops_while_its_port_is_taken_and_while_it_waits_for_callers(start):
    before = {*threading.enumerate()}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        waiting = start(f"127.0.0.1:{taken.getsockname()[1]}")
        serving = start()
        address = serving.address
        waiting.stop()
        serving.stop()
    assert serving.address is None
    with pytest.raises(ConnectionRefusedError):
        connect(address)
    for thread in {*threading.enumerate()} - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize(("listen", "asked"), [("[::1]:0", "[::1]"), ("[::]:0", "127.0.0.1")])
def test_it_listens_on_other_addresses_that_there_are(start, listen, asked, caplog):
    assert start(f"{'x' * 80}.invalid:0").address is None
    assert "retries every" in caplog.text
    address = start(listen).address
    if address is None:
        pytest.skip("this machine has no IPv6")
    assert ask(f"{asked}:{place(address)[1]}", "/live")[0] == 200


def test_a_caller_that_comes_while_descriptors_lack_is_answered_once_there_are_some(address):
    # Several, since what a test before this one had open may be closed only now.
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(socket.socket()) for _ in range(8)]
        with descriptors_left(0):
            for caller in callers:
                caller.connect(place(address))
                caller.sendall(LIVE)
            callers[-1].settimeout(0.3)
            with pytest.raises(TimeoutError):
                callers[-1].recv(1)
        callers[-1].settimeout(PATIENCE)
        assert callers[-1].recv(100).startswith(ANSWERED)
