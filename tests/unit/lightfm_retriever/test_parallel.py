"""Work on several things at once, whatever threads there are."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever import parallel
from lightfm_retriever.parallel import for_each


def test_as_many_work_at_once_as_may():
    together = threading.Barrier(3, timeout=30)
    for_each(lambda _: together.wait(), range(6), threads=3)


@given(parts=st.lists(st.booleans(), max_size=20), threads=st.integers(1, 6))
def test_each_part_has_its_call_unless_one_before_it_failed_whose_error_is_raised(parts, threads):
    done = []

    def check(part):
        number, fails = part
        if fails:
            raise KeyError(number)
        done.append(number)

    if True not in parts:
        for_each(check, enumerate(parts), threads=threads)
        assert sorted(done) == [*range(len(parts))]
        return
    with pytest.raises(KeyError) as caught:
        for_each(check, enumerate(parts), threads=threads)
    # Those before it had begun, so it is the first but for those that were never begun.
    assert caught.value.args[0] == parts.index(True)


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
