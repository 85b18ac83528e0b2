"""Reads free memory and disk, compares them with the need, and reads the memory of processes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.machine import figures
from trainer.errors import TrainerError


class NoRoomError(TrainerError):
    """Memory or disk is too small."""


@dataclass(frozen=True)
class Room:
    """Bytes of memory and of disk, needed or free."""

    memory: float
    disk: float

    def then(self, later: Room) -> Room:
        """Return the need of both, one after the other. Files stay on the disk, so they add up."""
        return Room(max(self.memory, later.memory), self.disk + later.disk)

    def check(self, what: str, folder: Path) -> None:
        """Raise NoRoomError if less memory or disk is free than needed."""
        have = room_in(folder)
        for kind in ("memory", "disk"):
            needed, there = getattr(self, kind), getattr(have, kind)
            if needed > there:
                raise NoRoomError(
                    f"{what} needs about {needed / 1e9:.1f} GB of {kind}, but {there / 1e9:.1f} GB are "
                    "free: choose a smaller size"
                )


def room_in(folder: Path) -> Room:
    """Return the free memory of the system or control group, and the free disk of a folder."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return Room(_memory_left(), shutil.disk_usage(there).free)


def of_process(process: int | str = "self", file: str = "status") -> dict[str, int]:
    """Read the figures of a file of /proc/PID, in bytes; few or none for a process that has ended.

    VmHWM of `status` is the peak of resident memory. getrusage is no replacement: a new process begins
    with the peak of its parent.
    """
    return figures(Path(f"/proc/{process}/{file}"))


def _memory_left() -> float:
    left = figures(Path("/proc/meminfo"))["MemAvailable"]
    try:
        group = Path("/sys/fs/cgroup")
        most = (group / "memory.max").read_text("ascii").strip()
        used = int((group / "memory.current").read_text("ascii"))
        statistics = dict(
            line.split() for line in (group / "memory.stat").read_text("ascii").splitlines()
        )
        # The kernel frees the page cache when memory is short.
        used -= int(statistics.get("inactive_file", 0))
        return left if most == "max" else min(left, int(most) - used)
    except OSError:
        return left
