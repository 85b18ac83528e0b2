"""The trainer's service as a process: runs from their request to their end."""

import contextlib
import math
import statistics
import time

import grpc
import pytest
from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.publication.labels import list_labels
from lightfm_retriever.publication.verification import verify
from tests import datasets
from tests.trainer_service import (
    CANCELLED,
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
from trainer.service.servicer import MAX_SPEC_BYTES


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A service for tests that only add runs to it, with a folder that requests may name files in."""
    folder = tmp_path_factory.mktemp("shared")
    data = folder / "data"
    data.mkdir()
    datasets.write_rows(data / "interactions.parquet")
    with TrainerService(folder / "volume", folder / "state", data_root=data, keep_all=True) as service:
        yield service


def test_a_run_is_followed_from_its_request_to_its_label(shared):
    # As many as take a quick machine half a second: progress is told ten times a second.
    epochs = pb.Hyperparameters(components=32, epochs=2000)
    run_id = shared.submit(of_file(hyperparameters=epochs))
    seen = [*shared.watch(run_id)]
    last = seen[-1]
    assert (last.state, last.error) == (SUCCEEDED, "")
    assert {run.id for run in seen} == {run_id}
    # Of stages that last no time only the last one of a moment is sent.
    stages = list(dict.fromkeys(run.stage for run in seen))
    assert stages[0] == ""
    assert "Training, epochs" in stages
    assert stages[-1] == "done"
    steps = [run for run in seen if run.stage == "Training, epochs" and run.done]
    assert len(steps) > 2
    done = [run.done for run in steps]
    assert (done, {run.total for run in steps}) == (sorted({*done}), {2000})
    assert all(run.seconds_left >= 0 for run in steps)
    # They are known before anything is published.
    assert any(run.metrics and not run.version for run in seen)
    manifest = verify(shared.volume, last.version)
    assert manifest.run.id == run_id
    assert dict(last.metrics) == manifest.metrics
    assert manifest.dataset.name == "interactions.parquet"
    assert last.label_moved
    assert list_labels(shared.volume)["current"] == last.version
    assert last.seconds.keys() >= {"fit", "evaluate", "index", "publish", "verify"}
    times = [last.created_at, last.started_at, last.ended_at]
    assert [time.ToNanoseconds() for time in times] == sorted(time.ToNanoseconds() for time in times)
    assert shared.get(run_id) == last
    assert [*shared.watch(run_id)] == [last]


def appended(**fields):
    event = pb.InteractionEvent(event_id="e", user_id="u", item_id="i", **fields)
    return iter([pb.AppendInteractionsRequest(events=[event])])


def test_bad_requests_are_invalid_arguments_and_queue_nothing(shared):
    invalid, before, data = (
        grpc.StatusCode.INVALID_ARGUMENT,
        shared.runs(),
        shared.state.with_name("data"),
    )
    (data / "link.csv").symlink_to(datasets.write_rows(data.with_name("outside.csv")))
    query, file = "SELECT " + "1" * MAX_SPEC_BYTES, "interactions.parquet"
    metadata = "postgresql://me:hunter2@169.254.169.254/db"
    sources = (
        ("", {"interactions_sql": query, "database_url": "x"}),
        (".data.database_url", {"interactions_sql": query[:-100], "database_url": "x"}),
        # What a caller may not name.
        (".data.interactions", {"interactions": "../outside.csv"}),
        (".data.items", {"interactions": file, "items": "link.csv"}),
        (".data.users", {"interactions": file, "users": "s3://bucket/prefix"}),
        (".data.database_url", {"interactions_sql": "x", "database_url": metadata}),
        # What doesn't go together.
        (".data.dataset", {"interactions": file, "dataset": "movielens-100k"}),
        (".data.database_url", {"event_log": True, "database_url": "sqlite:///a"}),
        (".data.event_weights", {"event_log": True, "event_weights": {"view": math.inf}}),
    )
    specs = (
        *((field, spec(pb.DataSpec(**own))) for field, own in sources),
        (".hyperparameters.epochs", of_file(hyperparameters=pb.Hyperparameters(epochs=0))),
        (".hyperparameters.components", of_file(model="ease")),
        (".model", of_file(model="eas")),
        (".settings", of_file(model="als", settings={"alfa": "1"})),
        (".settings", of_file(model="als", settings={"alpha": "much"})),
        (".budget_seconds", of_file(model="als", budget_seconds=3)),
        (".users_by", of_file(users_by="magic")),
        (".gates.min_auc", of_file(gates=pb.Gates(min_auc=2.0))),
        (".label", of_file(label="x" * 5000)),
        (".trees", of_file(backend="exact")),
        (".warm_start", of_file(warm_start=True, label="")),
    )
    odd_events = (
        ("weight", {"weight": math.nan}),
        ("happened_at", {"happened_at": {"seconds": 2**62}}),
        ("happened_at", {"happened_at": {"seconds": 1, "nanos": -(2**31)}}),
    )
    for method, request, field in (
        *(("Train", pb.TrainRequest(spec=own), f"spec{field}") for field, own in specs),
        *(("AppendInteractions", appended(**own), f"events[0].{field}") for field, own in odd_events),
        ("Train", pb.TrainRequest(), "spec"),
        ("Train", pb.TrainRequest(spec=pb.TrainingSpec()), "spec.data.dataset"),
        ("Train", pb.TrainRequest(spec=of_file(), request_id="é" * 65), "request_id"),
        ("ListTrainingRuns", pb.ListTrainingRunsRequest(page_size=-1), "page_size"),
        ("ListTrainingRuns", pb.ListTrainingRunsRequest(page_token=str(2**63)), "page_token"),
        ("ListTrainingRuns", pb.ListTrainingRunsRequest(page_token="٣"), "page_token"),  # noqa: S106
        ("ListTrainingRuns", pb.ListTrainingRunsRequest(state=77), "state"),
        ("ListVersions", pb.ListVersionsRequest(page_size=-1), "page_size"),
        ("ListVersions", pb.ListVersionsRequest(page_token="x"), "page_token"),  # noqa: S106
        ("GetVersion", pb.GetVersionRequest(version="../x"), "version"),
        ("SetLabel", pb.SetLabelRequest(version="x" * 10_000), "version"),
        ("DeleteVersion", pb.DeleteVersionRequest(version=""), "version"),
        ("DiffVersions", pb.DiffVersionsRequest(base_version="x"), "base_version"),
        ("Rollback", pb.RollbackRequest(label="A"), "label"),
    ):
        code, message, found = refused(lambda: shared.call(method, request))  # noqa: B023
        assert (method, code, found) == (method, invalid, field)
        assert len(message) < 500
        assert "hunter2" not in message
    assert shared.runs() == before
    missing = (grpc.StatusCode.NOT_FOUND, "TRAINING_RUN_NOT_FOUND")
    for ask in (shared.get, shared.cancel, lambda run_id: next(shared.watch(run_id))):
        code, _, reason = refused(lambda: ask("none"))  # noqa: B023
        assert (code, reason) == missing


def test_a_bad_event_is_named_and_the_messages_before_it_are_kept(shared):
    good = events(datasets.rows()[:5], prefix="kept")
    bad = [*events(datasets.rows()[:2], prefix="lost"), pb.InteractionEvent(event_id="x", item_id="i")]
    requests = [pb.AppendInteractionsRequest(events=own) for own in (good, bad)]
    code, _, field = refused(lambda: shared.call("AppendInteractions", iter(requests)))
    assert (code, field) == (grpc.StatusCode.INVALID_ARGUMENT, "events[2].user_id")
    assert shared.append(good).duplicates == 5
    assert shared.append(bad[:2]).accepted == 2


def test_watchers_have_an_end_and_leave_threads_for_others(shared):
    run_id = shared.submit(long())
    shared.wait_for(run_id, trains)
    watchers = []

    def all_watch():
        # Those of other tests may take a moment to end.
        with contextlib.suppress(grpc.RpcError):
            watcher = shared.watch(run_id)
            assert next(watcher).state == RUNNING
            watchers.append(watcher)
        return len(watchers) == 16

    wait_until(all_watch)
    code, _, reason = refused(lambda: next(shared.watch(run_id)))
    assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHERS")
    assert shared.get(run_id).state == RUNNING
    shared.cancel(run_id)
    assert all([*watcher][-1].state == CANCELLED for watcher in watchers)

    def free():
        with contextlib.suppress(grpc.RpcError):
            return next(shared.watch(run_id)).state == CANCELLED

    wait_until(free)


def test_answers_stay_quick_while_a_run_trains(shared):
    """As a ratio, since machines differ; the run's process is the nicer one."""

    def median():
        times = []
        for _ in range(200):
            began = time.perf_counter()
            shared.get(done)
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    done = shared.submit(of_file())
    shared.cancel(done)
    median()
    idle = median()
    busy_id = shared.submit(long())
    shared.wait_for(busy_id, trains)
    busy = median()
    shared.cancel(busy_id)
    print(f"GetTrainingRun: {idle * 1e6:.0f} µs idle, {busy * 1e6:.0f} µs while a run trains")
    assert busy < 8 * idle
