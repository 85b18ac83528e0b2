"""TLS, client certificates and tokens, with both services as real processes."""

import contextlib
import json
import os
import signal
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from lightfm_retriever.hosting.observing import logs
from lightfm_retriever.hosting.security.credentials import open_channel
from lightfm_retriever.hosting.security.settings import ClientSecurity
from tests.certificates import NAME, Secret, authority, chain, expired, issue, key, write
from tests.integration.kinds import KINDS, both, start_retriever
from tests.trainer_service import refused, wait_until

PATIENCE = 30
TOKEN = "a-token"  # noqa: S105


def security_in(folder, name, **more):
    """A client that trusts our CA, with a certificate for a name that it signed."""
    path = folder / "ours.crt"
    path.write_bytes(authority("ours").cert_pem.bytes())
    return ClientSecurity(ca=path, **write(folder, issue(name), name), **more)


def channel(target, security):
    """A connection that no other test has."""
    return open_channel(target, security, [("grpc.use_local_subchannel_pool", 1)])


def ask(kind, channel):
    channel.unary_unary(kind.method)(b"", timeout=PATIENCE, wait_for_ready=True)


def asked(kind, target, security):
    with channel(target, security) as opened:
        ask(kind, opened)


def shown(target, *, ca="ours"):
    """The certificate that a new connection is shown, in PEM; None: not of that CA."""
    context = ssl.create_default_context(cadata=authority(ca).cert_pem.bytes().decode())
    context.set_alpn_protocols(["h2"])
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host) as connection:
                return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True)).encode()
        except ssl.SSLCertVerificationError:
            return None


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def locked(request, tmp_path_factory):
    """(kind, address, clients' security): mutual TLS, allowed names and tokens."""
    kind = request.param
    folder = tmp_path_factory.mktemp(kind.name)
    secret = Secret(folder / "secret", issue())
    (folder / "tokens").write_text(f"{TOKEN}\n")
    flags = {"tls_cert": secret.cert, "tls_key": secret.key, "tls_client_ca": secret.ca}
    flags |= {"tls_allowed_clients": "a.example,b.example", "token_file": folder / "tokens"}
    with kind.start(folder, **flags) as service:
        # It listens once a worker does.
        asked(kind, service.target, security_in(folder, "a.example", token=TOKEN))
        yield kind, service.target, partial(security_in, folder)


def test_only_a_name_on_the_list_with_a_token_may_call(locked):
    kind, target, security = locked
    for name in ("a.example", "b.example"):
        asked(kind, target, security(name, token=TOKEN))
        with kind.client(target, security=security(name, token=TOKEN)) as client:
            client.is_serving()
    code, message, reason = refused(asked, kind, target, security("c.example", token=TOKEN))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "CLIENT_NOT_ALLOWED")
    assert "c.example" in message
    for given, reason in (({}, "TOKEN_MISSING"), ({"token": f"{TOKEN}x"}, "TOKEN_WRONG")):
        code, _, told = refused(asked, kind, target, security("a.example", **given))
        assert (code, told) == (grpc.StatusCode.UNAUTHENTICATED, reason)


