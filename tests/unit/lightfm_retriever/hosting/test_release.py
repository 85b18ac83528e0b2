from __future__ import annotations

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


def test_the_release_is_that_of_the_project():
    assert release.release() == VERSION


def test_a_checkout_that_is_not_installed_does_not_know(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert release.release() == release.UNKNOWN
    [sample] = build_info("retriever").samples
    assert sample.labels == {"version": "unknown"}


@pytest.mark.parametrize("service", ["retriever", "trainer"])
def test_the_release_is_a_series(service):
    [sample] = build_info(service).samples
    assert (sample.name, sample.labels, sample.value) == (
        f"{service}_build_info",
        {"version": VERSION},
        1,
    )


@pytest.mark.parametrize("program", ["retriever", "trainer"])
def test_every_way_to_start_a_program_says_its_release(program):
    script = Path(sys.executable).with_name(f"lightfm-{program}")
    for command in ([sys.executable, "-m", program], [str(script)]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == (f"lightfm-{program} {VERSION}\n", "")
