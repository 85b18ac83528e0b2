"""What lacks for a while keeps a new version away for no longer; see also load/campaign.py."""

import contextlib
import http.client
import os
import re
import resource
import signal
from pathlib import Path

import grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import labels
from tests.load import models
from tests.service import PATIENCE

SHORT = 3.0


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
        service.wait_until(lambda _: "couldn't start worker 0: Too many open files" in service.log)
    finally:
        resource.prlimit(service.pid, resource.RLIMIT_NOFILE, limits)
    status = service.wait_until_all_serve(new)
    assert status.label_problem == ""
    assert status.workers[0].pid != victim


@contextlib.contextmanager
def no_more_memory(pid):
    """Let a process have the address space that it has, and no more."""
    limits = resource.prlimit(pid, resource.RLIMIT_AS)
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    resource.prlimit(pid, resource.RLIMIT_AS, (pages * resource.getpagesize(), limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, limits)


def test_a_worker_that_lacked_memory_answers_again_or_is_replaced(start, volume):
    service = start(volume, workers=1)
    [pid] = service.worker_pids()
    stub = service.stub()
    slow = pb.BatchRecommendRequest(requests=[{"user_id": user} for user in models.USER_IDS[:20]])
    with contextlib.suppress(ProcessLookupError), no_more_memory(pid):
        for _ in range(3):
            # Whatever comes of them.
            with contextlib.suppress(grpc.RpcError):
                stub.BatchRecommend(slow, timeout=SHORT)

    def answers(_):
        with contextlib.suppress(grpc.RpcError):
            return service.stub().BatchRecommend(slow, timeout=SHORT).results

    service.wait_until(answers)


def test_a_parent_that_lacked_memory_follows_the_label_and_answers_probes(start, volume):
    service = start(volume, workers=1, metrics_listen="127.0.0.1:0")
    host, port = re.search(r"metrics on (\S+):(\d+)", service.log).groups()
    new = models.publish(volume, "b", 2).version

    def ask(seconds):
        with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=seconds)) as asking:
            asking.request("GET", "/live")
            return asking.getresponse().status

    with no_more_memory(service.pid):
        labels.promote(volume, new)
        for _ in range(4):
            with contextlib.suppress(OSError, http.client.HTTPException):
                ask(SHORT)
    service.wait_until_all_serve(new)
    assert ask(PATIENCE) == 200
