"""TrainerService over gRPC."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status
from recsys.trainer.v1 import trainer_service_pb2 as pb
from recsys.trainer.v1.trainer_service_pb2_grpc import TrainerServiceStub

from publication import layout
from publication.labels import list_labels, promote
from tests import publications
from tests.integration.trainer.conftest import ROOT, call, start
from trainer import service
from trainer.errors import OptionError

NAME = "recsys.trainer.v1.TrainerService"
TIMEOUT = 30


@pytest.fixture
def volume(tmp_path):
    return tmp_path / "volume"


@pytest.fixture
def versions(volume):
    """Two versions, older first; `current` names the older."""
    made = [
        publications.publish(volume, seed=day, clock=lambda: publications.NOON + timedelta(days=day))  # noqa: B023
        for day in range(2)
    ]
    promote(volume, made[0])
    return made


@pytest.fixture
def channel(volume):
    server, port = service.build_server(volume, "127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    server.stop(None).wait()


@pytest.fixture
def stub(channel):
    return TrainerServiceStub(channel)


def set_label(stub, version, label=""):
    return stub.SetLabel(pb.SetLabelRequest(label=label, version=version), timeout=TIMEOUT)


def refused(stub, version, label=""):
    """A call that fails: its code, its message and its one detail."""
    with pytest.raises(grpc.RpcError) as caught:
        set_label(stub, version, label)
    return told(caught.value)


def told(error):
    [detail] = rpc_status.from_call(error).details
    if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
        found = error_details_pb2.BadRequest()
        detail.Unpack(found)
        [violation] = found.field_violations
        assert error.details() == f"{violation.field}: {violation.description}"
        return error.code(), error.details(), violation.field
    found = error_details_pb2.ErrorInfo()
    assert detail.Unpack(found)
    assert found.domain == "lightfm-retriever"
    return error.code(), error.details(), found.reason


def test_versions_are_listed_newest_first(stub, volume, versions):
    promote(volume, versions[1], label="canary")
    newer, older = stub.ListVersions(pb.ListVersionsRequest(), timeout=TIMEOUT).versions
    assert [newer.name, older.name] == versions[::-1]
    assert (list(newer.labels), list(older.labels)) == (["canary"], ["current"])
    assert older.created_at.ToDatetime(UTC) == publications.NOON
    assert newer.created_at.ToDatetime(UTC) == datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert (newer.items, newer.users, newer.problem) == (publications.ITEMS, publications.USERS, "")
    assert dict(newer.metrics) == {"precision_at_10": 0.258}


def test_a_broken_version_is_listed_with_its_problem(stub, volume, versions):
    (layout.version_dir(volume, versions[0]) / layout.MANIFEST).unlink()
    newer, older = stub.ListVersions(pb.ListVersionsRequest(), timeout=TIMEOUT).versions
    assert newer.problem == ""
    assert "manifest.json: No such file" in older.problem
    assert (older.name, list(older.labels)) == (versions[0], ["current"])
    assert not older.HasField("created_at")


def test_an_empty_volume_has_no_versions(stub, volume):
    volume.mkdir()
    assert stub.ListVersions(pb.ListVersionsRequest(), timeout=TIMEOUT) == pb.ListVersionsResponse()


def test_a_label_is_promoted_and_the_answer_tells_where_it_was(stub, volume, versions):
    assert set_label(stub, versions[1]).previous_version == versions[0]
    assert set_label(stub, versions[0], "canary").previous_version == ""
    assert set_label(stub, versions[1], "canary").previous_version == versions[0]
    assert list_labels(volume) == {"canary": versions[1], "current": versions[1]}


@pytest.mark.parametrize(
    "version", ["", "latest", "../staging", "20261124T120000Z-3FA9C1", "x" * 10_000]
)
def test_what_is_no_version_is_an_invalid_argument(stub, volume, versions, version):
    code, message, field = refused(stub, version)
    assert (code, field) == (grpc.StatusCode.INVALID_ARGUMENT, "version")
    assert "isn't a version's name" in message
    assert len(message) < 200
    assert list_labels(volume) == {"current": versions[0]}


@pytest.mark.parametrize("label", ["Current", "../x", "a/b", "é", "x" * 65])
def test_what_is_no_label_is_an_invalid_argument(stub, volume, versions, label):
    code, message, field = refused(stub, versions[1], label)
    assert (code, field) == (grpc.StatusCode.INVALID_ARGUMENT, "label")
    assert "should be 1 to 64 of a-z" in message
    assert list_labels(volume) == {"current": versions[0]}


def test_a_version_that_is_not_there_is_not_found(stub, volume, versions):
    code, message, reason = refused(stub, "20260101T000000Z-000000")
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "VERSION_NOT_FOUND")
    assert "20260101T000000Z-000000" in message
    assert list_labels(volume) == {"current": versions[0]}


def test_a_damaged_version_is_a_failed_precondition(stub, volume, versions):
    path = layout.version_dir(volume, versions[1]) / layout.USER_VECTORS
    publications.overwrite(path, path.read_bytes()[:-1])
    code, message, reason = refused(stub, versions[1])
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "VERSION_INVALID")
    assert "user_vectors.npy: size in bytes" in message
    assert list_labels(volume) == {"current": versions[0]}


def test_a_volume_that_is_not_there_is_unavailable(stub, volume):
    with pytest.raises(grpc.RpcError) as caught:
        stub.ListVersions(pb.ListVersionsRequest(), timeout=TIMEOUT)
    code, message, reason = told(caught.value)
    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "VOLUME_UNUSABLE")
    assert "the volume doesn't exist" in message


def test_a_read_only_volume_is_unavailable_for_moves(small_disk):
    volume = small_disk() / "volume"
    made = [publications.publish(volume, seed=seed) for seed in (1, 2)]
    promote(volume, made[0])
    small_disk("remount", "ro")
    server, port = service.build_server(volume, "127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = TrainerServiceStub(channel)
            code, message, reason = refused(stub, made[1])
            assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "VOLUME_UNUSABLE")
            assert "Read-only file system" in message
            assert len(stub.ListVersions(pb.ListVersionsRequest(), timeout=TIMEOUT).versions) == 2
    finally:
        server.stop(None).wait()


def test_health_is_serving(channel, versions):
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", NAME):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=TIMEOUT)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="other"), timeout=TIMEOUT)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_describes_the_service(channel, versions):
    reflected = ProtoReflectionDescriptorDatabase(channel)
    assert {NAME, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= {
        *reflected.get_services()
    }
    described = reflected.FindFileContainingSymbol(NAME)
    assert [method.name for method in described.service[0].method] == ["ListVersions", "SetLabel"]


def test_a_port_that_is_taken_is_refused(volume):
    server, port = service.build_server(volume, "127.0.0.1:0")
    server.start()
    try:
        with pytest.raises(OptionError, match=f"--listen is '127.0.0.1:{port}', but should be a free"):
            service.build_server(volume, f"127.0.0.1:{port}")
    finally:
        server.stop(None).wait()
    with pytest.raises(OptionError, match="--listen is 'nowhere', but should be"):
        service.build_server(volume, "nowhere")


@contextmanager
def serving(volume):
    """The command, and the address that it says it listens on."""
    with start("serve", "--volume", volume, "--listen", "127.0.0.1:0") as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("listening on 127.0.0.1:"), process.stderr.read()
            yield process, line.split()[-1]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_stop(volume, versions, number):
    with serving(volume) as (process, address):
        with grpc.insecure_channel(address) as channel:
            stub = TrainerServiceStub(channel)
            assert set_label(stub, versions[1]).previous_version == versions[0]
            process.send_signal(number)
            assert process.wait(timeout=TIMEOUT) == 0
            with pytest.raises(grpc.RpcError) as caught:
                stub.ListVersions(pb.ListVersionsRequest(), timeout=TIMEOUT)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert process.stderr.read() == ""
    assert list_labels(volume) == {"current": versions[1]}


# What matters is how the main thread waits, so here it waits many times, without a server, for a signal
# that a timer can send at any microsecond.
_SIGNALLED_AGAIN_AND_AGAIN = """
import pathlib, random, signal, sys, threading
from trainer import service

class Server:
    def start(self):
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 2e-4))

    def stop(self, grace):
        stopped = threading.Event()
        stopped.set()
        return stopped

signal.SIGTERM = signal.SIGALRM
service.build_server = lambda *_: (Server(), 1)
for _ in range(2000):
    assert service.serve(pathlib.Path(sys.argv[1]), "127.0.0.1:0") == 0
"""


def test_a_signal_at_any_instant_stops_it(volume, versions):
    """A handler that sets an Event waits for ever when it interrupts the waiting for that Event."""
    command = [sys.executable, "-c", _SIGNALLED_AGAIN_AND_AGAIN, str(volume)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_refuses_a_port_that_is_taken_and_a_volume_that_is_not_there(volume, versions):
    with serving(volume) as (_, address):
        second = call("serve", "--volume", volume, "--listen", address)
    assert (second.returncode, second.stdout) == (1, "")
    assert f"error: --listen is '{address}', but should be a free HOST:PORT" in second.stderr
    missing = call("serve", "--volume", volume / "none")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == f"error: {volume}/none: the volume doesn't exist\n"
