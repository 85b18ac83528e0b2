"""What came of a campaign, for people and for machines."""

import dataclasses
import json
import os
import platform
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.load.campaign import Observations
from tests.load.judge import PhaseRow, Verdict
from tests.machine import machine_name


def print_tables(
    setting: str, rows: Sequence[PhaseRow], verdicts: Sequence[Verdict], seen: Observations
) -> None:
    """Tables of the calls and of the faults, then the promises; `setting` says who called whom."""
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(f"{machine_name()}; {setting}")
    table = Table(box=None, pad_edge=False, header_style="bold", title="calls", title_justify="left")
    columns = ("phase", "s", "plain", "failed", "our client's", "failed", "median ms", "p99 ms")
    for column in columns:
        table.add_column(column, justify="left" if column == "phase" else "right")
    for row in rows:
        began, ended = seen.phases[row.phase]
        table.add_row(
            row.phase, f"{ended - began:.1f}", f"{row.plain:,}", str(row.plain_failed),
            f"{row.careful:,}", str(row.careful_failed), f"{row.median:.2f}", f"{row.p99:.2f}",
        )  # fmt: skip
    console.print(table)
    table = Table(box=None, pad_edge=False, header_style="bold", title="faults", title_justify="left")
    table.add_column("what", no_wrap=True)
    table.add_column("what came of it")
    for what, came in seen.outcomes:
        table.add_row(what, came)
    console.print(table)
    for verdict in verdicts:
        word = {True: "kept", False: "BROKEN", None: "open"}[verdict.kept]
        console.print(f"[bold]{word:6}[/bold] {verdict.promise}\n       {verdict.measured}")


def print_json(rows: Sequence[PhaseRow], verdicts: Sequence[Verdict], seen: Observations) -> None:
    """The same as JSON."""
    print(
        json.dumps(
            {
                "machine": platform.machine(),
                "cores": os.cpu_count(),
                "phases": [dataclasses.asdict(row) for row in rows],
                "faults": dict(seen.outcomes),
                "promises": [dataclasses.asdict(verdict) for verdict in verdicts],
            },
            indent=2,
        )
    )
