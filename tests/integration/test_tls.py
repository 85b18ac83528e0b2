"""TLS, client certificates and tokens, with both services as real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from recsys.retriever.v1 import retriever_service_pb2 as retriever_pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as retriever_grpc
from recsys.trainer.v1 import trainer_service_pb2 as trainer_pb
from recsys.trainer.v1 import trainer_service_pb2_grpc as trainer_grpc

from lightfm_retriever.hosting.observing import logs
from lightfm_retriever.hosting.security.credentials import open_channel
from lightfm_retriever.hosting.security.settings import ClientSecurity
from retriever.__main__ import main as retriever_main
from retriever.client import RetrieverClient
from tests.certificates import NAME, Secret, authority, chain, expired, issue, key, serial, write
from tests.service import Service
from tests.trainer_service import TrainerService, wait_until
from trainer.__main__ import main as trainer_main
from trainer.client import TrainerClient

PATIENCE = 30
TOKEN = "a-token"  # noqa: S105


@dataclass(frozen=True)
class Kind:
    """One of the two services."""

    name: str
    start: Callable[..., Any]
    ask: Callable[[grpc.Channel], Any]
    main: Callable[[list[str]], int]
    client: Callable[..., Any]
    command: str


def _retriever(folder: Path, **flags: object) -> Service:
    (folder / "volume").mkdir(parents=True)
    return Service(folder / "volume", folder / "log", drain_seconds=0, **{"workers": 2, **flags})


def _trainer(folder: Path, **flags: object) -> TrainerService:
    return TrainerService(folder / "volume", folder / "state", **flags)


KINDS = [
    Kind(
        "retriever",
        _retriever,
        lambda channel: retriever_grpc.RetrieverServiceStub(channel).GetStatus(
            retriever_pb.GetStatusRequest(), timeout=PATIENCE, wait_for_ready=True
        ),
        retriever_main,
        RetrieverClient,
        "status",
    ),
    Kind(
        "trainer",
        _trainer,
        lambda channel: trainer_grpc.TrainerServiceStub(channel).ListVersions(
            trainer_pb.ListVersionsRequest(), timeout=PATIENCE, wait_for_ready=True
        ),
        trainer_main,
        TrainerClient,
        "runs",
    ),
]
both = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@dataclass(frozen=True)
class Files:
    """What clients have on disk."""

    folder: Path

    def security(self, *names: str, ca: str = "ours", by: str = "ours", **more: Any) -> ClientSecurity:
        """A client that trusts `ca`, with a certificate for some names, if any, that `by` signed."""
        path = self.folder / f"{ca}.crt"
        path.write_bytes(authority(ca).cert_pem.bytes())
        own = write(self.folder, issue(*names, by=by), f"{by}-{names[0]}") if names else {}
        return ClientSecurity(ca=path, **own, **more)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("clients"))


@contextlib.contextmanager
def channel(target: str, security: ClientSecurity):
    """A connection that no other test has."""
    with open_channel(target, security, [("grpc.use_local_subchannel_pool", 1)]) as opened:
        yield opened


def asked(kind: Kind, target: str, security: ClientSecurity) -> Any:
    with channel(target, security) as opened:
        return kind.ask(opened)


def refused(kind: Kind, target: str, security: ClientSecurity) -> tuple[grpc.StatusCode, str, str]:
    """The code, message and reason that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        asked(kind, target, security)
    info = error_details_pb2.ErrorInfo()
    [detail] = rpc_status.from_call(caught.value).details
    assert detail.Unpack(info)
    return caught.value.code(), caught.value.details(), info.reason


def healthy(target: str, security: ClientSecurity) -> None:
    with channel(target, security) as opened:
        stub = health_pb2_grpc.HealthStub(opened)
        stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE, wait_for_ready=True)
        next(stub.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE, wait_for_ready=True))


def shown(target: str, *, ca: str = "ours") -> int | None:
    """The serial number of the certificate that a new connection is shown; None: not of that CA."""
    context = ssl.create_default_context(cadata=authority(ca).cert_pem.bytes().decode())
    context.set_alpn_protocols(["h2"])
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host) as connection:
                content = connection.getpeercert(binary_form=True)
        except ssl.SSLCertVerificationError:
            return None
    assert content is not None
    return x509.load_der_x509_certificate(content).serial_number


# ---- one service of each kind that asks for everything


