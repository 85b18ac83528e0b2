"""What a process asks of its system."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lightfm_retriever.hosting.process import make_way, pss_bytes

glibc_only = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this isn't the GNU C library"
)

_BEFORE = """
import numpy as np
from lightfm_retriever.hosting.process import release_heap

def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

def array(size):
    return np.ones(size, dtype=np.uint8)

before = anonymous()
"""
# The last one lies above the others, and stays.
_SMALL = """
blocks = [array(100_000) for _ in range(600)]
above = array(100_000)
del blocks
freed = anonymous()
release_heap()
print(freed - before, anonymous() - before)
"""
# Once one was freed, the library keeps the next ones.
_LARGE = """
large = array(20_000_000)
del large
large = array(20_000_000)
above = array(100_000)
del large
print(anonymous() - before)
"""


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", _BEFORE + code], capture_output=True, text=True, check=True
    )
    return [*map(int, done.stdout.split())]


@glibc_only
def test_what_many_small_blocks_took_is_given_back():
    freed, released = run(_SMALL)
    assert freed > 45_000_000
    assert released < 10_000_000


@glibc_only
def test_large_blocks_are_given_back_from_then_on():
    [kept] = run(_LARGE)
    assert kept > 15_000_000
    [kept] = run("release_heap()\n" + _LARGE)
    assert kept < 5_000_000


# In a process of its own: in this one, what other tests have left is let go at any time.
_PSS = """
from lightfm_retriever.hosting.process import pss_bytes
before = pss_bytes()
held = bytearray(b"x") * (64 << 20)
print(before, pss_bytes() - before, len(held))
"""


def test_a_process_needs_memory_and_what_it_allocates_counts():
    done = subprocess.run([sys.executable, "-c", _PSS], capture_output=True, text=True, check=True)
    before, more, held = map(int, done.stdout.split())
    assert before > 1 << 20
    assert held == 64 << 20
    assert 60 << 20 < more < 80 << 20


def test_a_process_that_is_gone_has_none():
    assert pss_bytes(2**22 + 1) == 0


def niceness():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_thread_and_those_it_starts_make_way_and_no_other_does():
    before = niceness()
    found = []

    def work():
        make_way()
        with ThreadPoolExecutor(1) as others:
            found.extend([niceness(), others.submit(niceness).result()])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [19, 19]
    assert niceness() == before
