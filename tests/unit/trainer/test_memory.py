"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this isn't the GNU C library"
)

_BEFORE = """
import numpy as np
from trainer.memory import release_heap

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


def test_what_many_small_blocks_took_is_given_back():
    freed, released = run(_SMALL)
    assert freed > 45_000_000
    assert released < 10_000_000


def test_large_blocks_are_given_back_from_then_on():
    [kept] = run(_LARGE)
    assert kept > 15_000_000
    [kept] = run("release_heap()\n" + _LARGE)
    assert kept < 5_000_000
