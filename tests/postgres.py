"""A PostgreSQL of the tests' own, on 127.0.0.1 with a password and on a socket."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.machine import free_port

PASSWORD = "s3cret/p@ss:word"  # noqa: S105


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str  # over TCP, as a superuser, with PASSWORD
    socket_url: str  # the same over a Unix socket
    directory: Path  # where nothing else writes


def binaries() -> Path | None:
    """The directory of PostgreSQL's programs, the newest there is; None when there is none."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve()] if on_path else Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in found), default=None, key=_version)


@contextmanager
def server(programs: Path) -> Iterator[Server]:
    """Start a server in a directory of its own, and stop and delete it at the end."""
    # Not below pytest's directories, whose paths are too long for a socket and closed to other users.
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        run_as = _as_user(directory)
        password_file, data = directory / "password", directory / "data"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o644)
        port = free_port()
        make = [programs / "initdb", "--no-sync", "--username=admin", "--auth=scram-sha-256"]
        make += [f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C", f"--pgdata={data}"]
        start = [programs / "pg_ctl", "start", "--wait", f"--pgdata={data}", f"--log={directory}/log"]
        start += ["--options", f"-k {directory} -h 127.0.0.1 -p {port} -c fsync=off"]
        for command in (make, start):
            subprocess.run(command, check=True, cwd=directory, stdout=subprocess.DEVNULL, **run_as)
        try:
            login = "admin:s3cret%2Fp%40ss%3Aword"
            yield Server(
                f"postgresql://{login}@127.0.0.1:{port}/postgres",
                f"postgresql://{login}@/postgres?host={directory}&port={port}",
                directory,
            )
        finally:
            stop = [programs / "pg_ctl", "stop", "--mode=immediate", "--wait", f"--pgdata={data}"]
            subprocess.run(stop, check=True, cwd=directory, stdout=subprocess.DEVNULL, **run_as)
    finally:
        shutil.rmtree(directory)


def _version(programs: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in programs.parent.name.split(".") if part.isdecimal())


def _as_user(directory: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root; what runs it as the owner of the directory, who isn't."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(directory, "nobody", "nogroup")
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}
