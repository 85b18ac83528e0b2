"""MovieLens 100K, published as the demo does it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def publish(volume: Path) -> Path:
    """Train as `make demo` does, and publish to a volume; returns the volume."""
    command = [sys.executable, "-m", "trainer", "train", "--dataset", "movielens-100k"]
    command += ["--model", "lightfm"]
    subprocess.run(
        [*command, "--backend", "auto", "--volume", str(volume)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return volume
