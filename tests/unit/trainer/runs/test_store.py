import math
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import specs
from tests.unit.trainer.runs.stores import SPEC, add, end, ids_of, start
from trainer.errors import RequestIdReusedError, RunNotFoundError, StateError, TooManyRunsError
from trainer.promotion.gates import GateResult
from trainer.runs import store as runs
from trainer.runs.store import FILE, FINAL, Outcome, Run, RunStore
from trainer.spec import DataSpec

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

FULL = Outcome(
    stage="Training, epochs",
    done=3,
    total=20,
    metrics={"test_auc": 0.5},
    version="20261124T120000Z-3fa9c1",
    label_moved=True,
    gates=[GateResult("min_auc", False, None, 0.5, "AUC isn't known")],
    warnings=["1 items of ümläut.csv have no interactions"],
    error="no",
    seconds={"fit": 1.5},
    seconds_left=0.25,
)


@pytest.fixture
def store(tmp_path):
    with closing(RunStore(tmp_path / "state")) as opened:
        yield opened


def running(store, run_id="a"):
    add(store, run_id)
    return store.start_next(now=2.0)


def test_a_run_is_queued_and_found_again_and_another_is_not(store):
    run = add(store, "a", request_id="r", now=12.5)
    expected = Run(number=1, id="a", request_id="r", state="QUEUED", spec=SPEC, created_at=12.5)
    assert store.get("a") == run == expected
    assert not run.ended
    for ask in (store.get, partial(store.cancel_queued, now=1.0)):
        with pytest.raises(RunNotFoundError, match="there is no training run 'b'"):
            ask("b")


def test_the_same_request_id_and_spec_is_the_same_run(store):
    add(store, "a", request_id="r")
    ended = end(store, "a", "SUCCEEDED", FULL)
    assert add(store, "b", request_id="r", now=9.0) == ended
    with pytest.raises(RequestIdReusedError, match="'r' belongs to training run a"):
        add(store, "b", spec=specs.spec(label="canary"), request_id="r")
    assert store.page(size=10) == [ended]
    # Requests without an id are runs of their own.
    assert [add(store, name).id for name in "bcd"] == ["b", "c", "d"]
    # Weights in another order are the same spec.
    for weights in ({"view": 1.0, "buy": 5.0}, {"buy": 5.0, "view": 1.0}):
        data = DataSpec(event_log=True, event_weights=weights)
        assert add(store, "e", spec=specs.spec(data=data), request_id="w").id == "e"


def test_two_threads_never_take_the_same_run(tmp_path):
    names = [f"run{number}" for number in range(20)]
    with closing(RunStore(tmp_path)) as one, closing(RunStore(tmp_path)) as other:
        for name in names:
            add(one, name)
        barrier = threading.Barrier(4)

        def take(store):
            barrier.wait()
            return [*iter(lambda: start(store), None)]

        with ThreadPoolExecutor(4) as pool:
            taken = [*chain(*pool.map(take, (one, one, other, other)))]
    assert sorted(taken) == sorted(names)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_what_came_of_a_run_is_kept_and_who_comes_too_late_changes_nothing(store, state):
    run = running(store)
    ended = store.end("a", state, FULL, now=9.0)
    assert ended == store.get("a") == replace(run, state=state, ended_at=9.0, outcome=FULL)
    assert ended.ended
    for late in FINAL:
        assert end(store, "a", late, Outcome(error="late")) == store.get("a") == ended


def test_only_a_queued_run_is_cancelled_in_the_queue_and_only_a_running_one_noted_about(store):
    run = running(store)
    queued = add(store, "b")
    assert store.cancel_queued("a", now=5.0) == run
    # A metric that isn't a number is none.
    noted = replace(FULL, metrics={**FULL.metrics, "a": math.nan, "b": math.inf, "c": -math.inf})
    for run_id in "ab":
        store.note(run_id, noted)
    assert (store.get("a").outcome, store.get("b")) == (FULL, queued)
    cancelled = store.cancel_queued("b", now=5.0)
    outcome = Outcome(error="cancelled before it began")
    assert cancelled == replace(queued, state="CANCELLED", ended_at=5.0, outcome=outcome)
    assert start(store) is None


STEPS = {
    "start": lambda store, _: start(store),
    "recover": lambda store, _: store.recover(now=3.0),
    "note": lambda store, run_id: store.note(run_id, FULL),
    "cancel": lambda store, run_id: store.cancel_queued(run_id, now=3.0),
    **{state: lambda store, run_id, state=state: end(store, run_id, state) for state in sorted(FINAL)},
}


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from(["add", *STEPS]), st.integers(0, 3)), max_size=20))
def test_states_only_follow_the_arrows(tmp_path_factory, steps):
    arrows = {"QUEUED": {*runs.STATES}, "RUNNING": {"RUNNING", *FINAL}}
    with closing(RunStore(tmp_path_factory.mktemp("runs"))) as store:
        before: dict[str, Run] = {}
        for step, number in steps:
            run_id = f"run{number}"
            if step == "add":
                if run_id not in before:
                    add(store, run_id)
            elif run_id in before or step in ("start", "recover"):
                STEPS[step](store, run_id)
            after = {run.id: run for run in store.page(size=100)}
            assert before.keys() <= after.keys()
            for name, run in before.items():
                assert after[name] == run if run.ended else after[name].state in arrows[run.state]
            before = after


