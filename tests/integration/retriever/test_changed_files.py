"""Files of the version that serves are replaced and workers die: no answer is ever wrong."""

from __future__ import annotations

import os
import shutil
import signal
import threading

import grpc
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import labels, layout
from tests import retrievable
from tests.load import faults
from tests.retrievable import Expected, assert_best
from tests.service import PATIENCE

USERS = [str(number) for number in range(9)]


@pytest.fixture
def versions(tmp_path):
    """Two of equal sizes, with other numbers."""
    made = [retrievable.publish(tmp_path, seed=seed) for seed in (1, 2)]
    labels.promote(tmp_path, made[0])
    return made


class Caller(threading.Thread):
    """Asks until the end on new connections, and compares each answer."""

    def __init__(self, service, expected):
        super().__init__()
        self._service, self._expected = service, expected
        self.ended = threading.Event()
        self.answers = 0
        self.wrong = []
        self.start()

    def run(self):
        while not self.ended.is_set():
            for user_id in USERS:
                with grpc.insecure_channel(
                    self._service.target, options=[("grpc.use_local_subchannel_pool", 1)]
                ) as channel:
                    self._ask(channel, user_id)

    def _ask(self, channel, user_id):
        ask = channel.unary_unary(
            "/recsys.retriever.v1.RetrieverService/Recommend",
            request_serializer=pb.RecommendRequest.SerializeToString,
            response_deserializer=pb.RecommendResponse.FromString,
        )
        try:
            answer = ask(pb.RecommendRequest(user_id=user_id), timeout=PATIENCE)
        except grpc.RpcError:
            # Workers are killed, and may be all away.
            return
        try:
            assert_best(answer.items, self._expected[answer.version].scores(user_id))
            self.answers += 1
        except AssertionError as error:
            self.wrong.append(error)

    def stop(self):
        self.ended.set()
        self.join()


def test_a_restarted_worker_serves_none_but_verified_files(start, tmp_path, versions):
    first, second = versions
    expected = {version: Expected.of(tmp_path, version) for version in versions}
    shutil.copytree(layout.version_dir(tmp_path, first), tmp_path / "backup")
    service = start(tmp_path)
    caller = Caller(service, expected)
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
            service.stub().Recommend(pb.RecommendRequest(user_id="0"), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "SHA-256 is" in caught.value.details()
        faults.replace_files(layout.version_dir(tmp_path, first), tmp_path / "backup")
        status = service.wait_until_all_serve(first)
        assert status.served_problem == ""
    finally:
        caller.stop()
    assert caller.wrong == []
    assert caller.answers > 0


def test_what_vanished_is_told_of_until_another_one_serves(start, tmp_path, versions):
    first, second = versions
    service = start(tmp_path)
    layout.version_dir(tmp_path, first).rename(tmp_path / "away")
    status = service.wait_until(lambda status: status.served_problem)
    assert f"vanished in {first}, which serves" in status.served_problem
    answer = service.stub().Recommend(pb.RecommendRequest(user_id="0"), timeout=PATIENCE)
    assert answer.version == first
    labels.promote(tmp_path, second)
    assert service.wait_until_all_serve(second).served_problem == ""
