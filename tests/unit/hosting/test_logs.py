from __future__ import annotations

import subprocess
import sys

CODE = """
import logging, os
from hosting.logs import LogSettings, configure
configure("worker 3", LogSettings())
configure("parent", LogSettings())
logging.getLogger("retriever.somewhere").info("two\\nlines %d", 7)
logging.getLogger("x").debug("not this")
print(os.getpid())
"""


def test_an_event_is_logged_once_with_time_level_role_and_pid():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    pid = done.stdout.strip()
    first, *rest = done.stderr.splitlines()
    time, level, said = first.split(" ", 2)
    assert time[10] == "T"
    assert (level, said) == ("INFO", f"parent [{pid}] two")
    assert rest == ["lines 7"]
