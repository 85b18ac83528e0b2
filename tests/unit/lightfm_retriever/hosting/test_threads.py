"""Threads that are there before they are needed."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lightfm_retriever.hosting.threads import start_all


@pytest.mark.parametrize("count", [1, 4])
def test_no_other_thread_is_started_by_tasks(monkeypatch, count):
    with ThreadPoolExecutor(count) as pool:
        threads = start_all(pool, count)
        assert len({*threads}) == count

        def forbid(_thread):
            pytest.fail("another thread is started")

        monkeypatch.setattr("threading.Thread.start", forbid)
        assert [*pool.map(abs, range(-20, 0))] == [*range(20, 0, -1)]
        assert all(thread.is_alive() for thread in threads)
    assert not any(thread.is_alive() for thread in threads)


def test_an_interrupt_while_they_start_leaves_none_waiting(monkeypatch):
    pool = ThreadPoolExecutor(3)
    submit, begun = ThreadPoolExecutor.submit, []

    def interrupted(*arguments):
        if len(begun) == 2:
            raise KeyboardInterrupt
        begun.append(submit(*arguments))

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start_all(pool, 3)
    # The end of the process waits for them.
    pool.shutdown(wait=True)
    assert all(own.done() for own in begun)
