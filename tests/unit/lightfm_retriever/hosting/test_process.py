"""What a process asks of its system. Memory is measured in processes of their own."""

import ctypes
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lightfm_retriever.hosting.process import make_way, pss_bytes, start_all

# The last of the small blocks lies above the others, and stays.
_FREED = """
from lightfm_retriever.hosting.process import release_heap

def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

def block(size):
    return bytearray(b"x") * size

before = anonymous()
blocks = [block(100_000) for _ in range(600)]
above = block(100_000)
del blocks
freed = anonymous()
release_heap()
print(freed - before, anonymous() - before)
# Once one was freed, the library would keep the next ones.
before = anonymous()
for _ in range(2):
    large = block(20_000_000)
    above = block(100_000)
    del large
print(anonymous() - before)
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this isn't the GNU C library"
)
def test_what_is_freed_is_given_back_and_large_blocks_from_then_on():
    command = [sys.executable, "-c", _FREED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    freed, released, kept = map(int, done.stdout.split())
    assert released < 10_000_000 < 45_000_000 < freed
    assert kept < 5_000_000


def test_a_process_needs_memory_and_what_it_allocates_counts():
    before = pss_bytes()
    held = bytearray(b"x") * (64 << 20)
    assert 60 << 20 < pss_bytes() - before < 80 << 20
    del held
    # One that is gone has none.
    assert pss_bytes(2**22 + 1) == 0


def niceness():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_thread_and_those_it_starts_make_way_and_no_other_does():
    before = niceness()

    def work():
        with ThreadPoolExecutor(1) as others:
            return [niceness(), others.submit(niceness).result()]

    with ThreadPoolExecutor(1, initializer=make_way) as threads:
        assert threads.submit(work).result() == [19, 19]
    assert niceness() == before


def test_no_other_thread_is_started_by_tasks(monkeypatch):
    with ThreadPoolExecutor(4) as pool:
        threads = start_all(pool, 4)
        assert len({*threads}) == 4
        monkeypatch.setattr("threading.Thread.start", lambda _: pytest.fail("another is started"))
        assert [*pool.map(abs, range(-20, 0))] == [*range(20, 0, -1)]


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
