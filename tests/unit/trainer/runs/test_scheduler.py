"""The scheduler with processes that do what the test says."""

import queue
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import chain, pairwise, repeat
from pathlib import Path
from unittest import mock

import pytest

from lightfm_retriever.publication import labels
from lightfm_retriever.publication.errors import VolumeError
from lightfm_retriever.publication.labels import list_labels, promote
from lightfm_retriever.publication.volume import Volume
from tests import publications, specs
from tests.trainer_service import wait_until
from trainer.errors import RequestIdReusedError, RunEndedError, RunNotFoundError, StateError
from trainer.pipeline import Places
from trainer.promotion.gates import GateResult
from trainer.runs import scheduler as module
from trainer.runs.child_events import Finished, Metrics, Progress, RunFailed
from trainer.runs.scheduler import Scheduler
from trainer.runs.store import FILE, Outcome, RunStore

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

PATIENCE = 30
SPEC = specs.spec()
GATE = GateResult("min_auc", False, 0.25, 0.5, "AUC is 0.25, required at least 0.5: 0.25 short")
FULL = StateError(Path("state"), "database or disk is full")
SURPRISE = RuntimeError("surprise")
EXIT_0 = "its process ended with exit status 0"
KILLED = "its process was killed (signal 9): perhaps there wasn't enough memory"


class FakeProcess:
    """A process that tells what it is told to."""

    pid = 4711

    def __init__(self, task, log):
        self.task = task
        self.log = log
        self.killed = threading.Event()
        self._told = queue.SimpleQueue()
        self._how = EXIT_0
        log.write_text("")

    def events(self):
        yield from iter(self._told.get, None)

    def kill(self):
        self.killed.set()
        self.die(KILLED)

    def wait(self):
        return self._how

    def tell(self, *events):
        for event in events:
            self._told.put(event)

    def die(self, how=EXIT_0):
        self._how = how
        self._told.put(None)

    def finish(self, version, *, passed=True, **changes):
        fields = {"metrics": {}, "gates": [], "warnings": [], "seconds": {}, **changes}
        self.tell(Finished(version, passed, **fields), None)


class Run:
    """A scheduler, its store and volume, and the processes that it starts."""

    def __init__(self, tmp_path, *, parallel=1, store=None):
        self.volume = tmp_path / "volume"
        self.volume.mkdir(exist_ok=True)
        self.logs = tmp_path / "logs"
        self.store = store or RunStore(tmp_path / "state")
        self.processes = queue.SimpleQueue()
        places = Places(Volume(self.volume), tmp_path / "data", tmp_path / "events")
        self.scheduler = Scheduler(self.store, places, logs=self.logs, parallel=parallel)

    def start_process(self, task, log):
        process = FakeProcess(task, log)
        self.processes.put(process)
        return process

    def process(self):
        return self.processes.get(timeout=PATIENCE)

    def submit(self, spec=SPEC, **options):
        return self.scheduler.submit(spec, **options).id

    def begin(self, *arguments, **options):
        return self.submit(*arguments, **options), self.process()

    def publish(self, *arguments, **told):
        """A run that publishes a version, as it ended."""
        version = publications.publish(self.volume)
        run_id, process = self.begin(*arguments)
        process.finish(version, **told)
        ended = self.end(run_id)
        assert ended.outcome.version == version
        return ended

    def end(self, run_id, *, how=None):
        if how is not None:
            self.process().die(how)
        *_, last = self.scheduler.watch(run_id, still_wanted=lambda: True)
        assert last == self.store.get(run_id)
        return last

    def wait_for(self, run_id, holds):
        for run in self.scheduler.watch(run_id, still_wanted=lambda: True):
            if holds(run):
                return run
        raise AssertionError(f"{run} ended")


@pytest.fixture
def make(tmp_path, monkeypatch):
    with ExitStack() as stack:

        def make(*, begin=True, **options):
            made = Run(tmp_path, **options)
            # Before it begins: its threads may start a process at once.
            monkeypatch.setattr(module, "RunProcess", made.start_process)
            if begin:
                made.scheduler.start()
                stack.callback(made.scheduler.stop)
            return made

        yield make


@pytest.fixture
def here(make):
    return make()


