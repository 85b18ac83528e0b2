"""Versions change under a service that runs; one that is broken leaves the old one serving."""

import os
import signal
from pathlib import Path

import grpc
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import promote
from tests import retrievable
from tests.load import faults
from tests.retrievable import Expected, assert_best
from tests.service import PATIENCE, watch_health


def recommend(stub, user_id="0"):
    return stub.Recommend(pb.RecommendRequest(user_id=user_id), timeout=PATIENCE)


def all_take_calls(status):
    return {worker.state for worker in status.workers} == {pb.WORKER_STATE_RUNNING}


def test_with_nothing_published_it_says_so_and_a_hangup_reads_the_label_at_once(start, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    service = start(volume, serving=False, poll_seconds=3600)
    status = service.wait_until(all_take_calls)
    with watch_health(service.target) as states:
        assert next(states) == "NOT_SERVING"
        stub = service.stub()
        with pytest.raises(grpc.RpcError) as caught:
            recommend(stub)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "nothing is published under it" in caught.value.details()
        assert (status.version, status.label_target) == ("", "")
        assert "nothing is published under it" in status.label_problem
        assert [worker.version for worker in status.workers] == ["", ""]
        version = retrievable.publish(volume)
        service.signal(signal.SIGHUP)
        assert next(states) == "SERVING"
        status = service.wait_until_all_serve(version)
        assert (status.version, status.label_target, status.label_problem) == (version, version, "")
        # The same connection that was told to come back later.
        assert_best(recommend(stub).items, Expected.of(volume, version).scores("0"))


def test_while_it_loads_the_first_version_callers_are_told_which(start, tmp_path):
    volume, release = tmp_path / "volume", tmp_path / "release"
    version = retrievable.publish(volume)
    os.mkfifo(release)
    # The process that verifies begins when the pipe's only writer is gone.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'retriever.parent.reloading.verify_apart' in sys.orig_argv:\n"
        f"    open({str(release)!r}).read()\n"
    )
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    service = start(volume, serving=False, environment={"PYTHONPATH": path})
    with release.open("w"):
        status = service.wait_until(
            lambda status: all_take_calls(status) and "loading" in status.not_serving_reason
        )
        expected = f"version {version} has been loading for "
        assert expected in status.not_serving_reason
        assert (status.version, status.label_target, status.label_problem) == ("", version, "")
        with watch_health(service.target) as states:
            assert next(states) == "NOT_SERVING"
        stub = service.stub()
        with pytest.raises(grpc.RpcError) as caught:
            recommend(stub)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert f"no version is loaded: {expected}" in caught.value.details()
        assert b"LOADING" in dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    status = service.wait_until_all_serve(version)
    assert status.not_serving_reason == ""
    assert recommend(stub).version == version


# ---- versions that must not be served


REASONS = {
    "an index file cut short": "similar.annoy: size in bytes is ",
    "two index files swapped": "annoy: size in bytes is ",
    "one bit of an index flipped": "recommend.annoy: SHA-256",
    "a file missing": "user_vectors.npy: ",
    "a manifest edited": "manifest.json: checksum is",
    "another metric, signed": "index 'similar' has metric 'euclidean', but should have 'angular'",
    "other dimensions, signed": "index 'similar' has dimensions 17, but should have 4",
    "an unknown format, signed": "manifest.json: format_version is 9",
    "a manifest of nonsense": "manifest.json: ",
    "NaN in the vectors, signed": "item_vectors.npy: ",
}


@pytest.fixture(scope="module")
def serving(start_once, tmp_path_factory):
    """A service, its volume, and the good version that it serves."""
    volume = tmp_path_factory.mktemp("damaged") / "volume"
    version = retrievable.publish(volume)
    service = start_once(volume)
    yield service, volume, version
    assert service.terminate() == 0
    assert "ended with status" not in service.log


@pytest.mark.parametrize("damage", faults.DAMAGES)
def test_a_damaged_version_is_refused_by_name_and_the_old_one_goes_on(serving, damage):
    service, volume, version = serving
    before = service.status()
    broken = retrievable.publish(volume, seed=2, label=None)
    faults.DAMAGES[damage](layout.version_dir(volume, broken))
    promote(volume, broken)
    status = service.wait_until(lambda status: status.last_reload.version == broken)
    assert not status.last_reload.succeeded
    assert REASONS[damage] in status.last_reload.reason
    assert (status.version, status.label_target) == (version, broken)
    # No worker was restarted over it, or changed over.
    for was, own in zip(before.workers, status.workers, strict=True):
        for fact in ("pid", "restarts", "version", "serving_since"):
            assert getattr(own, fact) == getattr(was, fact)
    assert_best(recommend(service.stub()).items, Expected.of(volume, version).scores("0"))
    promote(volume, version)
    service.wait_until(lambda status: status.label_target == version)


def test_a_version_that_left_no_map_behind(serving):
    service, volume, version = serving
    newer = retrievable.publish(volume, seed=6)
    service.wait_until_all_serve(newer)
    # A call on each of many connections, so that no thread still holds what it answered from.
    for _ in range(20):
        assert recommend(service.stub()).version == newer
    for pid in service.worker_pids():
        mapped = Path(f"/proc/{pid}/maps").read_text()
        assert newer in mapped
        assert version not in mapped
    promote(volume, version)
    service.wait_until_all_serve(version)