def test_health_checks_need_the_handshake_only_and_reflection_needs_all(locked):
    _, target, security = locked
    with channel(target, security("c.example")) as opened:
        watch = opened.unary_stream("/grpc.health.v1.Health/Watch")
        next(watch(b"", timeout=PATIENCE, wait_for_ready=True))

    def reflect(given):
        with channel(target, given) as opened:
            stub = reflection_pb2_grpc.ServerReflectionStub(opened)
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            return next(stub.ServerReflectionInfo(iter([request]), timeout=PATIENCE))

    assert reflect(security("a.example", token=TOKEN)).list_services_response.service
    for given, code in (
        (security("a.example"), grpc.StatusCode.UNAUTHENTICATED),
        (security("c.example", token=TOKEN), grpc.StatusCode.PERMISSION_DENIED),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            reflect(given)
        assert caught.value.code() is code


def test_the_command_line_asks_with_flags_and_with_the_environment(
    locked, tmp_path, monkeypatch, capsys
):
    kind, target, security = locked
    token = tmp_path / "token"
    token.write_text(TOKEN)
    own = security("a.example")
    given = {"CA": own.ca, "CERT": own.cert, "KEY": own.key, "SERVER_NAME": NAME, "TOKEN_FILE": token}

    def run(*arguments):
        status = kind.main([*map(str, arguments), "--target", target])
        return status, *capsys.readouterr()

    flags = ["--ca", own.ca, "--cert", own.cert, "--key", own.key]
    # What a container's probe has: no token.
    assert '"healthy": ' in run("health", "--json", *flags)[1]
    status, _, errors = run(kind.command, *flags)
    assert status == 1
    assert errors.startswith(f"error: {target}: UNAUTHENTICATED: this service requires a token")
    prefix = f"{kind.name.upper()}_CLIENT_"
    for name, value in given.items():
        monkeypatch.setenv(prefix + name, str(value))
    status, output, errors = run(kind.command, "--json")
    assert (status, errors) == (0, "")
    assert json.loads(output) is not None
    # A flag wins, and an empty variable counts as not set.
    monkeypatch.setenv(f"{prefix}CA", "/nowhere")
    monkeypatch.setenv(f"{prefix}SERVER_NAME", "")
    assert run(kind.command, "--json", "--ca", own.ca)[::2] == (0, "")


@both
def test_certificates_and_tokens_change_without_a_restart_or_a_failed_call(kind, tmp_path):
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
        ask(kind, old)
        calls = {"old": 0, "new": 0}
        ended = threading.Event()

        def go_on(name, call):
            while not ended.is_set():
                call()
                calls[name] += 1

        with ThreadPoolExecutor(2) as threads, contextlib.ExitStack() as stack:
            stack.callback(ended.set)
            new = partial(asked, kind, service.target, security)
            by_name = {"old": partial(ask, kind, old), "new": new}
            callers = [threads.submit(go_on, *own) for own in by_name.items()]
            assert shown(service.target) == chain(first)
            secret.replace(chain(second), key(second))
            tokens.write_text(f"{TOKEN}\nanother\n")
            # Each of the workers has them.
            wait_until(lambda: service.log.count("changed; in use: 2 tokens") == workers)
            of_others = partial(shown, service.target, ca="others")
            wait_until(lambda: {of_others() for _ in range(8)} == {chain(second)})
            assert shown(service.target) is None
            assert f"--tls-cert {secret.cert}" in service.log
            assert "changed; in use: a certificate that is valid until" in service.log
            asked(kind, service.target, other)
            # Not for its key: the one before serves on, and the log says why.
            secret.replace(chain(third), key(second))
            wait_until(lambda: service.log.count("isn't the key of") == workers)
            assert of_others() == chain(second)
            seen = dict(calls)
            wait_until(lambda: all(calls[name] > seen[name] for name in calls))
        for caller in callers:
            caller.result()
        tokens.write_text("another\n")
        wait_until(lambda: service.log.count("changed; in use: 1 token\n") == workers)
        assert refused(asked, kind, service.target, security)[2] == "TOKEN_WRONG"
        asked(kind, service.target, other)
        assert service.log.count("isn't the key of") == workers
        assert service.terminate() == 0


def test_a_worker_that_finds_bad_files_comes_back_when_they_are_good(tmp_path):
    """The parent checks them when the service starts only."""
    secret = Secret(tmp_path / "secret", issue())
    flags = {"workers": 1, "tls_cert": secret.cert, "tls_key": secret.key}
    with start_retriever(tmp_path, **flags, security=ClientSecurity(ca=secret.ca)) as service:
        [pid] = service.worker_pids()
        secret.replace(chain(issue()), key(issue()))
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "isn't the key of" in service.log and ": stopping" in service.log)
        assert "Traceback" not in service.log
        new = issue()
        secret.replace(chain(new), key(new))
        assert service.worker_pids() != [pid]
        assert shown(service.target) == chain(new)


@both
def test_files_that_cannot_be_used_and_addresses_without_tls_are_named(
    kind, tmp_path, monkeypatch, capsys
):
    # Else the log of later tests goes where this one's does.
    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)
    secret = Secret(tmp_path / "secret", expired())
    tls = ["--tls-cert", secret.cert, "--tls-key", secret.key]
    tokens = tmp_path / "tokens"
    tokens.touch()
    serve = ["serve", "--volume", tmp_path, "--listen", "127.0.0.1:0"]
    serve += ["--state", tmp_path / "state"] if kind.name == "trainer" else []
    for flags, expected in (
        (tls, f"--tls-cert {secret.cert} expired at 2"),
        (tls[:2], "--tls-cert is given without --tls-key"),
        (["--token-file", tokens], f"--token-file {tokens} is empty"),
        (["--listen", "0.0.0.0:0"], "--listen 0.0.0.0: other machines can reach this address"),
    ):
        # 2 where the flags alone tell that.
        assert kind.main([*map(str, [*serve, *flags])]) in (1, 2)
        output = capsys.readouterr()
        assert output.out == ""
        [error] = [line for line in output.err.splitlines() if line.startswith("error: ")]
        assert error.startswith(f"error: {expected}")