@pytest.fixture
def fail(monkeypatch):
    """Have a method or a function fail, so many times or until its `side_effect` is none."""

    def fail(of, name, error, *, times=None):
        errors = error if times is None else chain([error] * times, repeat(mock.DEFAULT))
        failing = mock.Mock(wraps=getattr(of, name), side_effect=errors)
        monkeypatch.setattr(of, name, failing)
        return failing

    return fail


@pytest.fixture
def hold(monkeypatch):
    """Hold a function up: returns what is set once it was called, and what lets it go on."""

    def hold(of, name):
        kept, began, go_on = getattr(of, name), threading.Event(), threading.Event()

        def slow(*arguments, **options):
            began.set()
            assert go_on.wait(PATIENCE)
            return kept(*arguments, **options)

        monkeypatch.setattr(of, name, slow)
        return began, go_on

    return hold


def test_a_run_goes_from_the_queue_to_its_end(here):
    version = publications.publish(here.volume)
    run_id, process = here.begin()
    assert process.task.spec == SPEC
    assert process.task.volume == str(here.volume)
    assert process.log == here.logs / f"{run_id}.log"
    running = here.wait_for(run_id, lambda run: run.state == "RUNNING")
    assert running.started_at >= running.created_at
    process.tell(Progress("fit"), Progress("Training, epochs", 3, 20, 1.5))
    process.tell(Metrics({"test_auc": 0.75, "train_auc": None}))
    noted = here.wait_for(run_id, lambda run: run.outcome.metrics)
    told = {"stage": "Training, epochs", "done": 3, "total": 20, "seconds_left": 1.5}
    assert (noted.state, noted.outcome) == ("RUNNING", Outcome(**told, metrics={"test_auc": 0.75}))
    # What the run was at is known after a crash.
    assert here.store.get(run_id).outcome.stage == "Training, epochs"
    found = {"metrics": {"test_auc": 0.75}, "gates": [GATE], "warnings": ["w"], "seconds": {"fit": 1.5}}
    process.finish(version, **found)
    ended = here.end(run_id)
    assert ended.state == "SUCCEEDED"
    assert ended.ended_at >= ended.started_at
    assert ended.outcome == Outcome(stage="done", version=version, label_moved=True, **found)
    assert list_labels(here.volume) == {"current": version}


@pytest.mark.parametrize("parallel", [1, 2])
def test_as_many_run_at_once_as_are_asked_for_and_others_wait_in_their_order(make, parallel):
    here = make(parallel=parallel)
    ids = [here.submit() for _ in range(4)]
    stamps = [run_id.partition("-")[0] for run_id in ids]
    assert stamps == sorted(stamps)
    processes = {}
    for ended, run_id in enumerate(ids):
        running, waiting = ids[ended : ended + parallel], ids[ended + parallel :]
        while len(processes) < len(running):
            process = here.process()
            processes[process.log.stem] = process
        assert {*processes} == {*running}
        assert here.processes.empty()
        found = here.scheduler.page(size=9)
        assert [run.id for run in found] == ids[::-1]
        states = ["FAILED"] * ended + ["RUNNING"] * len(running) + ["QUEUED"] * len(waiting)
        assert [run.state for run in found] == states[::-1]
        assert [run.id for run in here.scheduler.page(size=9, state="RUNNING")] == running[::-1]
        processes.pop(run_id).die()
        here.end(run_id)


def test_the_label_that_was_asked_for_is_moved_unless_a_gate_fails(here):
    for label, passed, moved in ((None, True, False), ("own", False, False), ("own", True, True)):
        ended = here.publish(specs.spec(label=label), passed=passed, gates=[GATE])
        version = ended.outcome.version
        expected = Outcome(stage="done", version=version, label_moved=moved, gates=[GATE])
        assert (ended.state, ended.outcome) == ("SUCCEEDED", expected)
        assert list_labels(here.volume) == ({label: version} if moved else {})


