"""The processes of runs, with small programs in place of a training."""

import os
import sys

import msgspec
import pytest

from tests import specs
from tests.service import wait_for_the_end
from trainer.runs import process as run_process
from trainer.runs.child import Task
from trainer.runs.child_events import Progress, RunFailed
from trainer.runs.process import RunProcess

TASK = Task(specs.spec(), "/volume", "/data", "/events")
FIT = """print('{"type": "Progress", "stage": "fit"}', flush=True)\n"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    def start(program, task=TASK):
        script = tmp_path / "python"
        script.write_text(f"#!{sys.executable}\nimport os, pathlib, subprocess, sys, time\n{program}\n")
        script.chmod(0o755)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(run_process.sys, "executable", str(script))
        return RunProcess(task, tmp_path / "run.log")

    return start


def test_it_is_given_its_task_and_its_events_are_read(start, tmp_path):
    process = start(
        "pathlib.Path('task').write_bytes(sys.stdin.buffer.read())\n"
        "pathlib.Path('arguments').write_text(' '.join(sys.argv[1:]))\n"
        f"print('Epoch 1')\n{FIT}"
        """print('{"type": "RunFailed", "error": "no"}')\n"""
        """print('{"type": "Progress", "sta', end='')"""
    )
    assert [*process.events()] == [Progress("fit"), RunFailed("no")]
    assert process.wait() == "its process ended with exit status 0"
    assert msgspec.json.decode((tmp_path / "task").read_bytes(), type=Task) == TASK
    assert (tmp_path / "arguments").read_text() == f"-m trainer.runs.child {os.getpid()}"


@pytest.mark.parametrize(
    ("program", "how"),
    [
        ("raise SystemExit(3)", "ended with exit status 3"),
        ("os.kill(os.getpid(), 9)", "was killed (signal 9): perhaps there wasn't enough memory"),
        (
            "os.write(2, 'first\\né'.encode() + b'\\xff\\n'); os.abort()",
            "crashed (signal 6); the last line of its log: é\ufffd",
        ),
    ],
)
def test_how_it_ended_is_said_in_words_even_before_it_was_given_its_task(start, program, how):
    process = start(program, msgspec.structs.replace(TASK, spec=specs.spec(backend="x" * 1_000_000)))
    assert [*process.events()] == []
    assert process.wait() == f"its process {how}"


def test_it_is_killed_with_all_that_it_started(start, tmp_path):
    process = start(
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"pathlib.Path('child').write_text(f'{{child.pid}}')\n{FIT}time.sleep(600)"
    )
    events = process.events()
    assert next(events) == Progress("fit")
    child = int((tmp_path / "child").read_text())
    process.kill()
    assert [*events] == []
    assert "was killed (signal 9)" in process.wait()
    wait_for_the_end([child])
    # Its number may be another's by now.
    process.kill()
