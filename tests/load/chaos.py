"""Call a service all the time, while it reloads versions, gets broken input and loses processes.

`make chaos` runs it for about two minutes, and `make smoke` runs a shorter form. It prints each fault
and its result. The exit status is 1 if a promise was broken.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lightfm_retriever.hosting import terminal
from tests.load import outcome, resets
from tests.load.callers import Callers, Plan
from tests.load.campaign import FLAGS, FULL, SHORT, WORKERS, Campaign
from tests.load.judge import judge
from tests.service import Service

# The timeout is longer than the parent needs to notice a worker that hangs.
PLAN = Plan(plain=8, careful=4, calls_per_second=15, timeout_seconds=10)
_DISK_BYTES = 64 << 20


def run(directory: Path, short: bool) -> outcome.Came:
    """Start a service with a small disk, and callers. Run the campaign, stop, and give the verdicts."""
    scale = SHORT if short else FULL
    log = directory / "retriever.log"
    with small_disk(directory) as disk:
        volume = disk / "volume"
        volume.mkdir()
        with Service(volume, log, **FLAGS) as service:
            campaign = Campaign(service, volume, scale)
            campaign.begin()
            try:
                with Callers(service.target, PLAN, directory / "calls") as callers:
                    campaign.run()
                    pids = service.worker_pids()
                    exit_status = service.terminate()
                    left = sum(Path(f"/proc/{pid}").exists() for pid in pids)
                    calls = callers.stop()
            except BaseException:
                print(log.read_text()[-4000:], file=sys.stderr)
                raise
        if scale.attack_seconds:
            # This part starts its own service, with tokens.
            campaign.seen.outcomes += resets.outcomes(volume, directory, scale.attack_seconds)
    return calls, campaign.seen, judge(calls, campaign.seen, exit_status, left)


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """Mount a disk of 64 MiB, which the campaign can fill; without the right to mount, use a folder."""
    disk = directory / "disk"
    disk.mkdir()
    size = f"size={_DISK_BYTES}"
    mount = ["mount", "-t", "tmpfs", "-o", size, "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        yield disk
        return
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)  # noqa: S607


def main() -> int:
    """Run the campaign. Returns the exit status."""
    return outcome.command(
        __spec__.name,
        __doc__,
        run,
        short="run a tenth of it, in about 20 seconds",
        setting=f"{WORKERS} workers; {PLAN}",
    )


if __name__ == "__main__":
    sys.exit(terminal.run(main))