def test_a_run_fails_for_what_its_process_says_or_else_for_how_it_ended(here):
    for events, how, error, stage in (
        ([Progress("fit", 1, 2, 0.5), RunFailed("it diverged")], EXIT_0, "it diverged", "fit"),
        ([Progress("fit")], KILLED, KILLED, "fit"),
        # A good exit without a result.
        ([Metrics({"a": 0.5})], EXIT_0, EXIT_0, ""),
    ):
        run_id, process = here.begin()
        process.tell(*events)
        process.die(how)
        ended = here.end(run_id)
        assert (ended.state, ended.outcome.error) == ("FAILED", error)
        assert (ended.outcome.stage, ended.outcome.seconds_left) == (stage, None)
    assert list_labels(here.volume) == {}


def test_a_process_that_cannot_be_started_fails_its_run(here, fail):
    failing = fail(module, "RunProcess", OSError(11, "Resource temporarily unavailable"))
    ended = here.end(here.submit())
    assert ended.state == "FAILED"
    assert ended.outcome.error == "its process can't be started: Resource temporarily unavailable"
    failing.side_effect = None
    # The folder of logs is made again, or named where it can't be.
    shutil.rmtree(here.logs)
    here.end(here.submit(), how="")
    shutil.rmtree(here.logs)
    here.logs.write_text("")
    ended = here.end(here.submit())
    assert ended.state == "FAILED"
    assert f"can't be started: {here.logs}: should be a directory" in ended.outcome.error


def test_an_error_of_the_label_or_that_nobody_thought_of_fails_its_run_and_the_next_one_runs(
    here, fail, caplog
):
    run_id, process = here.begin()
    fail(process, "wait", SURPRISE)
    process.die()
    assert here.end(run_id).outcome.error == "an unexpected error: surprise"
    assert "Traceback" in caplog.text
    # Nobody knows whether it still runs.
    assert process.killed.is_set()
    full = VolumeError(here.volume, "No space left on device")
    for error, said in (
        (SURPRISE, "an unexpected error: surprise"),
        (full, f" is published, but label 'current' can't be moved: {full}"),
    ):
        failing = fail(labels, "promote", error)
        ended = here.publish()
        failing.side_effect = None
        assert (ended.state, ended.outcome.label_moved) == ("FAILED", False)
        assert ended.outcome.error in (said, f"{ended.outcome.version}{said}")
    here.begin()


def test_a_queued_run_is_cancelled_and_never_starts(here):
    (first, process), second, third = here.begin(), here.submit(), here.submit()
    cancelled = here.scheduler.cancel(second)
    assert (cancelled.state, cancelled.started_at) == ("CANCELLED", None)
    process.die()
    ended = here.end(first)
    assert here.process().log.stem == third
    with pytest.raises(RunEndedError, match="has ended already: it is FAILED"):
        here.scheduler.cancel(first)
    assert here.store.get(first) == ended
    with pytest.raises(RunNotFoundError):
        here.scheduler.cancel("none")


def test_a_running_run_is_cancelled_at_once_even_after_publishing_and_the_next_one_runs(here):
    version = publications.publish(here.volume)
    for told, outcome in (
        (Progress("fit", 5, 20, 9.0), Outcome(stage="fit", done=5, total=20, error="cancelled")),
        (
            Finished(version, True, metrics={}, gates=[], warnings=[], seconds={}),
            Outcome(stage="done", version=version, error="cancelled"),
        ),
    ):
        run_id, process = here.begin()
        process.tell(told)
        here.wait_for(run_id, lambda run, outcome=outcome: run.outcome.stage == outcome.stage)
        cancelled = here.scheduler.cancel(run_id)
        assert process.killed.is_set()
        assert (cancelled.state, cancelled.outcome) == ("CANCELLED", outcome)
        assert here.store.get(run_id) == here.scheduler.cancel(run_id) == cancelled
    assert list_labels(here.volume) == {}
    here.begin()


def test_a_run_whose_label_is_being_moved_is_not_cancelled_any_more(here, hold):
    moving, go_on = hold(labels, "promote")
    version = publications.publish(here.volume)
    run_id, process = here.begin()
    process.finish(version)
    assert moving.wait(PATIENCE)
    with ThreadPoolExecutor(1) as pool:
        cancelling = pool.submit(here.scheduler.cancel, run_id)
        # It has come as far as to kill the process.
        assert process.killed.wait(PATIENCE)
        go_on.set()
    with pytest.raises(RunEndedError, match="it is SUCCEEDED"):
        cancelling.result()
    ended = here.end(run_id)
    assert (ended.state, ended.outcome.label_moved, ended.outcome.error) == ("SUCCEEDED", True, "")
    assert list_labels(here.volume) == {"current": version}


