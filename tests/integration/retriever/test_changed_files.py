"""Files of the version that serves are replaced and workers die: no answer is ever wrong."""

import contextlib
import itertools
import os
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import labels, layout
from tests.load import callers, faults, models
from tests.service import PATIENCE


def problems(target, published, ended):
    """Asks until the end on new connections; what is wrong with each answer, None for nothing."""
    found, of = [], {model.version: model for model in published}
    for user_id in itertools.cycle(models.USER_IDS):
        if ended.is_set():
            return found
        # Workers are killed, and may be all away.
        with contextlib.suppress(grpc.RpcError), callers.connection(target) as ask:
            version, items = ask("Recommend", user_id)
            answer = [one.item_id for one in items], [one.score for one in items]
            found.append(of[version].problem("Recommend", user_id, *answer))
    raise AssertionError


def test_a_restarted_worker_serves_none_but_verified_files(start, tmp_path):
    # Of equal sizes, with other numbers.
    published = [models.publish(tmp_path, "a", seed) for seed in (1, 2)]
    first, second = (model.version for model in published)
    labels.promote(tmp_path, first)
    shutil.copytree(layout.version_dir(tmp_path, first), tmp_path / "backup")
    service, ended, pool = start(tmp_path), threading.Event(), ThreadPoolExecutor(1)
    asking = pool.submit(problems, service.target, published, ended)
    try:
        spoilt = faults.replace_files(
            layout.version_dir(tmp_path, first), layout.version_dir(tmp_path, second)
        )
        assert layout.USER_VECTORS in spoilt
        status = service.wait_until(lambda status: status.served_problem)
        assert "changed in" in status.served_problem
        assert status.version == first
        pids = service.worker_pids()
        os.kill(pids[0], signal.SIGKILL)
        # It comes back, and takes no calls.
        service.wait_until(
            lambda status: (
                status.workers[0].pid not in (0, pids[0])
                and status.workers[0].state == pb.WORKER_STATE_STARTING
            )
        )
        os.kill(pids[1], signal.SIGKILL)
        status = service.wait_until(lambda status: not status.version and status.failed_versions)
        assert "SHA-256 is" in status.failed_versions[0].reason
        with pytest.raises(grpc.RpcError) as caught:
            service.stub().Recommend(pb.RecommendRequest(user_id=models.USER_IDS[0]), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "SHA-256 is" in caught.value.details()
        faults.replace_files(layout.version_dir(tmp_path, first), tmp_path / "backup")
        status = service.wait_until_all_serve(first)
        assert status.served_problem == ""
    finally:
        ended.set()
    assert {*asking.result(PATIENCE)} == {None}
