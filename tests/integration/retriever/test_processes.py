"""Signals, and processes that die."""

from __future__ import annotations

import itertools
import os
import queue
import signal
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb

from tests import retrievable
from tests.integration.retriever.server import NOT_SERVING, PATIENCE, SERVING, Server, is_alive


@pytest.fixture
def volume(tmp_path):
    retrievable.publish(tmp_path / "volume")
    return tmp_path / "volume"


def recommend(stub):
    return stub.Recommend(pb.RecommendRequest(user_id="0"), timeout=PATIENCE)


class OpenCall:
    """A call in flight for as long as a test wants: a stream of reflection."""

    def __init__(self, channel):
        self._requests = queue.SimpleQueue()
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        self._answers = stub.ServerReflectionInfo(iter(self._requests.get, None), timeout=PATIENCE)

    def ask(self):
        self._requests.put(reflection_pb2.ServerReflectionRequest(list_services=""))
        return next(self._answers).list_services_response.service

    def close(self):
        self._requests.put(None)


def watch_health(channel):
    """What a watcher is told."""
    request = health_pb2.HealthCheckRequest()
    return health_pb2_grpc.HealthStub(channel).Watch(request, timeout=PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0_and_no_process_stays(volume, number):
    with Server(volume) as server:
        server.health(SERVING)
        log = server.stop(number)
        assert number.name in log
        assert "ERROR" not in log
        server.wait_until_nobody_listens()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_workers_boot_ends_it_with_status_0(volume, number):
    """As soon as it says where it listens, and to all of them as a terminal sends it."""
    with Server(volume) as server:
        os.killpg(server.process.pid, number)
        log = server.wait_for_end(status=0)
        assert "Traceback" not in log


def test_a_hangup_while_workers_boot_ends_nothing(volume):
    with Server(volume) as server:
        os.killpg(server.process.pid, signal.SIGHUP)
        server.health(SERVING)
        assert [worker.restarts for worker in server.status().workers] == [0, 0]


def test_calls_in_flight_finish_after_a_signal(volume):
    with Server(volume, "--grace-seconds", "30") as server:
        server.health(SERVING)
        channel = server.channel()
        call, watch = OpenCall(channel), watch_health(channel)
        assert next(watch).status == SERVING
        services = call.ask()
        server.process.send_signal(signal.SIGTERM)
        assert next(watch).status == NOT_SERVING
        watch.cancel()
        server.wait_until_nobody_listens()
        for _ in range(10):
            assert call.ask() == services
        call.close()
        # It ends when the call does, long before the time of grace.
        server.wait_for_end(status=0)


def test_a_call_that_never_ends_is_cut_off_after_the_time_of_grace(volume):
    with Server(volume, "--grace-seconds", "0.2", workers=1) as server:
        server.health(SERVING)
        call = OpenCall(server.channel())
        call.ask()
        server.stop(signal.SIGTERM)
        with pytest.raises(grpc.RpcError):
            call.ask()


def test_calls_are_taken_while_it_drains_and_a_second_signal_ends_it_at_once(volume):
    with Server(volume, "--drain-seconds", "3000") as server:
        server.health(SERVING)
        channels = [server.channel() for _ in range(4)]
        watches = [watch_health(channel) for channel in channels]
        assert [next(watch).status for watch in watches] == [SERVING] * 4
        server.process.send_signal(signal.SIGTERM)
        assert [next(watch).status for watch in watches] == [NOT_SERVING] * 4
        for stub in [server.stub() for _ in range(8)]:
            assert len(recommend(stub).items) == 10
        server.stop(signal.SIGTERM, status=1)


def test_under_load_calls_only_fail_because_the_service_is_gone(volume):
    with Server(volume) as server, ThreadPoolExecutor(4) as pool:
        server.health(SERVING)
        stubs = [server.stub() for _ in range(4)]
        for stub in stubs:
            recommend(stub)

        def until_it_is_gone(stub):
            with pytest.raises(grpc.RpcError) as caught:
                all(len(recommend(stub).items) == 10 for _ in itertools.count())
            return caught.value.code()

        calling = [pool.submit(until_it_is_gone, stub) for stub in stubs]
        server.stop(signal.SIGTERM)
        # A call that comes just after the end began may be cancelled: nothing has worked on it.
        codes = {each.result() for each in calling}
        assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def test_a_killed_worker_comes_back_at_the_version_of_the_others(volume):
    with Server(volume) as server:
        server.health(SERVING)
        before = server.wait_until_all_serve(server.status().version)
        stubs = [server.stub() for _ in range(8)]
        for stub in stubs:
            recommend(stub)
        victim, survivor = before.workers
        os.kill(victim.pid, signal.SIGKILL)
        server.log.wait_for("worker 0 takes calls", times=2)
        after = server.wait_until_all_serve(before.version)
        assert after.workers[1] == survivor
        assert after.workers[0].restarts == 1
        assert after.workers[0].pid not in (0, victim.pid)
        assert not is_alive(victim.pid)
        # Connections of the killed one are made anew by their clients.
        for stub in stubs:
            request = pb.RecommendRequest(user_id="0")
            response = stub.Recommend(request, timeout=PATIENCE, wait_for_ready=True)
            assert response.version == before.version


def test_when_all_workers_are_killed_they_all_come_back(volume):
    with Server(volume) as server:
        server.health(SERVING)
        before = server.wait_until_all_serve(server.status().version)
        for worker in before.workers:
            os.kill(worker.pid, signal.SIGKILL)
        server.log.wait_for("worker . takes calls", times=4)
        after = server.wait_until_all_serve(before.version)
        assert [worker.restarts for worker in after.workers] == [1, 1]


@pytest.mark.parametrize("in_flight", [False, True])
def test_when_the_parent_is_killed_no_worker_stays(volume, in_flight):
    with Server(volume) as server:
        server.health(SERVING)
        if in_flight:
            # Their threads would keep a worker alive.
            calls = [OpenCall(server.channel()) for _ in range(4)]
            for call in calls:
                call.ask()
        server.stop(signal.SIGKILL, status=-signal.SIGKILL)


def test_when_the_parent_is_killed_at_a_reload_no_worker_stays(volume):
    """What a worker says then reaches nobody."""
    with Server(volume, "--poll-seconds", "3600") as server:
        server.health(SERVING)
        calls = [OpenCall(server.channel()) for _ in range(4)]
        for call in calls:
            call.ask()
        retrievable.publish(volume, seed=2)
        server.process.send_signal(signal.SIGHUP)
        server.stop(signal.SIGKILL, status=-signal.SIGKILL)


def test_workers_that_cannot_start_end_it_loudly(volume, tmp_path):
    (tmp_path / "grpc_reflection").mkdir()
    (tmp_path / "grpc_reflection" / "__init__.py").write_text("raise SystemExit(3)")
    with Server(volume, environment={"PYTHONPATH": str(tmp_path)}) as server:
        log = server.wait_for_end(status=1)
        assert "workers can't start (exit status 3): stopping" in log


def test_it_can_be_started_again_on_the_same_port_at_once(volume):
    with Server(volume, workers=1) as server:
        server.health(SERVING)
        # A connection that the service closes keeps the port busy for a minute.
        recommend(server.stub())
        server.stop()
    with Server(volume, listen=server.address, workers=1) as again:
        again.health(SERVING)
        assert again.address == server.address
