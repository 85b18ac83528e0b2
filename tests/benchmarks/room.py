"""Memory and disk: what there is, what is needed, and what a process has taken."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.machine import figures
from trainer.errors import TrainerError


class NoRoomError(TrainerError):
    """What is to be made or measured doesn't fit."""


@dataclass(frozen=True)
class Room:
    """Bytes of memory and of disk: what is needed, or what there is."""

    memory: float
    disk: float

    def then(self, later: Room) -> Room:
        """What both take, one after the other: what is on the disk stays there."""
        return Room(max(self.memory, later.memory), self.disk + later.disk)

    def check(self, what: str, folder: Path) -> None:
        """Raise NoRoomError, which names what is needed and what there is, when that is less."""
        have = room_in(folder)
        for kind in ("memory", "disk"):
            needed, there = getattr(self, kind), getattr(have, kind)
            if needed > there:
                raise NoRoomError(
                    f"{what} needs about {needed / 1e9:.1f} GB of {kind}, but {there / 1e9:.1f} GB are "
                    "free: ask for less of it"
                )


def room_in(folder: Path) -> Room:
    """What there is: memory left to the system or control group, and disk where a folder will be."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return Room(_memory_left(), shutil.disk_usage(there).free)


def of_process(process: int | str = "self", file: str = "status") -> dict[str, int]:
    """Read the figures of a file of /proc/PID, in bytes; hardly any for a process that has ended.

    VmHWM of `status` is the most memory that it has had resident. getrusage tells another: for a
    program that was started that of the one that started it.
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
        # The page cache makes room when there is need.
        used -= int(statistics.get("inactive_file", 0))
        return left if most == "max" else min(left, int(most) - used)
    except OSError:
        return left
