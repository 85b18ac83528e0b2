"""Both services' clients and commands at addresses where the service isn't, each a real one."""

from __future__ import annotations

import contextlib
import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as retriever_pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as retriever_grpc
from recsys.trainer.v1 import trainer_service_pb2 as trainer_pb

from lightfm_retriever.hosting.security.credentials import add_port
from lightfm_retriever.hosting.security.settings import PLAIN, ClientSecurity, SecuritySettings
from lightfm_retriever.hosting.serving.server import HostedServer, probes
from retriever import client as retriever_client
from retriever.__main__ import main as retriever_main
from tests.certificates import Secret, authority, issue, write
from trainer import client as trainer_client
from trainer.__main__ import main as trainer_main

RETRIEVER, TRAINER = "recsys.retriever.v1.RetrieverService", "recsys.trainer.v1.TrainerService"
# What a first contact takes at the most, and an end to waiting for what never comes.
AT_ONCE, PATIENCE = 1.0, 30


@dataclass(frozen=True)
class Kind:
    """One of the two, as callers have it."""

    name: str
    client: Callable[..., Any]
    ask: Callable[[Any], Any]
    error: type[Exception]
    main: Callable[[list[str]], int]
    commands: tuple[tuple[str, ...], ...]


KINDS = [
    Kind(
        "retriever",
        retriever_client.RetrieverClient,
        lambda client: client.recommend("3"),
        retriever_client.UnreachableError,
        retriever_main,
        (("recommend", "3"), ("similar-items", "50"), ("status",), ("health",)),
    ),
    Kind(
        "trainer",
        trainer_client.TrainerClient,
        lambda client: client.call("ListVersions", trainer_pb.ListVersionsRequest()),
        trainer_client.TrainerUnreachableError,
        trainer_main,
        (("versions",), ("watch", "x"), ("health",)),
    ),
]
both = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@contextlib.contextmanager
def bare(answer: Callable[[socket.socket], None] | None) -> Iterator[str]:
    """A port that takes connections and does that with them; None leaves them alone."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def serve() -> None:
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
def hosted(name: str, settings: SecuritySettings | None = None) -> Iterator[str]:
    """A server of ours that has health and reflection, but none of the service's methods."""
    server = HostedServer(name, {name: probes("call")})
    port = add_port(server.grpc, "127.0.0.1:0", settings or SecuritySettings())
    server.start()
    server.say_serving(serving=True)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.grpc.stop(None).wait()


@contextlib.contextmanager
def web() -> Iterator[str]:
    """As the port of the metrics is."""

    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(PATIENCE)


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    # Bound and not listened on, so that nobody else gets it.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def fails(kind: Kind, target: str, security: ClientSecurity = PLAIN) -> Any:
    """The error that a call ends with, long before its timeout."""
    with kind.client(target, timeout_seconds=PATIENCE, security=security) as client:
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
    other, name = (TRAINER, "trainer") if kind.name == "retriever" else (RETRIEVER, "retriever")
    with hosted(other) as target:
        error = fails(kind, target)
        assert (error.cause, error.code) == ("other_service", grpc.StatusCode.UNIMPLEMENTED)
        assert f"a {name} answers there" in str(error)
        # It is no healthy service of the other kind.
        for command in kind.commands:
            assert kind.main([*command, "--target", target]) == 1
            assert f"a {name} answers there" in capsys.readouterr().err


