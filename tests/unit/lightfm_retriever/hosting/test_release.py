import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lightfm_retriever.hosting import release
from lightfm_retriever.hosting.observing.metric_families import build_info

ROOT = Path(__file__).parents[4]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(autouse=True)
def _asked_anew():
    release.release.cache_clear()
    yield
    release.release.cache_clear()


@pytest.mark.parametrize("installed", [True, False])
def test_the_release_is_that_of_the_project_and_a_series(monkeypatch, installed):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    if not installed:
        monkeypatch.setattr(importlib.metadata, "version", missing)
    version = VERSION if installed else "unknown"
    assert release.release() == version
    [sample] = build_info("retriever").samples
    expected = ("retriever_build_info", {"version": version}, 1)
    assert (sample.name, sample.labels, sample.value) == expected


def test_every_way_to_start_a_program_says_its_release():
    started = {}
    for program in ("retriever", "trainer"):
        script = Path(sys.executable).with_name(f"lightfm-{program}")
        for command in ([sys.executable, "-m", program], [script]):
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            started[subprocess.Popen([*command, "--version"], **pipes)] = program
    for process, program in started.items():
        assert process.communicate() == (f"lightfm-{program} {VERSION}\n", "")
        assert process.returncode == 0
