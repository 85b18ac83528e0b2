"""Progress of long work: bars on a terminal, nothing elsewhere."""
# ruff: noqa: ARG002 - who derives from a Reporter uses them

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Reporter(Protocol):
    """Told about the steps of long work; who derives from it may leave some out."""

    def stage(self, name: str) -> None:
        """A stage begins, whose length isn't known."""
        return

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Metrics became known."""
        return

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Advance]:
        """A step of `total` parts; the function it yields is called with the parts done since."""
        yield lambda _: None


class Silent(Reporter):
    """Reports nothing."""


class Bars(Reporter):
    """One progress bar for each step, on standard error; where that is no terminal, a line each."""

    def __init__(self) -> None:
        # Here, since who only asks what a reporter is need not have it installed.
        from rich.console import Console

        self._console = Console(file=sys.stderr)

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Advance]:
        """See Reporter."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(name, total=total)
            yield lambda parts: progress.advance(task, parts)
