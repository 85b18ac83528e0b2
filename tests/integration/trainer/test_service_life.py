"""The trainer's service over months: restarts, kills, full disks, and what it does by itself."""

import itertools
import random
import re
import time
from urllib.error import HTTPError
from urllib.request import urlopen

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from recsys.trainer.v1 import trainer_service_pb2 as pb
from recsys.trainer.v1 import trainer_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting.process import pss_bytes
from lightfm_retriever.publication.labels import list_labels, promote
from lightfm_retriever.publication.reader import list_versions
from lightfm_retriever.publication.verification import verify
from tests import datasets, publications
from tests.ending import end_of_calls
from tests.integration.disks import fill
from tests.service import wait_for_the_end
from tests.trainer_service import (
    FAILED,
    FINAL,
    PATIENCE,
    RUNNING,
    SUCCEEDED,
    TrainerService,
    events,
    long,
    of_file,
    refused,
    spec,
    trains,
    wait_until,
)
from trainer.__main__ import main

KILLS = 3


@pytest.fixture
def data(tmp_path):
    """A directory that requests may name files in."""
    folder = tmp_path / "data"
    folder.mkdir()
    datasets.write_rows(folder / "interactions.parquet")
    return folder


@pytest.fixture
def serve(tmp_path, data):
    """Starts the service; again after its end."""
    options = {"state": tmp_path / "state", "data_root": data, "keep_all": True}
    return lambda **flags: TrainerService(tmp_path / "volume", **{**options, **flags})


def get(address, path):
    """Status and text of what probes and Prometheus ask for."""
    try:
        with urlopen(f"http://{address}{path}", timeout=PATIENCE) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_a_service_that_is_killed_leaves_no_process_and_forgets_nothing(serve):
    with serve() as service:
        done = service.end(service.submit(of_file(), request_id="done"))
        cut_off, waiting = service.submit(long()), service.submit(of_file(label="waits"))
        service.wait_for(cut_off, trains)
        process = service.child()
        service.kill()
    wait_for_the_end([process])
    with serve() as service:
        assert service.get(done.id) == done
        failed = service.get(cut_off)
        assert failed.state == FAILED
        assert "service ended while the run was running (stage 'Training, epochs')" in failed.error
        assert service.end(waiting).state == SUCCEEDED
        assert service.submit(of_file(), request_id="done") == done.id
        assert f"training run {cut_off}: the service ended" in service.log
    assert list_labels(service.volume).keys() == {"current", "waits"}


def test_a_service_that_is_told_to_stop_notes_what_it_ended(serve):
    with serve() as service:
        running, waiting = service.submit(long()), service.submit(of_file())
        service.wait_for(running, trains)
        process = service.child()
        watch = service.watch(running)
        assert next(watch).state == RUNNING
        assert service.terminate() == 0
        wait_for_the_end([process], seconds=0)
        with pytest.raises(grpc.RpcError) as caught:
            list(watch)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        packed = rpc_status.from_call(caught.value).details
        assert all(one.Unpack(into) for one, into in zip(packed, (info, retry), strict=True))
        assert (info.reason, retry.retry_delay.seconds) == ("STOPPING", 5)
    with serve() as service:
        assert service.get(running).state == FAILED
        assert service.get(running).error == "the service was stopped while the run was running"
        assert service.end(waiting).state == SUCCEEDED
        # Each call that it takes until then is answered.
        calls = [lambda channel: pb_grpc.TrainerServiceStub(channel).ListVersions]
        ended = end_of_calls(service.target, *calls, pb.ListVersionsRequest(), service.terminate)
    assert ended == {grpc.StatusCode.UNAVAILABLE}


def test_a_run_that_a_restart_would_not_find_is_refused_and_one_service_alone_has_its_state(
    serve, capsys
):
    with serve(metrics_listen="127.0.0.1:0") as service:
        wait_until(lambda: "metrics on " in service.log)
        [address] = re.findall(r"metrics on (\S+)", service.log)
        assert get(address, "/live") == get(address, "/ready") == (200, "ok\n")
        known = service.cancel(service.submit(long())).id
        path = service.state / "runs.sqlite"
        kept = path.with_name("aside")
        path.rename(kept)
        for use in (lambda: service.submit(of_file()), service.runs, lambda: service.get(known)):
            code, text, reason = refused(use)
            assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNUSABLE")
            assert f"{path}: is gone" in text
        status, text = get(address, "/ready")
        assert (status, f"{path}: is gone" in text) == (503, True)
        assert get(address, "/live") == (200, "ok\n")
        status, text = get(address, "/metrics")
        assert (status, "trainer_state_problem 1.0" in text) == (200, True)
        kept.rename(path)
        assert [run.id for run in service.runs()] == [known]
        places = ["--volume", str(service.volume), "--state", str(service.state)]
        again = ["serve", *places, "--listen", "127.0.0.1:0"]
        problem = "another trainer uses this directory: give each trainer its own --state"
        told = f"error: {service.state}: {problem}\n"
        for _ in range(2):
            assert main(again) == 1
            assert capsys.readouterr() == ("", told)
            # Who takes the lock away lets no second service in, either.
            (service.state / "lock").unlink(missing_ok=True)
        service.terminate()
    path.write_bytes(b"")
    assert main(again) == 1
    assert f"{path}: is empty, though training runs were stored in it" in capsys.readouterr().err