def test_a_run_is_cancelled_while_its_process_is_being_started(here, hold, monkeypatch):
    starting, go_on = hold(module, "RunProcess")
    run_id = here.submit()
    assert starting.wait(PATIENCE)
    ended, end = threading.Event(), module.ActiveRun.end
    monkeypatch.setattr(module.ActiveRun, "end", lambda *of: (end(*of), ended.set()))
    with ThreadPoolExecutor(1) as pool:
        cancelling = pool.submit(here.scheduler.cancel, run_id)
        assert ended.wait(PATIENCE)
        go_on.set()
        # Before the cancelling tries again.
        assert here.process().killed.wait(module._CANCEL_SECONDS / 2)
    assert cancelling.result().state == "CANCELLED"


def test_a_request_id_is_one_run_that_is_told_which_span_asked_for_it(here, monkeypatch):
    monkeypatch.setattr(module.spans, "ids", lambda: ("a" * 32, "b" * 16))
    first = here.submit(request_id="r")
    process = here.process()
    asked_by = f"00-{'a' * 32}-{'b' * 16}-01"
    assert (process.task.run_id, process.task.asked_by) == (first, asked_by)
    # The same run, as it is now.
    process.tell(Progress("fit", 1, 2))
    here.wait_for(first, lambda run: run.outcome.done == 1)
    again = here.scheduler.submit(SPEC, request_id="r")
    assert (again.id, again.state, again.outcome.done) == (first, "RUNNING", 1)
    # One that is refused, and one that never starts.
    with pytest.raises(RequestIdReusedError):
        here.submit(specs.spec(label="another"), request_id="r")
    here.scheduler.cancel(here.submit())
    assert here.scheduler._asked_by == {}


@pytest.mark.parametrize(("published", "moved"), [(False, False), (True, False), (True, True)])
def test_a_start_ends_what_the_last_service_left_running(make, caplog, published, moved):
    here = make(begin=False)
    first, second = here.submit(), here.submit()
    here.store.start_next(now=1.0)
    version = publications.publish(here.volume) if published else ""
    here.store.note(first, Outcome(stage="done", version=version))
    if moved:
        promote(here.volume, version)
    again = make(store=here.store)
    assert again.process().log.stem == second
    left = again.scheduler.get(first)
    assert (left.outcome.version, left.outcome.label_moved) == (version, moved)
    error = "" if moved else "the service ended while the run was running (stage 'done')"
    assert (left.state, left.outcome.error) == ("SUCCEEDED" if moved else "FAILED", error)
    assert (f"training run {first}: the service ended" in caplog.text) is not moved


def test_a_service_whose_disk_is_full_stops_all_the_same_and_logs_what_is_not_noted(make, fail, caplog):
    here = make()
    version = publications.publish(here.volume)
    run_id, process = here.begin()
    failing = fail(here.store, "end", FULL)
    process.finish(version)
    while "can't be stored yet" not in caplog.text:
        pass
    here.scheduler.stop()
    assert (
        f"{run_id}: it ended as SUCCEEDED with version {version}, but its end isn't stored"
        in caplog.text
    )
    failing.side_effect = None
    assert here.store.get(run_id).state == "RUNNING"
    make(store=here.store)
    # Its label names the version.
    assert here.store.get(run_id).state == "SUCCEEDED"


def test_a_row_that_is_changed_under_its_run_stops_no_other(here, tmp_path, caplog):
    (first, process), run_id = here.begin(), here.submit()
    with closing(sqlite3.connect(tmp_path / "state" / FILE)) as database, database:
        database.execute("UPDATE runs SET created_at = 'x' WHERE id = ?", (first,))
    process.die()
    assert here.end(run_id, how="").state == "FAILED"
    assert "its end isn't stored" in caplog.text


