"""Processes that don't outlive the one that started them, and leave signals to it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator

from retriever import control

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however stuck this one is then."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It died before it was asked for.
        os._exit(1)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Start a process within this: what a terminal sends to the whole group doesn't end it.

    It begins with the parent's signals held back, and may let them come when it ignores them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, control.PARENTS_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
