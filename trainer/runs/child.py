"""Runs one training run in its own process: python -m trainer.runs.child PARENT_PID.

The process reads its task from standard input, writes events to standard output, and logs to standard
error. A crash, an out-of-memory kill or a divergence ends only this process.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.observing import spans
from lightfm_retriever.hosting.observing.trace_settings import TraceSettings
from lightfm_retriever.hosting.process import die_with
from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.remote.location import parse_location
from lightfm_retriever.remote.volume import open_volume
from trainer.errors import TrainerError
from trainer.pipeline import Places, train_and_publish
from trainer.runs.child_events import EventWriter, Finished, RunFailed
from trainer.spec import TrainingSpec

_NICENESS = 5
# Time limit for sending the last spans.
_SEND_SECONDS = 1.0


class Task(msgspec.Struct, frozen=True):
    """A training run's spec, its places, and where its spans go.

    `volume` is a folder or a URL. The volume's other settings only apply to a URL.
    """

    spec: TrainingSpec
    volume: str
    data_dir: str
    event_log: str
    cache_dir: str = ""
    cache_bytes: int | None = None
    run_id: str = ""
    traces: TraceSettings = TraceSettings()
    asked_by: str = ""


def main(arguments: list[str]) -> int:
    """Run the task. Returns the exit status: 0 after a Finished or RunFailed event."""
    # Without the service, nothing stores the result of this process.
    die_with(int(arguments[0]))
    # The output of libraries goes to the log.
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        os.nice(_NICENESS)
        with contextlib.suppress(OSError):
            # When memory runs out, the kernel should kill this process, not the service.
            Path("/proc/self/oom_score_adj").write_text("1000")
        return _run(sys.stdin.buffer.read(), output)


def _run(task: bytes, output: IO[bytes]) -> int:
    events = EventWriter(output)
    try:
        asked = msgspec.json.decode(task, type=Task)
        with _traced(asked):
            volume = open_volume(
                parse_location(asked.volume), Path(asked.cache_dir), max_bytes=asked.cache_bytes
            )
            result = train_and_publish(
                asked.spec,
                Places(volume, Path(asked.data_dir), Path(asked.event_log)),
                run_id=asked.run_id or None,
                reporter=events,
            )
    except (TrainerError, PublicationError) as error:
        events.write(RunFailed(str(error)))
    except MemoryError:
        events.write(RunFailed("there isn't enough memory"))
    except Exception as error:
        traceback.print_exc()
        events.write(RunFailed(words.unexpected(error)))
    else:
        events.write(
            Finished(
                version=result.manifest.version,
                passed=result.passed,
                metrics=dict(result.manifest.metrics),
                gates=result.gates,
                warnings=result.warnings,
                seconds=dict(result.seconds),
                expected=[] if result.expected is None else [result.expected.version],
            )
        )
    return 0


@contextlib.contextmanager
def _traced(task: Task) -> Iterator[None]:
    """Record the run's spans if its call was traced, or if it had no call and traces are on."""
    endpoint = task.traces.endpoint
    if endpoint is None or not (task.asked_by or task.traces.share):
        yield
        return
    # Import it only now, because it takes time and memory.
    from lightfm_retriever.hosting.observing.otel import Tracing

    tracing = Tracing(endpoint, service="lightfm-trainer", role="training run")
    try:
        with tracing.run_span("training run", task.asked_by, {"training_run": task.run_id}):
            spans.record_with(tracing)
            yield
    finally:
        tracing.close(_SEND_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
