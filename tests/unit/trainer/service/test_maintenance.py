import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain, repeat
from unittest import mock

import pytest

from lightfm_retriever.publication.volume import Volume
from tests import specs
from tests.clock import Clock
from tests.trainer_service import wait_until
from trainer.errors import InputError, TooManyRunsError
from trainer.pipeline import Places
from trainer.runs.scheduler import Scheduler
from trainer.runs.store import Outcome, RunStore
from trainer.service.maintenance import Maintenance, Retraining
from trainer.service.schedule import PREFIX, changed, every

PATIENCE = 30
SPEC = specs.spec()


@pytest.fixture
def clock():
    return Clock(6000.0)


@pytest.fixture
def store(tmp_path, no_waiting_for_the_disk):
    with closing(RunStore(tmp_path / "state")) as opened:
        yield opened


@pytest.fixture
def scheduler(store, tmp_path, clock):
    return Scheduler(
        store, Places(Volume(tmp_path), tmp_path, tmp_path), logs=tmp_path / "logs", clock=clock
    )


def end_all(store):
    while (run := store.start_next(now=1.0)) is not None:
        store.end(run.id, "SUCCEEDED", Outcome(), now=2.0)


def test_a_run_is_queued_at_each_occasion_once_the_last_has_ended(scheduler, store, clock):
    # Those of others are no reason to wait.
    scheduler.submit(SPEC, request_id="mine")
    store.start_next(now=1.0)
    retraining = Retraining(scheduler, SPEC, [every(60.0)], clock=clock)
    for minute in range(2):
        retraining()
        retraining()
        [run, *older] = scheduler.page(size=10)
        assert (len(older), run.state, run.spec) == (minute + 1, "QUEUED", SPEC)
        assert run.request_id.startswith(PREFIX)
        clock.now += 60
        retraining()
        store.start_next(now=1.0)
        retraining()
        assert len(scheduler.page(size=10)) == minute + 2
        store.end(run.id, "FAILED", Outcome(), now=2.0)


def test_no_occasion_is_used_twice_over_restarts(scheduler, store, clock):
    schedules = [every(3600.0), changed(lambda: "x" * 64)]
    for _ in range(3):
        for _ in schedules:
            Retraining(scheduler, SPEC, schedules, clock=clock)()
            end_all(store)
        clock.now += 60
    assert len(scheduler.page(size=10)) == 2
    Retraining(scheduler, specs.spec(label="canary"), schedules, clock=clock)()
    assert [run.spec.label for run in scheduler.page(size=10)] == ["canary", "current", "current"]


def test_an_input_that_comes_back_is_trained_on_again_and_one_that_stays_is_not(
    scheduler, store, clock
):
    shown = ["a"]
    # As often as the service restarts.
    for content in "aabbaab":
        shown[0] = content * 32
        Retraining(scheduler, SPEC, [changed(lambda: shown[0])], clock=clock)()
        end_all(store)
    inputs = [run.request_id.split()[1][0] for run in scheduler.page(size=10)]
    assert inputs[::-1] == ["a", "b", "a", "b"]


def test_an_occasion_that_cannot_be_used_is_used_later(scheduler, clock, monkeypatch):
    retraining = Retraining(scheduler, SPEC, [every(3600.0)], clock=clock)
    with monkeypatch.context() as patch:
        patch.setattr("trainer.runs.store.MAX_QUEUED", 0)
        with pytest.raises(TooManyRunsError):
            retraining()
    retraining()
    assert len(scheduler.page(size=10)) == 1


def problems_of(caplog, *tasks):
    """What is logged of tasks that fail so, one time after the other, and then no more."""
    caplog.clear()
    tasks = [mock.Mock(side_effect=chain(failures, repeat(None))) for failures in tasks]
    maintenance = Maintenance(tasks, every_seconds=0.001)
    maintenance.start()
    wait_until(lambda: all(task.call_count > 8 for task in tasks))
    maintenance.stop()
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_task_that_fails_is_called_again_and_each_problem_told_once_until_it_comes_back(
    tmp_path, caplog
):
    a, b = InputError(tmp_path, "a"), OSError("b")
    found = problems_of(caplog, [a, a, b, b, a, None, a, a], [a, a])
    assert sorted(found) == [*[f"maintenance: {tmp_path}: a"] * 4, "maintenance: b"]
    assert "Traceback" not in caplog.text
    # Nor does it end with an error that nobody thought of.
    assert problems_of(caplog, [ZeroDivisionError("surprise")] * 2) == ["maintenance: surprise"]
    assert "Traceback" in caplog.text


def test_it_stops_without_waiting_for_its_time_but_for_the_task_that_runs():
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def task():
        began.set()
        assert go_on.wait(PATIENCE)
        ended.set()

    maintenance = Maintenance([task], every_seconds=3600)
    maintenance.start()
    assert began.wait(PATIENCE)
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(maintenance.stop)
        go_on.set()
        stopping.result(PATIENCE)
    assert ended.is_set()
