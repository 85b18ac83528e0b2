"""Runs every benchmark in its shortest form, and checks its report."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import benchmarks

LARGE = "--items 300 --users 200 --backend exact --folder FOLDER"
BRIEF = "--items 300 --rounds 1 --seconds 0.1"
# For each benchmark, flags that make it short, and the part of its report with figures.
FLAGS = {
    "engines": ("--trials 1", "rows"),
    "evaluating": ("--interactions 20000", "summary"),
    "filters": ("--items 2000 --queries 3", "results"),
    "footprint": (f"--workers 1 2 --calls 20 {LARGE}", "sizes"),
    "freshness": ("--epochs 1 --seeds 1", "summary"),
    "indexes": ("--n 300 --vectors heavy-tailed --backends exact,annoy", "indexes"),
    "item_item": ("--items 300 --users 20 --keep 20 --factors 4 --rounds 1 --seconds 0.3", "costs"),
    "large": (LARGE, "version"),
    "observed": (BRIEF, "variants"),
    "publishing": ("--items 300 --components 8 --trees 2 --folder FOLDER", "results"),
    "recall": ("--items 300 --users 100 --queries 5 --backends exact", "versions"),
    "remote": (LARGE, "loopback"),
    "revisions": (f"--base HEAD {BRIEF}", "comparisons"),
    "serving": (
        f"{LARGE} --rounds 1 --seconds 0.1 --queries 5 --workers 2 --kinds recommend batch",
        "sizes",
    ),
    "startup": (f"{LARGE} --workers 1 --rounds 1 --rate 50", "sizes"),
    "synthetic": ("interactions --users 200 --items 200 --interactions 5000 --output FOLDER", "spec"),
    "training": ("--interactions 3000 --components 4 --epochs 2 --rounds 1", "trainer"),
}
COMMANDS = [
    path.stem
    for path in sorted(Path(benchmarks.__path__[0]).glob("*.py"))
    if "frame.run(main)" in path.read_text() and path.stem != "test_smoke"
]


@pytest.mark.timeout(620)
@pytest.mark.parametrize("name", COMMANDS)
def test_it_reports_what_it_measured(name, tmp_path):
    if name == "engines" and importlib.util.find_spec("pyspark") is None:
        pytest.skip("needs PySpark: make spark")
    flags, figures = FLAGS[name]
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", *flags.split(), "--json"]
    ended = subprocess.run(
        [str(tmp_path / "made") if part == "FOLDER" else part for part in command],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "NO_COLOR": "1"},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)[figures]
