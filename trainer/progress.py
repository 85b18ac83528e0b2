"""Progress of long work: bars on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Reporter(Protocol):
    """Told about the steps of long work."""

    def stage(self, name: str) -> None:
        """A stage begins, whose length isn't known."""
        ...

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Metrics became known."""
        ...

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Advance]:
        """A step of `total` parts; the function it yields is called with the parts done since."""
        ...


class Silent:
    """Reports nothing."""

    def stage(self, name: str) -> None:
        """See Reporter."""

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """See Reporter."""

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Advance]:  # noqa: ARG002 - the protocol's
        """See Reporter."""
        yield lambda _: None


class Bars:
    """One progress bar for each step, on standard error; where that is no terminal, a line each."""

    def __init__(self) -> None:
        # Here, since who only asks what a reporter is need not have it installed.
        from rich.console import Console

        self._console = Console(file=sys.stderr)

    def stage(self, name: str) -> None:
        """See Reporter: too short for a bar."""

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """See Reporter: they are printed with the result."""

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
