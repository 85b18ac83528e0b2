"""Both services' clients and commands at addresses where the service isn't, each a real one."""

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as retriever_pb

from lightfm_retriever.hosting.observing.metrics_endpoint import MetricsEndpoint
from lightfm_retriever.hosting.security.credentials import add_port
from lightfm_retriever.hosting.security.settings import ClientSecurity, SecuritySettings
from lightfm_retriever.hosting.serving.server import HostedServer, probes
from retriever import client as retriever_client
from tests.certificates import Secret, authority, issue, write
from tests.integration.kinds import RETRIEVER, TRAINER, both

# What a first contact takes at the most, and an end to waiting for what never comes.
AT_ONCE, PATIENCE = 1.0, 30


@contextlib.contextmanager
def bare(answer):
    """A port that takes connections and does that with them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
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
def hosted(name, at="127.0.0.1:0", *, methods=None, **settings):
    """A server of ours that has health and reflection, but none of the service's other methods."""
    server = HostedServer(name, {name: probes("call")})
    server.grpc.add_registered_method_handlers(name, methods or {})
    port = add_port(server.grpc, at, SecuritySettings(**settings))
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
    yield endpoint.address
    endpoint.stop()


@contextlib.contextmanager
def nobody(*, silent=False):
    # Bound, so that nobody else gets it; the system itself takes connections of whoever listens.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        if silent:
            held.listen()
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
        (web, "not_grpc", "a web server answers there, not a gRPC service: check"),
        (partial(bare, lambda own: own.sendall(b"-ERR no\r\n")), "not_grpc", "it sends '-ERR no'"),
        (
            partial(bare, lambda _: None),
            "not_grpc",
            "closes the connection: check that it is a gRPC service",
        ),
    ],
    ids=["nobody", "web", "redis", "closes"],
)
def test_what_is_no_service_is_told_at_once(kind, place, cause, words):
    with place() as target:
        error = fails(kind, target)
        assert (error.cause, error.code) == (cause, grpc.StatusCode.UNAVAILABLE)
        assert words in str(error)


@both
def test_the_other_service_is_named_and_each_command_says_it_in_one_line(kind, capsys):
    other, said = kind.other
    with nobody() as free, hosted(other) as target:
        error = fails(kind, target)
        assert (error.cause, error.code) == ("other_service", grpc.StatusCode.UNIMPLEMENTED)
        assert said in str(error)
        refused = f"{free}: UNAVAILABLE: connection refused: nobody listens at {free}"
        for command in kind.commands:
            assert kind.main([*command, "--target", free]) == 1
            assert capsys.readouterr() == ("", f"error: {refused}\n")
            # It is no healthy service of the other kind.
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
    for place, seconds, cause, code in (
        (nobody(), 0.3, "refused", grpc.StatusCode.DEADLINE_EXCEEDED),
        (web(), PATIENCE, "not_grpc", grpc.StatusCode.UNAVAILABLE),
        (hosted(TRAINER), PATIENCE, "other_service", grpc.StatusCode.UNIMPLEMENTED),
    ):
        with place as target, retriever_client.RetrieverClient(target) as client:
            with pytest.raises(retriever_client.UnreachableError) as raised:
                client.wait_until_serving(timeout_seconds=seconds)
            assert (raised.value.cause, raised.value.code) == (cause, code)


@both
def test_a_service_that_is_gone_and_a_silent_port_are_waited_for_and_named_at_the_end(kind):
    with hosted(kind.service) as gone:
        client = kind.client(gone, timeout_seconds=0.3)
        assert client.is_serving()
    late = grpc.StatusCode.DEADLINE_EXCEEDED
    with client, pytest.raises(kind.error, match=f"nobody listens at {gone}") as raised:
        kind.ask(client)
    assert (raised.value.cause, raised.value.code) == ("refused", late)
    with nobody(silent=True) as silent, kind.client(silent, timeout_seconds=0.3) as client:
        with pytest.raises(kind.error) as raised:
            kind.ask(client)
        assert (raised.value.cause, raised.value.code) == ("silent", late)


def test_a_client_that_found_nobody_finds_who_comes_later_and_waits_for_it_while_it_is_replaced():
    with nobody() as target:
        client = retriever_client.RetrieverClient(target, timeout_seconds=PATIENCE)
        with pytest.raises(retriever_client.UnreachableError):
            client.status()
    answer = retriever_pb.GetStatusResponse(version="v").SerializeToString()
    methods = {"GetStatus": grpc.unary_unary_rpc_method_handler(lambda *_: answer)}
    comes = partial(hosted, RETRIEVER, target, methods=methods)
    with client, ThreadPoolExecutor(1) as threads:
        with comes():
            assert client.status().version == "v"
        waiting = threads.submit(client.status)
        # Longer than a first contact has patience.
        with pytest.raises(TimeoutError):
            waiting.result(timeout=AT_ONCE)
        with comes():
            assert waiting.result(timeout=PATIENCE).version == "v"
