"""Follows the run of a command, and sends its end to MLflow, whether it succeeds or fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trainer.promotion.checks import Checked
from trainer.tracking.export import csv_of
from trainer.tracking.options import TrackingOptions
from trainer.tracking.sending import Delivery, send
from trainer.tracking.tracked_run import EndedRun, TrackedRun, describe, describe_study

Send = Callable[[TrackedRun, TrackingOptions], Delivery]
Tell = Callable[[Sequence[str]], object]


class Following:
    """The run of one command, from the beginning of a block to its end.

    Without a server it does nothing. Nothing that happens to the server fails the command.

    Args:
        options: the server.
        command: name of the command.
        spec: dataclass of the run's options.
        tell: prints notes and warnings.
        clock: returns seconds since the epoch.
    """

    def __init__(
        self,
        options: TrackingOptions,
        command: str,
        spec: Any,
        *,
        tell: Tell,
        send: Send = send,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._tell = tell
        self._send = send
        self._clock = clock
        self._sent = False
        now = clock()
        self._run = EndedRun(
            command=command, status="FINISHED", started_at=now, ended_at=now, spec=spec
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        # An interruption of the sending is no failure of the run.
        if error is None or self._options.uri is None or self._sent:
            return
        killed = not isinstance(error, Exception)
        text = "interrupted" if killed else str(error) or type(error).__name__
        run = replace(
            self._run, status="KILLED" if killed else "FAILED", error=text, ended_at=self._clock()
        )
        self._deliver(describe(run))

    def published(self, result: Checked, *, label: str | None, volume: str) -> None:
        """Send a run that has published a version."""
        run = replace(
            self._run,
            ended_at=self._clock(),
            run_id=result.manifest.run.id,
            manifest=result.manifest,
            gates=result.gates,
            warnings=result.warnings,
            seconds=result.seconds,
            label=label,
            label_moved=result.label is not None,
            volume=volume,
        )
        if self._options.uri is not None:
            self._deliver(describe(run))

    def searched(self, content: Mapping[str, Any], files: Sequence[Path]) -> None:
        """Send a search: its result as JSON has it, and its files."""
        if self._options.uri is None:
            return
        run = replace(
            self._run, ended_at=self._clock(), warnings=[*map(str, content.get("warnings", []))]
        )
        self._deliver(describe_study(run, content, csv_of(content.get("trials", [])), files))

    def _deliver(self, run: TrackedRun) -> None:
        self._sent = True
        delivery = self._send(run, self._options)
        self._tell([delivery.told(f"run {run.name}", self._options.address)])
