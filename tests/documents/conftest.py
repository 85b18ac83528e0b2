"""The demo's volume, published once for all workers of pytest-xdist."""

import fcntl
from pathlib import Path

import pytest

from tests.documents.demo_volume import publish


@pytest.fixture(scope="session")
def demo_volume(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Publish the volume of `make demo`."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    volume = shared / "demo-volume"
    with (shared / "demo-volume.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return volume if volume.exists() else publish(volume)
