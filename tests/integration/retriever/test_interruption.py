"""Ctrl-C while the program starts."""

import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.mark.parametrize("after", [0.05, 0.2, 0.35])
def test_ctrl_c_while_the_program_imports_prints_no_traceback(tmp_path, after):
    """The service at this address never answers, so the command can't end before the signal."""
    ready = tmp_path / "ready"
    # Before its `main`, a program can't catch the signal.
    code = (
        "import pathlib, sys\n"
        "from retriever.__main__ import main\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "sys.exit(main(['health', '--target', '192.0.2.1:1', '--timeout', '60']))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        while not ready.exists():
            time.sleep(0.005)
        time.sleep(after)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "interrupted\n")