def test_it_trains_by_itself_at_intervals_or_when_its_input_changed_and_only_then(serve, data):
    flags = {"interactions": data / "interactions.parquet", "components": 4, "epochs": 1}
    flags["maintenance_seconds"] = 0.05
    with serve(**flags, retrain_on_change=True) as service:
        wait_until(lambda: len(service.runs(state=SUCCEEDED)) == 1)
    with serve(**flags, retrain_on_change=True) as service:
        # Neither time nor a restart is a change. The run of someone else says that time has passed.
        service.cancel(service.submit(long(label="other")))
        assert len(service.runs()) == 2
        more = [*datasets.rows(), ("newcomer", "i1", 1.0)]
        datasets.write_rows(data / "new.parquet", more).rename(data / "interactions.parquet")
        wait_until(lambda: len(service.runs(state=SUCCEEDED)) == 2)
        newest = service.runs()[0]
        assert newest.request_id.startswith("schedule:input ")
        assert list_labels(service.volume)["current"] == newest.version
    with serve(**flags, retrain_every="1s") as service:
        wait_until(lambda: len(service.runs()) >= 5)
        runs = service.runs()[:-3]
    assert all(run.request_id.startswith("schedule:every 1 s, ") for run in runs)
    assert len({run.request_id for run in runs}) == len(runs)
    # Never two at once.
    assert sum(run.state not in FINAL for run in runs) <= 1


def test_old_versions_are_removed_but_none_that_a_label_names(tmp_path):
    volume = tmp_path / "volume"
    pinned, *old, before, current = publications.daily(volume, 6)
    promote(volume, pinned, label="pinned")
    promote(volume, before)
    flags = {"keep": 1, "min_age": "1s", "maintenance_seconds": 0.1}
    with TrainerService(volume, tmp_path / "state", **flags) as service:
        service.call("SetLabel", pb.SetLabelRequest(version=current))
        # What the label would be rolled back to stays too.
        wait_until(lambda: {*list_versions(volume)} == {pinned, before, current})
        assert list_labels(volume) == {"current": current, "pinned": pinned}
        for version in old:
            deleted = f"deleted version {version}: the retention policy no longer keeps it"
            wait_until(lambda: deleted in service.log)  # noqa: B023


def test_a_volume_that_goes_away_fails_runs_and_not_the_service(serve):
    with serve(maintenance_seconds=0.05) as service:
        hidden = service.volume.with_name("hidden")
        service.volume.rename(hidden)
        service.volume.write_text("no directory")
        last = service.end(service.submit(of_file()))
        assert last.state == FAILED
        assert str(service.volume) in last.error
        code, _, reason = refused(lambda: service.call("ListVersions", pb.ListVersionsRequest()))
        assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "VOLUME_UNUSABLE")
        service.volume.unlink()
        hidden.rename(service.volume)
        assert not service.call("ListVersions", pb.ListVersionsRequest()).versions


def test_a_full_disk_of_the_state_refuses_runs_and_the_service_goes_on(serve, small_disk):
    disk = small_disk("size=2m")
    with serve(state=disk / "state") as service:
        known = service.submit(of_file())
        service.end(known)
        fill(disk, leave=0)
        wide = of_file(label="x" * 60)
        refusals, acknowledged = [], [known]
        for _ in range(60):
            try:
                acknowledged.append(service.submit(wide))
            except grpc.RpcError as error:
                refusals.append(error)
        assert refusals
        assert {error.code() for error in refusals} == {grpc.StatusCode.UNAVAILABLE}
        assert all(re.search("disk is full|disk I/O", error.details()) for error in refusals)
        assert service.get(known).state == SUCCEEDED
        (disk / "filler").unlink()
        assert service.end(service.submit(of_file())).state == SUCCEEDED
        for run_id in acknowledged:
            assert service.get(run_id).state in FINAL
        # Nothing that was refused is there all the same.
        assert len(service.runs()) == len(acknowledged) + 1


def test_the_services_memory_does_not_grow_with_its_runs(serve):
    with serve() as service:
        used = []
        for _ in range(5):
            assert service.end(service.submit(of_file(label=""))).state == SUCCEEDED
            used.append(pss_bytes(service.pid))
    assert min(used[-2:]) < 1.1 * max(used[:2]), used


def test_nothing_acknowledged_is_lost_however_often_the_service_is_killed(serve):
    """Runs and a stream of events, through kills at instants of a seed's choice."""
    chance = random.Random(5)  # noqa: S311
    rows = datasets.rows()
    acknowledged: list[str] = []
    appended = events(rows, prefix="first")
    for life in range(KILLS):
        with serve(parallel_runs=2) as service:
            if not life:
                service.append(appended)
            for number in range(2):
                request_id = f"run {life} {number}"
                wanted = spec(label=f"l{number}")
                acknowledged.append(service.submit(wanted, request_id=request_id))
                # A client that didn't hear the answer asks again.
                assert service.submit(wanted, request_id=request_id) == acknowledged[-1]
            end = time.monotonic() + chance.uniform(0.2, 2)
            for batch in itertools.count():
                new = events(rows[:20], prefix=f"life{life} batch{batch} ")
                service.append(new, messages=2)
                appended += new
                if time.monotonic() > end:
                    break
            service.kill()
    with serve(parallel_runs=2) as service:
        assert all(service.end(run_id).state in FINAL for run_id in acknowledged)
        found = {run.id: run for run in service.runs()}
        assert found.keys() == {*acknowledged}
        for run in found.values():
            if run.state == FAILED:
                assert "the service ended while the run was running" in run.error
        versions = list_versions(service.volume)
        for version in versions:
            verify(service.volume, version)
        assert {run.version for run in found.values() if run.state == SUCCEEDED} <= {*versions}
        assert {*list_labels(service.volume).values()} <= {*versions}
        again = service.append(appended, messages=4)
        assert (again.accepted, again.duplicates) == (0, len(appended))
