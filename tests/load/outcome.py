"""Runs a campaign as a command, and prints its results for people or as JSON."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from tests.benchmarks import frame
from tests.load.callers import Call
from tests.load.campaign import Observations
from tests.load.judge import Verdict, phase_rows
from tests.machine import machine_name

# The callers' calls, the campaign's observations, and the verdicts.
Came = tuple[Sequence[Call], Observations, Sequence[Verdict]]


def command(
    name: str, description: str | None, run: Callable[[Path, bool], Came], *, short: str, setting: str
) -> int:
    """Run a campaign in a temporary folder. Returns the exit status, 1 if a promise was broken.

    Args:
        name, description: the module's `__spec__.name` and docstring.
        run: the campaign.
        short: help of --short.
        setting: sentence about services and callers.
    """
    parser = frame.parser(name, description)
    parser.add_argument("--short", action="store_true", help=short)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        calls, seen, verdicts = run(Path(directory), options.short)
    rows = phase_rows(calls, seen)
    phases = [
        {
            "phase": row.phase,
            "s": f"{seen.phases[row.phase][1] - seen.phases[row.phase][0]:.1f}",
            "plain": f"{row.plain:,}",
            "plain failed": str(row.plain_failed),
            "our client's": f"{row.careful:,}",
            "failed": str(row.careful_failed),
            "median ms": f"{row.median:.2f}",
            "p99 ms": f"{row.p99:.2f}",
        }
        for row in rows
    ]
    faults = [{"what": what, "result": came} for what, came in seen.outcomes]
    words = {True: "kept", False: "BROKEN", None: "open"}
    frame.report(
        options,
        f"{machine_name()}; {setting}",
        frame.table("calls", phases),
        frame.table("faults", faults, left=2),
        *(
            Text.assemble((f"{words[one.kept]:6}", "bold"), f" {one.promise}\n       {one.measured}")
            for one in verdicts
        ),
        phases=[asdict(row) for row in rows],
        faults=dict(seen.outcomes),
        promises=[asdict(verdict) for verdict in verdicts],
    )
    return 0 if all(verdict.kept is not False for verdict in verdicts) else 1
