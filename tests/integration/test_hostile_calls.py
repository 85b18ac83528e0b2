"""What callers send, without a token too, fills no log and stops nobody else from being answered."""

import contextlib

import grpc
import pytest
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2 as health
from grpc_health.v1 import health_pb2_grpc

from lightfm_retriever.hosting.security.settings import ClientSecurity
from lightfm_retriever.hosting.serving import health as serving_health
from lightfm_retriever.hosting.serving.server import HostedServer, probes
from lightfm_retriever.publication import labels
from retriever.client import open_channel
from tests import http2
from tests.integration.kinds import KINDS
from tests.load import models
from tests.service import PATIENCE
from tests.trainer_service import wait_until

TOKEN = "0123456789abcdef" * 4
HEALTH = "/grpc.health.v1.Health"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
SERVING, NOT_SERVING = health.HealthCheckResponse.SERVING, health.HealthCheckResponse.NOT_SERVING
# A varint that never ends, a text that isn't UTF-8, a length beyond the end.
BROKEN = (b"\xff" * 11, b"\x0a\x01\xff", b"\x0a\x7f", b"\x12\x7f", b"\x07")


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def service(request, tmp_path_factory):
    """A service that wants a token."""
    folder, kind = tmp_path_factory.mktemp("service"), request.param
    (folder / "tokens").write_text(f"{TOKEN}\n")
    flags = {"token_file": folder / "tokens"}
    if kind.name == "retriever":
        flags |= {"workers": 1, "security": ClientSecurity(token=TOKEN)}
    with kind.start(folder, **flags) as service:
        if kind.name == "retriever":
            version = models.publish(folder / "volume", "a", 1).version
            labels.promote(folder / "volume", version)
            service.wait_until_all_serve(version)
        service.kind = kind
        yield service


def methods(name):
    """All methods of a service, and some that there aren't."""
    there = descriptor_pool.Default().FindServiceByName(name).methods_by_name
    of_health = [f"{HEALTH}/{method}" for method in ("Check", "List", "Watch", "Nothing")]
    return [*(f"/{name}/{own}" for own in (*there, "Nothing")), *of_health, REFLECTION, "/", "/\x7f"]


