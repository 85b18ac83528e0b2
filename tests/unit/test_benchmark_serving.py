"""The arithmetic of the serving benchmark, and the callers that keep a schedule."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tests.benchmarks import open_loop, serving
from tests.benchmarks.closed_loop import Calls, read_requests, write_requests
from tests.benchmarks.large import BenchmarkError
from tests.benchmarks.open_loop import Scheduled
from tests.benchmarks.questions import among_the_best
from tests.benchmarks.revisions import Ratio
from tests.benchmarks.serving import Compared, Figures


def scheduled(due, asked, answered, cpu_seconds=0.0):
    return Scheduled(*(np.array(times, dtype=float) for times in (due, asked, answered)), cpu_seconds)


def test_latency_counts_from_when_a_call_was_due_not_from_when_it_was_asked():
    # The server stalls for a second: who was due meanwhile was asked after it, and answered at once.
    made = scheduled(due=[0, 0.2, 0.6], asked=[0, 1.0, 1.1], answered=[1.0, 1.1, 1.2])
    assert made.seconds == pytest.approx([1.0, 0.9, 0.6])
    assert made.late == pytest.approx([0, 0.8, 0.5])
    figures = Figures.of([made])
    assert figures.p50_milliseconds == pytest.approx(900)
    assert figures.p99_milliseconds == pytest.approx(998)


def test_the_rate_of_a_schedule_is_that_of_answers():
    made = scheduled(due=[10, 11], asked=[10, 11], answered=[10.5, 14], cpu_seconds=0.01)
    assert made.calls_per_second == pytest.approx(2 / 4)
    assert made.cpu_microseconds == pytest.approx(5000)


def test_calls_within_a_time_are_those_that_anything_of_was_in_it():
    made = scheduled(due=[0, 1, 2, 3, 6], asked=[0, 1, 2, 3, 6], answered=[0.5, 2.5, 9, 3.5, 7])
    inside = made.within(2, 5)
    # One that was due before and answered in it, two that were due in it.
    assert inside.due.tolist() == [1, 2, 3]
    assert inside.answered.tolist() == [2.5, 9, 3.5]


def test_a_schedule_has_as_many_calls_as_its_rate_says_and_its_seed_decides():
    due = open_loop.schedule(200, 3, seed=1)
    assert len(due) == 600
    assert due[-1] == pytest.approx(3)
    assert (np.diff(due) > 0).all()
    # As independent callers come: the gaps spread as much as they are long.
    assert np.diff(due).std() == pytest.approx(np.diff(due).mean(), rel=0.2)
    assert open_loop.schedule(200, 3, seed=1).tolist() == due.tolist()
    assert open_loop.schedule(200, 3, seed=2).tolist() != due.tolist()


def test_even_the_slowest_schedule_has_a_call():
    assert len(open_loop.schedule(0.1, 1, seed=1)) == 1


def test_every_call_is_asked_once_and_not_before_it_is_due():
    calls = open_loop._Calls([0.0, 0.001, 0.002, 0.003])
    calls.began = time.perf_counter()
    asked = []
    threads = [threading.Thread(target=calls.keep, args=(asked.append,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(asked) == [0, 1, 2, 3]
    for number, due in enumerate([0.0, 0.001, 0.002, 0.003]):
        assert calls.began + due <= calls.asked[number] <= calls.answered[number]


def test_a_schedule_that_is_over_long_ago_is_given_up():
    calls = open_loop._Calls([0.0, 1.0])
    calls.began = time.perf_counter() - 100
    asked = []
    with pytest.raises(RuntimeError, match="can't keep up"):
        calls.keep(asked.append)
    # And the others stop.
    calls.keep(asked.append)
    assert asked == []


def test_percentiles_are_of_all_rounds_together_but_rates_are_medians():
    fast = Calls(np.full(990, 0.001), callers=1, cpu_seconds=0.099)
    slow = Calls(np.full(10, 0.1), callers=1, cpu_seconds=0.002)
    figures = Figures.of([fast, slow, fast])
    assert figures.calls_per_second == pytest.approx(1000)
    assert figures.cpu_microseconds == pytest.approx(100)
    assert figures.p99_milliseconds == pytest.approx(1)
    assert figures.p999_milliseconds == pytest.approx(100)


def test_callers_at_the_same_time_multiply_what_one_gets():
    assert Calls(np.array([0.01, 0.03]), callers=16, cpu_seconds=1).calls_per_second == pytest.approx(
        800
    )


def test_ratios_are_of_the_retriever_to_the_echo_server_round_by_round():
    def of(seconds, cpu):
        return Calls(np.full(100, seconds), callers=4, cpu_seconds=cpu)

    # The machine got slower by ten from round to round; the retriever takes twice as long in each.
    pairs = [(of(0.002, 0.3), of(0.001, 0.1)), (of(0.02, 3.0), of(0.01, 1.0))]
    made = Compared.of("4 at a time", pairs)
    half, double, triple = (pytest.approx(value) for value in (0.5, 2, 3))
    assert made.throughput == Ratio(half, half, half)
    assert made.p99 == Ratio(double, double, double)
    assert made.cpu == Ratio(triple, triple, triple)
    assert made.late_milliseconds == 0


def test_a_round_too_short_for_the_clock_of_cpu_time_has_a_ratio_all_the_same():
    made = Compared.of("1 at a time", [(Calls(np.ones(1), 1, 0.0), Calls(np.ones(1), 1, 0.0))])
    assert made.cpu.median == 1


def test_how_late_callers_were_is_told_of_a_schedule():
    own = scheduled(due=[0, 1], asked=[0.5, 1.5], answered=[0.6, 1.6])
    echo = scheduled(due=[0, 1], asked=[0, 1], answered=[0.1, 1.1])
    made = Compared.of("1/s", [(own, echo)])
    assert made.late_milliseconds == pytest.approx(500)
    assert made.p99.median == pytest.approx(6)


@pytest.mark.parametrize(
    ("returned", "hits"),
    [
        ([0, 1, 2], 3),
        # Rows 2 and 3 are equally good for the last place.
        ([0, 1, 3], 3),
        ([2, 3, 1], 3),
        # All that ties is right, but not more than was asked for.
        ([0, 1, 2, 3], 3),
        ([0, 1, 4], 2),
        # Row 5 may not be returned.
        ([0, 1, 5], 2),
        ([0, 0, 0], 1),
        ([], 0),
    ],
)
def test_what_is_as_good_as_the_last_of_the_best_is_found(returned, hits):
    scores = np.array([9, 8, 7, 7, 6, -np.inf], dtype=np.float32)
    rows = np.array(returned, dtype=np.int64)
    assert among_the_best(scores, rows, 3, np.zeros(len(rows), dtype=np.float32)) == (hits, 3)


def test_scores_that_float32_cannot_tell_apart_tie():
    scores = np.array([9, 7, 6.999999], dtype=np.float32)
    rows = np.array([0, 2])
    assert among_the_best(scores, rows, 2, np.zeros(2, dtype=np.float32)) == (1, 2)
    assert among_the_best(scores, rows, 2, np.full(2, 1e-5, dtype=np.float32)) == (2, 2)


def test_where_fewer_may_be_returned_than_were_asked_for_all_of_them_are_enough():
    scores = np.array([-np.inf, 5, -np.inf, 4], dtype=np.float32)
    nothing = np.zeros(2, dtype=np.float32)
    assert among_the_best(scores, np.array([3, 1]), 10, nothing) == (2, 2)
    assert among_the_best(scores, np.array([0, 1]), 10, nothing) == (1, 2)
    assert among_the_best(np.full(3, -np.inf, dtype=np.float32), np.array([0]), 10, nothing[:1]) == (
        0,
        0,
    )


def test_requests_come_back_from_their_file(tmp_path):
    requests = [b"one", b"", b"\x00" * 300]
    assert read_requests(write_requests(tmp_path / "requests", requests)) == requests


def test_a_reply_that_the_echo_server_cannot_be_given_is_refused():
    with pytest.raises(BenchmarkError, match="70000 bytes"), serving.echoing(bytes(70_000)):
        pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BenchmarkError("too little memory"), "too little memory"),
        (TimeoutError("no answer in 600 s"), "no answer in 600 s"),
        (
            subprocess.CalledProcessError(3, ["x"]),
            "the callers failed, as they said above (exit status 3)",
        ),
    ],
)
def test_what_goes_wrong_is_one_line(error, said, capsys):
    with serving.handled() as failed:
        raise error
    assert failed == [said]
    assert capsys.readouterr().err == f"error: {said}\n"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--items", "99"], "--items is 99, but should be in 100..10000000"),
        (["--users", "0"], "--users is 0, but should be in 100..10000000"),
        (["--rounds", "0"], "--rounds is 0, but should be above 0"),
        (["--backend", "abacus"], "--backend is 'abacus', but should be among auto, annoy"),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(flags, said, capsys, monkeypatch, tmp_path):
    folder = tmp_path / "folder"
    monkeypatch.setattr(sys, "argv", ["serving", "--folder", str(folder), *flags])
    assert serving.main() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {said}")
    assert printed.err.count("\n") == 1
    assert not folder.exists()


def test_too_little_memory_is_told_before_anything_is_made(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("tests.benchmarks.large._memory_left", lambda _: 1e9)
    monkeypatch.setattr(
        sys, "argv", ["serving", "--items", "1682", "10000000", "--folder", str(tmp_path)]
    )
    assert serving.main() == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error: this needs about ")
    assert printed.endswith(" GB of memory, but 1.0 GB are free\n")
    assert list(tmp_path.iterdir()) == []
