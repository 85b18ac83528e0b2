"""Work on several things at once, whatever threads there are."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever import parallel
from lightfm_retriever.parallel import for_each


@given(count=st.integers(0, 20), threads=st.integers(1, 6))
def test_each_part_has_its_call(count, threads):
    done = []
    for_each(done.append, range(count), threads=threads)
    assert sorted(done) == [*range(count)]


def test_as_many_work_at_once_as_may():
    together = threading.Barrier(3, timeout=30)
    for_each(lambda _: together.wait(), range(6), threads=3)


@given(
    parts=st.lists(st.booleans(), min_size=1, max_size=12),
    threads=st.integers(1, 4),
)
def test_what_the_first_raised_that_failed_is_raised(parts, threads):
    def check(part):
        number, fails = part
        if fails:
            raise KeyError(number)

    if not any(parts):
        for_each(check, enumerate(parts), threads=threads)
        return
    with pytest.raises(KeyError) as caught:
        for_each(check, enumerate(parts), threads=threads)
    failed = [number for number, fails in enumerate(parts) if fails]
    # Those before it had begun, so it is the first but for those that were never begun.
    assert caught.value.args[0] == failed[0]


def test_after_a_failure_no_other_is_begun():
    begun = []

    def fail(part):
        begun.append(part)
        raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        for_each(fail, range(100), threads=2)
    assert len(begun) <= 2


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError(), None])
def test_without_other_threads_this_one_does_it_all(monkeypatch, error):
    """None: the start succeeds, but the thread dies before it runs."""

    def start(*_):
        if error is not None:
            raise error

    monkeypatch.setattr(parallel._thread, "start_new_thread", start)
    done = []
    for_each(done.append, range(5), threads=3)
    assert done == [*range(5)]
