"""TrainerService over gRPC."""

import re
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from functools import partial
from queue import SimpleQueue

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from recsys.trainer.v1 import trainer_service_pb2 as pb
from recsys.trainer.v1.trainer_service_pb2_grpc import TrainerServiceStub

from lightfm_retriever.publication.volume import Volume
from tests.integration.trainer.conftest import ROOT
from tests.trainer_service import refused
from trainer.__main__ import main
from trainer.data.data_roots import DataRoots
from trainer.event_log.log import EventLog
from trainer.pipeline import Places
from trainer.runs.scheduler import Scheduler
from trainer.runs.store import RunStore
from trainer.service.server import build_server
from trainer.service.servicer import TrainerServicer

NAME = "recsys.trainer.v1.TrainerService"
TIMEOUT = 30


@pytest.fixture
def volume(tmp_path):
    return tmp_path / "volume"


@contextmanager
def serving(volume, state, **options):
    """A connection to the RPCs over a volume, in this process, with a queue that nobody works off."""
    places = Places(Volume(volume), state / "data", state / "events")
    with closing(RunStore(state)) as store, EventLog(places.event_log) as log:
        scheduler = Scheduler(store, places, logs=state / "logs")
        servicer = TrainerServicer(Volume(volume), scheduler, log, DataRoots([]), **options)
        server, port = build_server(servicer, "127.0.0.1:0")
        server.start()
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
                yield opened
        finally:
            server.stop(None)


@pytest.fixture
def channel(volume, tmp_path):
    with serving(volume, tmp_path / "state") as opened:
        yield opened


# What matters is how the main thread waits, so here it waits many times, without a server, for a signal
# that a timer can send at any microsecond.
_SIGNALLED_AGAIN_AND_AGAIN = """
import random, signal
from trainer.service import server

signal.SIGTERM = signal.SIGALRM
for _ in range(1000):
    with server._stop_signal() as wait:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 2e-4))
        while not wait(): pass
"""


def test_a_signal_at_any_instant_stops_it():
    """A handler that sets an Event waits for ever when it interrupts the waiting for that Event."""
    command = [sys.executable, "-c", _SIGNALLED_AGAIN_AND_AGAIN]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_refuses_a_port_that_is_taken_and_a_volume_that_is_no_folder(
    volume, tmp_path, capsys
):
    volume.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address, state = f"127.0.0.1:{taken.getsockname()[1]}", str(tmp_path / "other")
        assert main(["serve", "--volume", str(volume), "--listen", address, "--state", state]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"error: --listen is '{address}', but should be a free HOST:PORT" in printed.err
    (volume / "file").touch()
    assert main(["serve", "--volume", f"{volume}/file/none"]) == 1
    said = f"error: {volume}/file/none: the folder can't be made: Not a directory\n"
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("method", [f"/{NAME}/AppendInteractions", f"/{NAME}/ListTrainingRuns"])
def test_calls_that_send_no_request_keep_nobody_out(channel, method):
    never: SimpleQueue[None] = SimpleQueue()
    begin = channel.stream_unary(method)
    calls = [begin.future(iter(never.get, None), timeout=TIMEOUT) for _ in range(40)]
    try:
        check = health_pb2_grpc.HealthStub(channel).Check
        assert check(health_pb2.HealthCheckRequest(), timeout=2).status == 1
    finally:
        for call_ in calls:
            never.put(None)
            call_.cancel()


def test_a_stream_of_interactions_that_says_nothing_makes_room_for_others(
    volume, tmp_path, monkeypatch, caplog
):
    never: SimpleQueue[None] = SimpleQueue()

    def now_and_then(*ids):
        for event_id in ids:
            time.sleep(0.1)
            one = pb.InteractionEvent(event_id=event_id, user_id="u", item_id="i")
            yield pb.AppendInteractionsRequest(events=[one])

    def handle(log, events, append=EventLog.append):
        if events[0].event_id == "slow":
            time.sleep(1.5)
        return append(log, events)

    monkeypatch.setattr(EventLog, "append", handle)
    with serving(volume, tmp_path / "state", idle_seconds=1.0) as channel:
        append = partial(TrainerServiceStub(channel).AppendInteractions.future, timeout=TIMEOUT)
        silent = [append(iter(never.get, None)) for _ in range(40)]
        codes = {call.code() for call in silent}
        assert codes == {grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert re.search(r"a stream from ipv4:\S+ sent nothing for 1 s: cancelled", caplog.text)
        # Not one that goes on, nor one that waits for the service.
        calls = [append(now_and_then(*"abcdefghijklmno")), append(now_and_then("slow"))]
        assert [call.result().accepted for call in calls] == [15, 1]
        for _ in silent:
            never.put(None)


def test_whatever_numbers_and_sizes_rows_have_every_run_is_listed(channel, tmp_path):
    stub = TrainerServiceStub(channel)
    train = pb.TrainRequest(spec=pb.TrainingSpec(data=pb.DataSpec(dataset="movielens-100k")))
    made = [stub.Train(train, timeout=TIMEOUT).training_run.id for _ in range(8)]
    numbers = [-(2**63), -(2**62) - 1, -7, -1, 2**62 + 1, 2**62 + 2, 2**63 - 2, 2**63 - 1]
    large = "json_set(outcome, '$.error', hex(zeroblob(2500000)))"
    with closing(sqlite3.connect(tmp_path / "state/runs.sqlite")) as database, database:
        for run_id, number in zip(made, numbers, strict=True):
            database.execute("UPDATE runs SET number = ? WHERE id = ?", (number, run_id))
        database.execute(f"UPDATE runs SET outcome = {large} WHERE number = -7")  # noqa: S608
    for size in (1, 0):
        listed, token = [], ""
        while token or not listed:
            request = pb.ListTrainingRunsRequest(page_size=size, page_token=token)
            page = stub.ListTrainingRuns(request, timeout=TIMEOUT)
            listed += page.training_runs
            token = page.next_page_token
        assert [run.id for run in listed] == made[::-1]
        assert [run.id for run in listed if "a list shows at most" in run.problem] == [made[2]]
    code, message, _ = refused(lambda: stub.Train(train, timeout=TIMEOUT))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert f"row {2**63 - 1}" in message
