"""What can wait makes way for calls."""

from __future__ import annotations

import contextlib
import os
import threading

_LEAST = 19


def make_way() -> None:
    """Let this thread, and those that it starts, have only the CPU time that no call wants.

    On Linux each thread has a priority of its own. Not for threads that hold the GIL of a process that
    answers calls: one that has to wait for the CPU would keep it.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST)
