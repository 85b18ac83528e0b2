"""A service is called all the time while it is reloaded, misled, starved and killed.

`make chaos` runs it for about two minutes, `make test` a shorter form. It prints what was done and what
came of it, and exits with 1 unless every promise was kept.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lightfm_retriever.hosting import terminal
from tests.load import campaign as campaigns
from tests.load import outcome, resets
from tests.load.callers import Callers, Plan
from tests.load.campaign import Campaign, Observations
from tests.load.judge import PhaseRow, Verdict, judge, phase_rows
from tests.service import Service

PLAIN = 8
CAREFUL = 4
CALLS_PER_SECOND = 15.0
# Longer than a worker that hangs may go unnoticed.
TIMEOUT_SECONDS = 10.0
_DISK_BYTES = 64 << 20


def main() -> int:
    """Run the campaign; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.load.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="a tenth of it, in about 20 seconds")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    scale = campaigns.SHORT if options.short else campaigns.FULL
    with tempfile.TemporaryDirectory() as temporary, small_disk(Path(temporary)) as disk:
        rows, verdicts, seen = run(disk, Path(temporary), scale)
    if options.json:
        outcome.print_json(rows, verdicts, seen)
    else:
        outcome.print_tables(
            f"{campaigns.WORKERS} workers; {PLAIN} plain and {CAREFUL} careful callers with "
            f"{CALLS_PER_SECOND:.0f} calls a second each",
            rows,
            verdicts,
            seen,
        )
    return 0 if all(verdict.kept is not False for verdict in verdicts) else 1


def run(
    disk: Path, logs: Path, scale: campaigns.Scale
) -> tuple[list[PhaseRow], list[Verdict], Observations]:
    """Start a service on a volume on `disk` and callers, do everything, stop, and judge."""
    volume = disk / "volume"
    volume.mkdir()
    log = logs / "retriever.log"
    with Service(volume, log, **campaigns.FLAGS) as service:
        campaign = Campaign(service, volume, scale, lambda text: print(text, file=sys.stderr))
        campaign.begin()
        callers = Callers(
            Plan(service.target, PLAIN, CAREFUL, CALLS_PER_SECOND, TIMEOUT_SECONDS), logs / "calls"
        )
        try:
            campaign.run()
            pids = [worker.pid for worker in service.status().workers]
            exit_status = service.terminate()
            left = sum(Path(f"/proc/{pid}").exists() for pid in pids)
            calls = callers.stop()
        except BaseException:
            callers.kill()
            print(log.read_text()[-4000:], file=sys.stderr)
            raise
    if scale.attack_seconds:
        # With a service of its own, which wants tokens.
        campaign.seen.outcomes += resets.outcomes(volume, logs, scale.attack_seconds)
    rows = phase_rows(calls, campaign.seen)
    return rows, judge(calls, campaign.seen, exit_status, left), campaign.seen


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """A disk of 64 MiB where the user may mount one, so that it can be filled; else a folder."""
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


if __name__ == "__main__":
    sys.exit(terminal.run(main))
