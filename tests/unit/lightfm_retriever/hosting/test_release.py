import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lightfm_retriever.hosting.observing.metric_families import build_info

ROOT = Path(__file__).parents[4]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize("program", ["retriever", "trainer"])
def test_the_release_is_that_of_the_project_and_a_series(program):
    [sample] = build_info(program).samples
    expected = (f"{program}_build_info", {"version": VERSION}, 1)
    assert (sample.name, sample.labels, sample.value) == expected
    script = Path(sys.executable).with_name(f"lightfm-{program}")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"lightfm-{program} {VERSION}\n", "")