def test_a_restart_fails_what_was_running_and_nothing_else(tmp_path):
    with closing(RunStore(tmp_path)) as store:
        for name in ("done", "cut-off", "early", "waits"):
            add(store, name, request_id=f"request {name}")
        assert [start(store) for _ in "123"] == ["done", "cut-off", "early"]
        end(store, "done", "SUCCEEDED", FULL)
        store.note("cut-off", Outcome(stage="fit", done=4, total=9, metrics={"test_auc": 0.5}))
        before = store.page(size=10)
    said = "the service ended while the run was running"
    with closing(RunStore(tmp_path)) as store:
        assert store.page(size=10) == before
        waits, early, cut_off, done = before
        expected = [
            replace(run, state="FAILED", ended_at=50.0, outcome=replace(run.outcome, error=error))
            for run, error in ((cut_off, f"{said} (stage 'fit')"), (early, said))
        ]
        assert store.recover(now=50.0) == expected
        assert store.page(size=10) == [waits, *reversed(expected), done]
        assert store.recover(now=60.0) == []
        assert start(store) == "waits"
        assert add(store, "e").number > waits.number


@settings(max_examples=15)
@given(
    states=st.lists(st.sampled_from(["QUEUED", "FAILED"]), max_size=8),
    size=st.integers(1, 9),
    state=st.sampled_from([None, "QUEUED", "FAILED", "RUNNING"]),
)
def test_pages_have_every_run_once_the_latest_first(tmp_path_factory, states, size, state):
    with closing(RunStore(tmp_path_factory.mktemp("runs"))) as store:
        for number, own in enumerate(states):
            add(store, f"run{number}")
            if own == "FAILED":
                end(store, f"run{number}")
        found, before = [], None
        while page := store.page(size=size, before=before, state=state):
            assert len(page) <= size
            # A run that comes in between doesn't move the pages.
            add(store, f"late{before}")
            found += [run.id for run in page]
            before = page[-1].number
        expected = [f"run{number}" for number, own in enumerate(states) if state in (None, own)]
        assert found == expected[::-1]


def test_a_queue_has_an_end(store, monkeypatch):
    monkeypatch.setattr(runs, "MAX_QUEUED", 3)
    for name in "abc":
        add(store, name, request_id=name)
    with pytest.raises(TooManyRunsError, match="3 training runs wait already"):
        add(store, "d", request_id="d")
    # A request that is in the queue already isn't another one.
    assert add(store, "e", request_id="a").id == start(store) == "a"
    assert add(store, "d", request_id="d").state == "QUEUED"


def test_a_full_disk_is_a_store_error_and_leaves_nothing_half_done(store):
    """SQLite says of a file that mayn't grow what it says of a full disk."""
    running(store, "first")
    before = store.page(size=100)
    pages = store._file.database.execute("PRAGMA page_count").fetchone()[0]
    store._file.database.execute(f"PRAGMA max_page_count = {pages}")
    big = Outcome(warnings=["x" * 100_000])
    wide = specs.spec(data=DataSpec(interactions="/" + "x" * 100_000))
    for refused in (
        lambda: add(store, "big", spec=wide, request_id="big"),
        lambda: store.note("first", big),
        lambda: end(store, "first", outcome=big),
    ):
        with pytest.raises(StateError, match=r"runs\.sqlite: database or disk is full"):
            refused()
        assert store.page(size=100) == before
    store._file.database.execute("PRAGMA max_page_count = 100000")
    assert end(store, "first", outcome=big).outcome == big
    assert add(store, "big", spec=wide, request_id="big").id == "big"


def test_only_its_owner_may_read_the_file_and_its_directory_is_no_file(tmp_path):
    path = tmp_path / FILE
    for _ in range(2):
        RunStore(tmp_path).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        # A backup that was put back.
        path.chmod(0o644)
    with pytest.raises(StateError, match=r"Not a directory|File exists"):
        RunStore(path)


def test_a_spec_that_this_release_refuses_fails_its_run_and_holds_up_no_other(store):
    for run_id in ("a", "b"):
        add(store, run_id)
    changed = runs.training_spec.encode(SPEC).replace('"split_share":0.1', '"split_share":7')
    store._file.database.execute("UPDATE runs SET spec = ? WHERE id = 'a'", (changed,))
    assert (ids_of(store), start(store)) == (["b", "a"], "b")
    refused = store.get("a")
    assert refused.state == "FAILED"
    assert "--split-share is 7" in refused.outcome.error


def test_what_has_ended_is_counted_and_read_from_a_number_on(store):
    assert store.ended_from(1, size=10) == ([], 1)
    for run_id in "abcd":
        running(store, run_id)
    ended = [end(store, run_id, "SUCCEEDED", FULL) for run_id in "bcd"]
    assert store.ended_from(1, size=10) == (ended, 1)
    assert store.ended_from(1, size=2) == (ended[1:], 1)
    end(store)
    assert store.ended_from(4, size=10) == (ended[2:], 5)
    expected = {"QUEUED": 0, "RUNNING": 0, "SUCCEEDED": 3, "FAILED": 1, "CANCELLED": 0}
    assert store.count() == expected