def code_of(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code()


def call_with_everything(channel, name):
    """Whatever can be wrong with a call, for each method."""
    for method in methods(name):
        for content in BROKEN:
            with contextlib.suppress(grpc.RpcError):
                channel.unary_unary(method)(content, timeout=0.2)
        # Good ones may be before it.
        for stream in ([], *([b"", content, b""] for content in BROKEN)):
            with contextlib.suppress(grpc.RpcError):
                channel.stream_unary(method)(iter(stream), timeout=0.2)
        stream = channel.stream_stream(method)(iter([b""]), timeout=PATIENCE)
        stream.cancel()


def misbehave(target):
    """What no gRPC library sends: unknown encodings, compression that was never said, half messages."""
    with http2.Connection(target) as connection:
        streams = iter(range(1, 1000, 2))
        for method in (f"{HEALTH}/Check", f"{HEALTH}/Watch", REFLECTION):
            for fields in ((), (("grpc-encoding", "gzip"),), (("grpc-encoding", "rubbish"),)):
                stream = next(streams)
                connection.begin(stream, method, fields)
                connection.send(stream, b"rubbish", compressed=True)
            half = next(streams)
            connection.begin(half, method)
            cut = http2.message(b"x" * 100)[:50]
            connection.socket.sendall(http2.frame(http2.DATA, http2.END_STREAM, half, cut))
            reset = next(streams)
            connection.begin(reset, method)
            connection.socket.sendall(http2.frame(http2.RST_STREAM, 0, reset, http2.CANCEL))
        # When this one is answered, so are those before it.
        last = next(streams)
        connection.begin(last, f"{HEALTH}/Check")
        connection.send(last, b"")
        next(own for own in connection.frames() if own.stream == last and own.flags & http2.END_STREAM)


def test_nothing_that_callers_send_is_logged_more_than_once_or_with_a_traceback(service):
    known = len(service.log)
    with grpc.insecure_channel(service.target) as channel:
        call_with_everything(channel, service.kind.service)
    with open_channel(service.target, security=ClientSecurity(token=TOKEN)) as channel:
        call_with_everything(channel, service.kind.service)
        metadata = [("x-huge", "x" * 100_000)]
        check = channel.unary_unary(f"{HEALTH}/Check")
        assert code_of(lambda: check(b"", metadata=metadata, timeout=PATIENCE))
    misbehave(service.target)
    said = service.log[known:]
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 5, said


# What gRPC's core itself finds wrong with the headers of a call, before any of our code sees it.
_GRPC = [f"grpc-{own}" for own in ("timeout", "status", "encoding", "previous-rpc-attempts")]
_NAMES = ("te", ":scheme", "content-type", "grpc-retry-pushback-ms", *_GRPC)
WRONG_HEADERS = dict.fromkeys(_NAMES, "zz")
WRONG_HEADERS |= {":method": "ZZ", "user-agent": "zz\x01", "x-\x01": "zz", "x-bin": "!"}
STREAMS = 100


def test_headers_that_grpc_finds_wrong_fill_no_log(service):
    """A line for each would be 35 MB in five seconds, from somebody without a token."""
    known = len(service.log)
    for field in WRONG_HEADERS.items():
        block = http2.headers(f"{HEALTH}/Check", [field])
        # It may also end a connection that sends such.
        with http2.Connection(service.target) as connection, contextlib.suppress(ConnectionError):
            for stream in range(1, 2 * STREAMS, 2):
                begin = http2.frame(http2.HEADERS, http2.END_HEADERS, stream, block)
                reset = http2.frame(http2.RST_STREAM, 0, stream, http2.CANCEL)
                connection.socket.sendall(begin + reset)
            connection.socket.sendall(http2.frame(http2.PING, 0, 0, b"all-seen"))
            next((own for own in connection.frames() if own.payload == b"all-seen"), None)
    said = service.log[known:]
    assert len(said.encode()) < 1000, said[:5000]


def test_health_is_told_of_each_service_without_a_token(service):
    with grpc.insecure_channel(service.target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        statuses = stub.List(health.HealthListRequest(), timeout=PATIENCE).statuses
        told = {name: own.status for name, own in statuses.items()}
        assert told == dict.fromkeys(["", service.kind.service], SERVING)
        unknown = health.HealthCheckRequest(service="x")
        assert code_of(lambda: stub.Check(unknown, timeout=PATIENCE)) is grpc.StatusCode.NOT_FOUND
        watch = stub.Watch(unknown, timeout=PATIENCE)
        assert next(watch).status == health.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()


def test_so_many_may_watch_health_and_who_leaves_makes_room(monkeypatch):
    monkeypatch.setattr(serving_health, "MAX_WATCHES", 2)
    server = HostedServer("x", {"x": probes("call")})
    port = server.grpc.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            watches = []

            def another(name=""):
                request = health.HealthCheckRequest(service=name)
                watches.append(stub.Watch(request, timeout=PATIENCE))
                return next(watches[-1]).status

            another("x")
            another("unknown")
            assert code_of(another) is grpc.StatusCode.RESOURCE_EXHAUSTED
            watches[0].cancel()

            def has_room():
                with contextlib.suppress(grpc.RpcError):
                    return another() == NOT_SERVING

            wait_until(has_room)
            # Of what changes faster than a caller takes it, it gets the latest.
            for serving in (True, False, True):
                server.say_serving(serving=serving)
            assert any(own.status == SERVING for own in watches[-1])
    finally:
        server.stop(None)


def test_one_who_watches_health_and_takes_nothing_holds_up_nobody(service):
    with http2.Connection(service.target, window=0) as connection:
        connection.begin(1, f"{HEALTH}/Watch")
        connection.send(1, b"")
        # Headers need no window: they say that the call is being answered.
        next(own for own in connection.frames() if own.kind == http2.HEADERS)
        with grpc.insecure_channel(service.target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            checked = stub.Check(health.HealthCheckRequest(), timeout=PATIENCE)
            assert checked.status == SERVING
            watch = stub.Watch(health.HealthCheckRequest(), timeout=PATIENCE)
            assert next(watch).status == SERVING
            # Nor the service's end.
            assert service.terminate() == 0
            assert next(watch).status == NOT_SERVING