@pytest.fixture(scope="module")
def locked(request, tmp_path_factory):
    """(kind, address): mutual TLS, allowed names and tokens."""
    kind = request.param
    folder = tmp_path_factory.mktemp(kind.name)
    secret = Secret(folder / "secret", issue())
    (folder / "tokens").write_text(f"{TOKEN}\n")
    service = kind.start(
        folder,
        tls_cert=secret.cert,
        tls_key=secret.key,
        tls_client_ca=secret.ca,
        tls_allowed_clients="a.example,b.example",
        token_file=folder / "tokens",
    )
    with service:
        # It listens once a worker does.
        asked(kind, service.target, Files(folder).security("a.example", token=TOKEN))
        yield kind, service.target


every_lock = pytest.mark.parametrize(
    "locked", KINDS, ids=lambda kind: kind.name, indirect=True, scope="module"
)


@every_lock
def test_only_a_name_on_the_list_with_a_token_may_call(locked, files):
    kind, target = locked
    for name in ("a.example", "b.example"):
        asked(kind, target, files.security(name, token=TOKEN))
        with kind.client(target, security=files.security(name, token=TOKEN)) as client:
            client.is_serving()
    code, message, reason = refused(kind, target, files.security("c.example", token=TOKEN))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "CLIENT_NOT_ALLOWED")
    assert "c.example" in message
    code, _, reason = refused(kind, target, files.security("a.example"))
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    code, _, reason = refused(kind, target, files.security("a.example", token=f"{TOKEN}x"))
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_WRONG")


@every_lock
def test_health_checks_need_the_handshake_only_and_reflection_needs_all(locked, files):
    _, target = locked
    healthy(target, files.security("c.example"))

    def reflect(security):
        with channel(target, security) as opened:
            stub = reflection_pb2_grpc.ServerReflectionStub(opened)
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            return next(stub.ServerReflectionInfo(iter([request]), timeout=PATIENCE))

    assert reflect(files.security("a.example", token=TOKEN)).list_services_response.service
    for security, code in (
        (files.security("a.example"), grpc.StatusCode.UNAUTHENTICATED),
        (files.security("c.example", token=TOKEN), grpc.StatusCode.PERMISSION_DENIED),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            reflect(security)
        assert caught.value.code() is code


@every_lock
def test_the_command_line_asks_with_flags_and_with_the_environment(
    locked, files, tmp_path, monkeypatch, capsys
):
    kind, target = locked
    token = tmp_path / "token"
    token.write_text(TOKEN)
    security = files.security("a.example")
    given = {
        "CA": security.ca,
        "CERT": security.cert,
        "KEY": security.key,
        "SERVER_NAME": NAME,
        "TOKEN_FILE": token,
    }

    def run(*arguments):
        status = kind.main([*map(str, arguments), "--target", target])
        return status, *capsys.readouterr()

    flags = ["--ca", security.ca, "--cert", security.cert, "--key", security.key]
    # What a container's probe has: no token.
    assert '"healthy": ' in run("health", "--json", *flags)[1]
    status, _, errors = run(kind.command, *flags)
    assert status == 1
    assert errors.startswith(f"error: {target}: UNAUTHENTICATED: this service wants a token")
    for name, value in given.items():
        monkeypatch.setenv(f"{kind.name.upper()}_CLIENT_{name}", str(value))
    status, output, errors = run(kind.command, "--json")
    assert (status, errors) == (0, "")
    assert json.loads(output) is not None


# ---- what changes on disk while the service runs


@both
def test_certificates_and_tokens_change_without_a_restart_or_a_failed_call(kind, files, tmp_path):
    first, second, third = issue(), issue(by="others"), issue()
    workers = 2 if kind.name == "retriever" else 1
    secret = Secret(tmp_path / "secret", first)
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN}\n")
    # A client that trusts both.
    trusted = tmp_path / "both.crt"
    trusted.write_bytes(b"".join(authority(name).cert_pem.bytes() for name in ("ours", "others")))
    security = ClientSecurity(ca=trusted, token=TOKEN)
    other = ClientSecurity(ca=trusted, token="another")  # noqa: S106
    flags = {"tls_cert": secret.cert, "tls_key": secret.key, "token_file": tokens}
    with kind.start(tmp_path, **flags) as service, channel(service.target, security) as old:
        kind.ask(old)
        failed: list[Exception] = []
        calls = {"old": 0, "new": 0}
        ended = threading.Event()

        def go_on(name: str, call: Callable[[], object]) -> None:
            while not ended.is_set():
                try:
                    call()
                    calls[name] += 1
                except Exception as error:
                    failed.append(error)

        callers = [
            threading.Thread(target=go_on, args=("old", lambda: kind.ask(old))),
            threading.Thread(target=go_on, args=("new", lambda: asked(kind, service.target, security))),
        ]
        for caller in callers:
            caller.start()
        try:
            assert shown(service.target) == serial(first)
            secret.replace(chain(second), key(second))
            tokens.write_text(f"{TOKEN}\nanother\n")
            # Each of the workers has them.
            wait_until(
                lambda: (
                    {shown(service.target, ca="others") for _ in range(8)} == {serial(second)}
                    and service.log.count("changed; in use: 2 tokens") == workers
                )
            )
            assert shown(service.target) is None
            assert f"--tls-cert {secret.cert}" in service.log
            assert "changed; in use: a certificate that is valid until" in service.log
            asked(kind, service.target, other)
            # Not for its key: the one before serves on, and the log says why.
            secret.replace(chain(third), key(second))
            wait_until(lambda: service.log.count("isn't the key of") == workers)
            assert shown(service.target, ca="others") == serial(second)
            seen = dict(calls)
            wait_until(lambda: all(calls[name] > seen[name] for name in calls))
        finally:
            ended.set()
            for caller in callers:
                caller.join()
        assert failed == []
        tokens.write_text("another\n")
        wait_until(lambda: service.log.count("changed; in use: 1 token\n") == workers)
        assert refused(kind, service.target, security)[2] == "TOKEN_WRONG"
        asked(kind, service.target, other)
        assert service.log.count("isn't the key of") == workers
        assert service.terminate() == 0


