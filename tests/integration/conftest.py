"""What integration tests share."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a disk of 512 KiB with the given options; called again, it remounts the same one."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(*options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(["size=512k", *options]), "tmpfs", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting a small disk isn't permitted here: {done.stderr.strip()}")
        return path

    yield mount
    if path.is_mount():
        # Lazily, since Annoy never closes a file that it failed to write.
        subprocess.run(["umount", "--lazy", str(path)], check=True)  # noqa: S607
