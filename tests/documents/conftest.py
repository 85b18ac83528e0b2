"""Lets tests import what builds the site, and builds it once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# MkDocs does the same for its hooks.
sys.path.append(str(ROOT / "docs/generators"))


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the site, built as `make docs` builds it, without running notebooks."""
    folder = tmp_path_factory.mktemp("site")
    # Settings of the builder's own aren't in the reference.
    variables = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "TRAINER_VOLUME": "/not/in/the/reference"}
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(folder),
    ]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder
