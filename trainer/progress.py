"""Report the progress of long work: bars on a terminal, lines elsewhere."""
# ruff: noqa: ARG002 - subclasses of Reporter use the arguments

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Reporter(Protocol):
    """Receives the steps of long work; a subclass may override only some methods."""

    def stage(self, name: str) -> None:
        """Report the start of a stage of unknown length."""
        return

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Report metrics."""
        return

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Advance]:
        """Report a step of `total` parts; call the yielded function with the number of parts done."""
        yield lambda _: None


class Silent(Reporter):
    """Reports nothing."""


class Bars(Reporter):
    """Shows a progress bar for each step on standard error; without a terminal, one line each."""

    def __init__(self) -> None:
        # Imported here, since modules that only use the Reporter type don't need rich.
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
