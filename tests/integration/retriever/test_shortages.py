"""What lacks for a while, such as file descriptors, keeps a new version away for that while only."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
from collections.abc import Iterator

from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import labels
from tests.load import models
from tests.service import PATIENCE

FILES = 128
LIMITED = ("sh", "-c", f'ulimit -n {FILES}; exec "$@"', "-")


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@contextlib.contextmanager
def connections(target: str, count: int) -> Iterator[None]:
    """So many that are there, and say nothing."""
    host, port = target.split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE))
        yield


def test_a_version_that_comes_while_descriptors_lack_serves_once_there_are_some(start, volume):
    service = start(volume, workers=1, prefix=LIMITED)
    old = service.status().version
    [pid] = service.worker_pids()
    stub = service.stub()
    ask = pb.RecommendRequest(user_id=models.USER_IDS[0])
    assert stub.Recommend(ask, timeout=PATIENCE).version == old
    new = models.publish(volume, "b", 2).version
    with connections(service.target, 300):
        service.wait_until(lambda _: open_files(pid) >= FILES)
        labels.promote(volume, new)
        status = service.wait_until(lambda status: status.failed_versions)
        [failed] = status.failed_versions
        assert (failed.version, failed.retried, status.version) == (new, True, old)
        assert "Too many open files" in failed.reason
        # Those who have a connection don't notice.
        assert stub.Recommend(ask, timeout=PATIENCE).version == old
    status = service.wait_until_all_serve(new)
    assert (status.workers[0].restarts, [*status.failed_versions]) == (0, [])
    assert stub.Recommend(ask, timeout=PATIENCE).version == new
    # New callers are taken, too.
    assert service.stub().Recommend(ask, timeout=PATIENCE).version == new


def test_a_parent_without_descriptors_follows_the_label_and_restarts_workers_once_it_has_some(
    start, volume
):
    service = start(volume)
    victim, _ = service.worker_pids()
    limits = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
    new = models.publish(volume, "b", 2).version
    # What is open stays so, and there is no other one.
    resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        service.wait_until(lambda status: "Too many open files" in status.label_problem)
        labels.promote(volume, new)
        os.kill(victim, signal.SIGKILL)
        service.wait_until(lambda _: "worker 0 can't be started: Too many open files" in service.log)
    finally:
        resource.prlimit(service.pid, resource.RLIMIT_NOFILE, limits)
    status = service.wait_until_all_serve(new)
    assert status.label_problem == ""
    assert status.workers[0].pid != victim