def test_an_end_that_nobody_thought_of_holds_up_no_other_and_one_that_has_no_room_is_noted_later(
    here, fail, monkeypatch, caplog
):
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    fail(here.store, "end", SURPRISE, times=1)
    here.begin()[1].die()
    # A stage that can't be noted is no failure, either.
    fail(here.store, "note", FULL)
    assert here.publish().state == "SUCCEEDED"
    fail(here.store, "end", FULL, times=3)
    assert here.publish().state == "SUCCEEDED"
    assert caplog.text.count("its end can't be stored") == 1


@pytest.mark.parametrize(
    ("error", "said", "problem"),
    [
        (FULL, "no training run can start: state: database", None),
        (SURPRISE, "Traceback", "no training run starts: an unexpected error: surprise"),
    ],
)
def test_a_queue_that_fails_is_tried_again_and_told_of_once(
    here, fail, monkeypatch, caplog, error, said, problem
):
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    failing = fail(here.store, "start_next", error)
    assert here.scheduler.problem() is None
    run_id = here.submit()
    wait_until(lambda: failing.call_count > 3)
    assert here.scheduler.problem() == problem
    assert caplog.text.count(said) == 1
    failing.side_effect = None
    here.end(run_id, how="")
    here.begin()
    assert here.scheduler.problem() is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_queue_that_has_ended_is_told(here, fail):
    fail(here.store, "start_next", SystemExit())
    here.submit()
    wait_until(here.scheduler.problem)
    assert "restart the service" in here.scheduler.problem()


def test_watching_tells_of_every_change_and_ends(here):
    version = publications.publish(here.volume)
    run_id, process = here.begin()
    seen = []
    done = Finished(version, True, metrics={}, gates=[], warnings=[], seconds={})
    steps = [
        (Progress("fit"),),
        (Progress("fit", 1, 2, 0.5),),
        (Metrics({"test_auc": 0.5}),),
        (done, None),
    ]
    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(here.end, run_id) for _ in range(4)]
        for run in here.scheduler.watch(run_id, still_wanted=lambda: True):
            seen.append(run)
            # A step at a time, so that none is missed for the next.
            if steps and run.state == "RUNNING":
                process.tell(*steps.pop(0))
    told = [(run.outcome.stage, run.outcome.done, run.outcome.metrics) for run in seen]
    fit = [("fit", 0, {}), ("fit", 1, {}), ("fit", 1, {"test_auc": 0.5})]
    assert [own for own in told if own[0] != "done"] == [("", 0, {}), *fit]
    assert all(one != other for one, other in pairwise(seen))
    assert seen[-1].state == "SUCCEEDED"
    # All watchers see the same end, and whoever comes later sees it once.
    assert [other.result() for other in others] == [seen[-1]] * 4
    assert [*here.scheduler.watch(run_id, still_wanted=lambda: True)] == [seen[-1]]


def test_watching_ends_when_nobody_wants_it_any_more_or_there_is_nothing_to_watch(here):
    run_id = here.submit()
    here.process()
    wanted = [True]
    for run in here.scheduler.watch(run_id, still_wanted=lambda: bool(wanted)):
        assert run.id == run_id
        wanted.clear()
        # A change of another run wakes it to ask.
        here.submit()
    with pytest.raises(RunNotFoundError):
        next(here.scheduler.watch("none", still_wanted=lambda: True))


def test_old_logs_are_removed_and_the_latest_are_kept(here):
    old = [here.logs / f"20200101T000000Z-{number:03}.log" for number in range(105)]
    for path in old:
        path.touch()
    run_id = here.submit()
    here.end(run_id, how="")
    here.scheduler.stop()
    assert sorted(here.logs.iterdir()) == [*old[-99:], here.logs / f"{run_id}.log"]


@pytest.mark.parametrize("put", [Path.touch, lambda path: path.symlink_to("nowhere")])
def test_logs_that_are_no_directory_are_named_before_anything_changes(make, monkeypatch, put):
    here = make(begin=False)
    run_id = here.submit()
    here.store.start_next(now=2.0)
    put(here.logs)
    with pytest.raises(StateError, match="should be a directory") as caught:
        here.scheduler.start()
    assert caught.value.path == here.logs
    assert here.store.get(run_id).state == "RUNNING"
    # What only the file says is running can be cancelled.
    monkeypatch.setattr(module, "_CANCEL_SECONDS", 0.05)
    assert here.scheduler.cancel(run_id).state == "CANCELLED"
