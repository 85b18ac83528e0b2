"""Both services' clients and commands at addresses where the service isn't, each a real one."""

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as retriever_pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as retriever_grpc

from lightfm_retriever.hosting.observing.metrics_endpoint import MetricsEndpoint
from lightfm_retriever.hosting.security.credentials import add_port
from lightfm_retriever.hosting.security.settings import ClientSecurity, SecuritySettings
from lightfm_retriever.hosting.serving.server import HostedServer, probes
from retriever import client as retriever_client
from tests.certificates import Secret, authority, issue, write
from tests.integration.kinds import TRAINER, both

# What a first contact takes at the most, and an end to waiting for what never comes.
AT_ONCE, PATIENCE = 1.0, 30


@contextlib.contextmanager
def bare(answer):
    """A port that takes connections and does that with them; None leaves them alone."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            held = []
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    held.append(connection)
                    if answer is not None:
                        with contextlib.suppress(OSError), connection:
                            connection.recv(100)
                            answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


@contextlib.contextmanager
def hosted(name, **settings):
    """A server of ours that has health and reflection, but none of the service's methods."""
    server = HostedServer(name, {name: probes("call")})
    port = add_port(server.grpc, "127.0.0.1:0", SecuritySettings(**settings))
    server.start()
    server.say_serving(serving=True)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.grpc.stop(None).wait()


@contextlib.contextmanager
def web():
    """The port of the metrics."""
    endpoint = MetricsEndpoint("127.0.0.1:0", object(), live=lambda: None, ready=lambda: None)
    endpoint.start()
    try:
        yield endpoint.address
    finally:
        endpoint.stop()


@contextlib.contextmanager
def nobody():
    # Bound and not listened on, so that nobody else gets it.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def fails(kind, target, **security):
    """The error that a call ends with, long before its timeout."""
    with kind.client(target, timeout_seconds=PATIENCE, security=ClientSecurity(**security)) as client:
        begin = time.monotonic()
        with pytest.raises(kind.error) as raised:
            kind.ask(client)
        # Far less than the timeout, however busy the machine is.
        assert time.monotonic() - begin < PATIENCE / 3
        assert raised.value.target == target
        return raised.value


@both
@pytest.mark.parametrize(
    ("place", "cause", "words"),
    [
        (nobody, "refused", "connection refused: nobody listens at 127.0.0.1:"),
        (web, "not_grpc", "a web server answers there, no gRPC: is it the port of the metrics?"),
        (lambda: bare(lambda c: c.sendall(b"-ERR no\r\n")), "not_grpc", "it says '-ERR no'"),
        (lambda: bare(lambda _: None), "not_grpc", "closes the connection: does it speak gRPC?"),
    ],
    ids=["nobody", "web", "redis", "closes"],
)
def test_what_is_no_service_is_told_at_once(kind, place, cause, words):
    with place() as target:
        error = fails(kind, target)
        assert (error.cause, error.code) == (cause, grpc.StatusCode.UNAVAILABLE)
        assert words in str(error)


@both
def test_each_command_says_it_in_one_line(kind, capsys):
    with nobody() as target:
        for command in kind.commands:
            assert kind.main([*command, "--target", target]) == 1
            captured = capsys.readouterr()
            expected = f"{target}: UNAVAILABLE: connection refused: nobody listens at {target}"
            assert (captured.out, captured.err) == ("", f"error: {expected}\n")


@both
def test_the_other_service_is_named(kind, capsys):
    other, said = kind.other
    with hosted(other) as target:
        error = fails(kind, target)
        assert (error.cause, error.code) == ("other_service", grpc.StatusCode.UNIMPLEMENTED)
        assert said in str(error)
        # It is no healthy service of the other kind.
        for command in kind.commands:
            assert kind.main([*command, "--target", target]) == 1
            assert said in capsys.readouterr().err


@both
def test_tls_on_one_side_only_and_certificates_that_do_not_fit_are_told(kind, tmp_path):
    secret = Secret(tmp_path / "secret", issue())
    settings, ca = {"cert": secret.cert, "key": secret.key}, secret.ca
    others = tmp_path / "others.crt"
    others.write_bytes(authority("others").cert_pem.bytes())
    with hosted(kind.service) as plain:
        assert fails(kind, plain, ca=ca).cause == "tls_unknown"
    with hosted(kind.service, **settings) as target:
        assert fails(kind, target).cause == "tls_wanted"
        assert fails(kind, target, ca=others).cause == "certificate_untrusted"
        elsewhere = fails(kind, target, ca=ca, server_name="elsewhere.example")
        assert elsewhere.cause == "certificate_name"
    with hosted(kind.service, client_ca=ca, **settings) as target:
        strange = write(tmp_path, issue("a.example", by="others"), "strange")
        for own in ({}, strange):
            assert fails(kind, target, ca=ca, **own).cause == "client_certificate"


def test_who_waits_for_a_service_does_not_wait_for_what_is_no_retriever():
    with nobody() as target, retriever_client.RetrieverClient(target) as client:
        with pytest.raises(retriever_client.UnreachableError) as raised:
            client.wait_until_serving(timeout_seconds=0.3)
        told = raised.value.cause, raised.value.code
        assert told == ("refused", grpc.StatusCode.DEADLINE_EXCEEDED)
    for place, cause in ((web, "not_grpc"), (lambda: hosted(TRAINER), "other_service")):
        with place() as target, retriever_client.RetrieverClient(target) as client:
            with pytest.raises(retriever_client.UnreachableError) as raised:
                client.wait_until_serving(timeout_seconds=PATIENCE)
            assert raised.value.cause == cause


@both
def test_a_service_that_was_known_and_is_gone_is_told_as_one_that_never_was(kind):
    # The call waits, as for one that is being replaced.
    with hosted(kind.service) as target:
        client = kind.client(target, timeout_seconds=0.3)
        assert client.is_serving()
    with client, pytest.raises(kind.error) as raised:
        kind.ask(client)
    assert (raised.value.cause, raised.value.code) == ("refused", grpc.StatusCode.DEADLINE_EXCEEDED)
    assert f"nobody listens at {target}" in str(raised.value)


@both
def test_a_silent_port_is_waited_for_and_named_at_the_end(kind):
    with (
        bare(None) as target,
        kind.client(target, timeout_seconds=0.3) as client,
        pytest.raises(kind.error) as raised,
    ):
        kind.ask(client)
    assert (raised.value.cause, raised.value.code) == ("silent", grpc.StatusCode.DEADLINE_EXCEEDED)


@contextlib.contextmanager
def listening(port):
    servicer = retriever_grpc.RetrieverServiceServicer()
    servicer.GetStatus = lambda *_: retriever_pb.GetStatusResponse(version="v")
    server = grpc.server(ThreadPoolExecutor(2))
    retriever_grpc.add_RetrieverServiceServicer_to_server(servicer, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()


def test_a_client_that_found_nobody_finds_who_comes_later_and_waits_for_it_while_it_is_replaced():
    with nobody() as target:
        client = retriever_client.RetrieverClient(target, timeout_seconds=PATIENCE)
        with pytest.raises(retriever_client.UnreachableError):
            client.status()
    port = int(target.rpartition(":")[2])
    with client, ThreadPoolExecutor(1) as threads:
        with listening(port):
            assert client.status().version == "v"
        waiting = threads.submit(client.status)
        # Longer than a first contact has patience.
        with pytest.raises(TimeoutError):
            waiting.result(timeout=AT_ONCE)
        with listening(port):
            assert waiting.result(timeout=PATIENCE).version == "v"
