"""The fuzz targets for a short time, always with the same seed; `make fuzz` runs them for longer."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import KNOWN, TARGETS, known

ROOT = Path(__file__).parents[2]
# Of about as long each, so that two processes share the work.
SERVICES = ["retriever", "trainer"]
FILES = [target.name for target in TARGETS if target.name not in SERVICES]
SECONDS = 6


@pytest.mark.parametrize("names", [FILES, SERVICES], ids=["files", "services"])
def test_nothing_new_is_found(names):
    command = [sys.executable, "-m", "tests.fuzz", "--seed", "1", "--seconds", str(SECONDS)]
    ended = subprocess.run(
        [*command, "--targets", *names], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    executions = dict(re.findall(r"^(\S+) +([\d,]+) ", ended.stdout, re.MULTILINE))
    assert all(int(executions[name].replace(",", "")) >= 10 for name in names), ended.stdout


def test_a_finding_is_known_only_where_it_was_found():
    crash = "*.trie, verify: SIGSEGV in lightfm_retriever/publication/storage/id_map.py:row"
    assert known("publication", crash) in KNOWN
    assert known("retriever", crash) is None
    assert known("publication", crash.replace("*.trie", "seen_items.npy")) is None


def test_a_crash_a_hang_and_an_error_are_found(tmp_path):
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.fuzz import runner
runner._MOST_SECONDS = 0.2
def execute(random):
    what = random.randrange(4)
    if what == 0: os.kill(os.getpid(), signal.SIGSEGV)
    if what == 1: raise ValueError("wrong")
    while what == 2: pass
    return "fine"
sys.modules["itself"] = sys.modules["__main__"]
def start(directory): return execute
report = runner.run(runner.Target("t", "itself:start"), Path({str(tmp_path)!r}), seconds=2, seed=1)
print(*sorted(key.split(" ")[0] for key in report.findings), *report.outcomes, report.executions >= 10)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.strip() == "SIGSEGV ValueError hangs fine True"