def test_a_worker_that_finds_bad_files_comes_back_when_they_are_good(tmp_path):
    """The parent checks them when the service starts only."""
    secret = Secret(tmp_path / "secret", issue())
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority("ours").cert_pem.bytes())
    flags = {"workers": 1, "tls_cert": secret.cert, "tls_key": secret.key}
    with _retriever(tmp_path, **flags, security=ClientSecurity(ca=ca)) as service:
        [pid] = service.worker_pids()
        secret.replace(chain(issue()), key(issue()))
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "isn't the key of" in service.log and ": stopping" in service.log)
        assert "Traceback" not in service.log
        new = issue()
        secret.replace(chain(new), key(new))
        assert service.worker_pids() != [pid]
        assert shown(service.target) == serial(new)


# ---- what keeps a service from starting


def starts(kind: Kind, folder: Path, capsys, *flags: object) -> str:
    """Start it where it can't; returns what it says."""
    (folder / "volume").mkdir(exist_ok=True)
    arguments = ["serve", "--volume", folder / "volume", "--listen", "127.0.0.1:0", *flags]
    if kind.name == "trainer":
        arguments += ["--state", folder / "state"]
    with pytest.MonkeyPatch.context() as patch:
        # Else the log of later tests goes where this one's does.
        patch.setattr(logs, "configure", lambda *_, **__: None)
        # 2 where the flags alone tell that.
        assert kind.main([str(argument) for argument in arguments]) in (1, 2)
    output = capsys.readouterr()
    assert output.out == ""
    error: str = output.err
    assert error.splitlines()[-1].startswith("error: ")
    return error.splitlines()[-1].removeprefix("error: ")


@both
def test_files_that_cannot_be_used_are_named(kind, tmp_path, capsys):
    secret = Secret(tmp_path / "secret", expired())
    tls = ["--tls-cert", secret.cert, "--tls-key", secret.key]
    assert starts(kind, tmp_path, capsys, *tls).startswith(f"--tls-cert {secret.cert} expired at 2")
    expected = "--tls-cert is given without --tls-key"
    assert starts(kind, tmp_path, capsys, *tls[:2]).startswith(expected)
    tokens = tmp_path / "tokens"
    tokens.touch()
    expected = f"--token-file {tokens} is empty"
    assert starts(kind, tmp_path, capsys, "--token-file", tokens).startswith(expected)


@both
def test_without_tls_only_loopback_is_listened_on(kind, tmp_path, capsys):
    everywhere = ["--listen", "0.0.0.0:0"]
    message = starts(kind, tmp_path, capsys, *everywhere)
    assert message.startswith("--listen 0.0.0.0: ")
    assert "--insecure" in message
    with kind.start(tmp_path / "real", listen="0.0.0.0:0", insecure=True) as service:
        assert service.target.startswith("0.0.0.0:")
