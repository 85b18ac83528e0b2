"""The machine that tests run on, and its processes."""

import contextlib
import os
import platform
import socket
from pathlib import Path


def machine_name() -> str:
    """Its kind, its cores, and the Python that ran."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def figures(path: Path) -> dict[str, int]:
    """The figures of a file of /proc that are told in kB, in bytes."""
    lines = (line.split() for line in path.read_text("ascii", "replace").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[2:] == ["kB"]}


def children_of(pid: int) -> set[int]:
    """Processes that one has started and not waited for, and theirs that outlived them."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.update(map(int, (task / "children").read_text().split()))
    return found


def free_port() -> int:
    """Find a port on 127.0.0.1 on which nobody listens now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
