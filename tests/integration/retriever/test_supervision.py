"""Workers come back, and nothing survives the parent."""

import os
import signal
import socket
import sys

import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import labels, layout
from tests.load import callers, faults, models
from tests.service import PATIENCE, wait_for_the_end, watch_health


def test_a_worker_that_dies_or_hangs_is_replaced_by_one_that_takes_no_call_before_it_serves(
    start, volume
):
    service = start(volume, heartbeat_seconds=2)
    before = service.status()
    first, second = (worker.pid for worker in before.workers)
    os.kill(first, signal.SIGKILL)
    os.kill(second, signal.SIGSTOP)
    after = service.wait_until(
        lambda status: (
            [worker.restarts for worker in status.workers] == [1, 1]
            and {worker.version for worker in status.workers} == {before.version}
        )
    )
    assert {worker.pid for worker in after.workers}.isdisjoint({0, first, second})
    assert after.last_reload == before.last_reload
    assert service.log.count("sent no heartbeat for 2 s: killing it") == 1
    assert "worker 1 sent no heartbeat for 2 s: killing it" in service.log
    # Without its version one can't serve for now; the other one answers everything.
    version, victim = after.version, after.workers[0].pid
    directory = layout.version_dir(volume, version)
    directory.rename(volume / "away")
    os.kill(victim, signal.SIGKILL)
    # It waits, and isn't started again and again.
    status = service.wait_until(
        lambda status: status.served_problem and status.workers[0].pid not in (0, victim)
    )
    assert status.workers[0].restarts == 2
    for _ in range(20):
        # A new connection for each: a worker that listened would get some of them.
        with callers.connection(service.target) as ask:
            assert ask("Recommend", models.USER_IDS[0])[0] == version
    (volume / "away").rename(directory)
    service.wait_until_all_serve(version)


def test_no_worker_survives_a_parent_that_is_killed(start, volume):
    service = start(volume)
    pids = service.worker_pids()
    # It can't notice anything by itself.
    os.kill(pids[0], signal.SIGSTOP)
    service.signal(signal.SIGKILL)
    wait_for_the_end(pids)


def test_workers_that_cannot_start_stop_the_service(start, volume, tmp_path):
    # The parent never imports grpc, the workers do.
    (tmp_path / "grpc.py").write_text("raise ImportError('no gRPC on this machine')")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    service = start(volume, serving=False, environment={"PYTHONPATH": path})
    assert service.wait() == 1
    assert "no worker can start" in service.log
    assert "no gRPC on this machine" in service.log


@pytest.mark.parametrize(
    ("serving", "number"),
    [(False, signal.SIGINT), (True, signal.SIGTERM)],
    ids=["SIGINT while workers start", "SIGTERM later"],
)
def test_a_signal_ends_it_with_status_0_and_its_port_is_free_at_once(start, volume, serving, number):
    service = start(volume, serving=serving)
    pids = service.worker_pids() if serving else []
    if serving:
        # A connection that the service closes keeps the port busy for a minute.
        service.stub().Recommend(pb.RecommendRequest(user_id=models.USER_IDS[0]), timeout=PATIENCE)
    os.killpg(service.pid, number)
    assert service.wait() == 0
    wait_for_the_end(pids)
    assert number.name in service.log
    assert "Traceback" not in service.log
    assert "ERROR" not in service.log
    host, port = service.target.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
    if serving:
        again = start(volume, workers=1, listen=service.target)
        assert again.target == service.target


def test_hangups_while_workers_start_end_nothing_and_sigterm_while_a_version_is_verified_all(
    start, volume
):
    service = start(volume, serving=False)
    for _ in range(50):
        # To all of them, as a terminal sends it.
        os.killpg(service.pid, signal.SIGHUP)
    status = service.wait_until_all_serve(labels.read_label(volume, "current"))
    assert [worker.restarts for worker in status.workers] == [0, 0]
    version = models.publish(volume, "b", 2).version
    faults.make_endless(layout.version_dir(volume, version))
    labels.promote(volume, version)
    service.wait_until(lambda status: status.label_target == version)
    pids = service.worker_pids()
    assert service.terminate() == 0
    wait_for_the_end(pids)


def test_sigterm_while_a_worker_hangs_in_a_reload_ends_by_the_deadline(start, volume):
    service = start(volume, workers=2, heartbeat_seconds=60, grace_seconds=0)
    pids = service.worker_pids()
    # The one that answers this status isn't the one that stops.
    version = models.publish(volume, "b", 2).version
    os.kill(pids[1], signal.SIGSTOP)
    labels.promote(volume, version)
    service.signal(signal.SIGTERM)
    assert service.wait() == 1
    wait_for_the_end(pids)
    assert "didn't end in time: killing it" in service.log


def test_a_second_signal_ends_it_at_once(start, volume):
    service = start(volume, drain_seconds=3000, grace_seconds=3000)
    pids = service.worker_pids()
    with watch_health(service.target) as states:
        assert next(states) == "SERVING"
        service.signal(signal.SIGTERM)
        assert next(states) == "NOT_SERVING"
    service.signal(signal.SIGINT)
    assert service.wait() == 1
    wait_for_the_end(pids)
    assert "SIGINT received again: stopping at once" in service.log
    assert "in time" not in service.log