@both
def test_tls_on_one_side_only_and_certificates_that_do_not_fit_are_told(kind, tmp_path):
    secret = Secret(tmp_path / "secret", issue())
    trusting = ClientSecurity(ca=secret.ca)
    others = tmp_path / "others.crt"
    others.write_bytes(authority("others").cert_pem.bytes())
    name = RETRIEVER if kind.name == "retriever" else TRAINER
    with hosted(name) as plain:
        assert fails(kind, plain, trusting).cause == "tls_unknown"
    with hosted(name, SecuritySettings(cert=secret.cert, key=secret.key)) as target:
        assert fails(kind, target).cause == "tls_wanted"
        assert fails(kind, target, ClientSecurity(ca=others)).cause == "certificate_untrusted"
        elsewhere = ClientSecurity(ca=secret.ca, server_name="elsewhere.example")
        assert fails(kind, target, elsewhere).cause == "certificate_name"
    mutual = SecuritySettings(cert=secret.cert, key=secret.key, client_ca=secret.ca)
    with hosted(name, mutual) as target:
        assert fails(kind, target, trusting).cause == "client_certificate"
        strange = write(tmp_path, issue("a.example", by="others"), "strange")
        assert fails(kind, target, ClientSecurity(ca=secret.ca, **strange)).cause == (
            "client_certificate"
        )


@both
def test_a_command_tells_of_a_handshake_that_fails_in_our_words_alone(kind, tmp_path, monkeypatch):
    """gRPC has lines of its own, before ours; who sets its variable gets them."""
    secret = Secret(tmp_path / "secret", issue())
    others = tmp_path / "others.crt"
    others.write_bytes(authority("others").cert_pem.bytes())
    name = RETRIEVER if kind.name == "retriever" else TRAINER
    asked = ("status",) if kind.name == "retriever" else ("runs",)
    with hosted(name, SecuritySettings(cert=secret.cert, key=secret.key)) as target:
        command = [sys.executable, "-m", kind.name, *asked, "--target", target, "--ca", str(others)]
        monkeypatch.delenv("GRPC_VERBOSITY", raising=False)
        for has_others in (False, True):
            if has_others:
                monkeypatch.setenv("GRPC_VERBOSITY", "INFO")
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            *others_lines, ours = done.stderr.splitlines()
            assert ours.startswith("error: ")
            assert bool(others_lines) == has_others


def test_who_waits_for_a_service_does_not_wait_for_what_is_no_retriever():
    with nobody() as target, retriever_client.RetrieverClient(target) as client:
        with pytest.raises(retriever_client.UnreachableError) as raised:
            client.wait_until_serving(timeout_seconds=0.3)
        assert (raised.value.cause, raised.value.code) == (
            "refused",
            grpc.StatusCode.DEADLINE_EXCEEDED,
        )
    for place, cause in ((web, "not_grpc"), (lambda: hosted(TRAINER), "other_service")):
        with place() as target, retriever_client.RetrieverClient(target) as client:
            with pytest.raises(retriever_client.UnreachableError) as raised:
                client.wait_until_serving(timeout_seconds=PATIENCE)
            assert raised.value.cause == cause


@both
def test_a_service_that_was_known_and_is_gone_is_told_as_one_that_never_was(kind):
    """The call waits, as for one that is being replaced."""
    name = RETRIEVER if kind.name == "retriever" else TRAINER
    with hosted(name) as target:
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


class _Answers(retriever_grpc.RetrieverServiceServicer):
    def GetStatus(self, *_: Any) -> Any:  # noqa: N802
        return retriever_pb.GetStatusResponse(version="v")


@contextlib.contextmanager
def listening(port: int = 0) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    retriever_grpc.add_RetrieverServiceServicer_to_server(_Answers(), server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        server.stop(None).wait()


def test_a_client_that_was_answered_once_waits_for_a_service_that_is_replaced():
    with listening() as target:
        client = retriever_client.RetrieverClient(target, timeout_seconds=PATIENCE)
        assert client.status().version == "v"
    with client, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.status)
        # Longer than a first contact has patience.
        with pytest.raises(TimeoutError):
            waiting.result(timeout=AT_ONCE)
        with listening(int(target.rpartition(":")[2])):
            assert waiting.result(timeout=PATIENCE).version == "v"


def test_a_client_that_found_nobody_finds_who_comes_later():
    with nobody() as target:
        client = retriever_client.RetrieverClient(target, timeout_seconds=PATIENCE)
        with pytest.raises(retriever_client.UnreachableError):
            client.status()
    with client, listening(int(target.rpartition(":")[2])):
        assert client.status().version == "v"
