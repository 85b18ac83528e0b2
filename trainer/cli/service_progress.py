"""The progress of a run elsewhere, shown as one's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from recsys.trainer.v1 import trainer_service_pb2 as pb

from trainer.progress import Advance, Reporter


def follow(states: Iterator[pb.TrainingRun], reporter: Reporter) -> pb.TrainingRun:
    """Report a run's steps as they come; returns its last state."""
    last = pb.TrainingRun()
    with ExitStack() as step:
        stage, done, total = "", 0, 0
        advance: Advance | None = None
        for last in states:
            if last.stage != stage:
                if advance is not None and total > done:
                    # What a short stage did last isn't always seen.
                    advance(total - done)
                step.close()
                stage, done, advance = last.stage, 0, None
            if last.total and advance is None:
                total = last.total
                advance = step.enter_context(reporter.step(stage, last.total))
            if advance is not None and last.done > done:
                advance(last.done - done)
                done = last.done
    return last
