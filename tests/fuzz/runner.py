"""Runs targets in processes of their own, which may crash or hang, and notes what came of it.

Each execution's chance depends on the seed, the target and its number alone, so it can be repeated.
"""

import contextlib
import faulthandler
import importlib
import json
import mmap
import os
import re
import resource
import shutil
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NoReturn, TypeAlias

Execute: TypeAlias = "Callable[[Random], str]"
"""Does one thing with something hostile; returns what came of it, and raises for a finding."""

_ROOT = Path(__file__).parents[2]
# Of one execution: of CPU time, so that other work on the machine doesn't count, and in all.
_MOST_SECONDS = 5
_HANG_SECONDS = 60
# What a hostile file makes a native library ask for shouldn't hurt the machine.
_MEMORY_BYTES = 8 << 30
# What executions leave behind in one process is bounded by beginning anew.
_IN_A_ROW = 500
# However short the time is.
_LEAST_EXECUTIONS = 10
_NUMBER = struct.Struct("<Q")
_FRAME = re.compile(r'File "([^"]+)", line \d+ in (\w+)')


@dataclass(frozen=True)
class Target:
    """Something to be fed with what is hostile.

    Attributes:
        name: of the target.
        start: "module:function", which opens what is needed in a directory and returns `Execute`.
        share: of the time, relative to the others.
        prepare: "module:function", which makes files in the directory, once, in a process of its own.
    """

    name: str
    start: str
    share: float = 1.0
    prepare: str | None = None


@dataclass
class Report:
    """What came of a target's executions."""

    executions: int = 0
    outcomes: set[str] = field(default_factory=set)
    findings: dict[str, tuple[int, str]] = field(default_factory=dict)
    crashes: int = 0
    seconds: float = 0.0


class _Board:
    """Memory that a process which died leaves to the one that started it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 4096)

    @property
    def number(self) -> int:
        (number,) = _NUMBER.unpack_from(self._memory)
        return int(number)

    @property
    def note(self) -> str:
        return self._memory[_NUMBER.size :].rstrip(b"\0").decode("utf-8", "replace")

    def write(self, number: int, note: str = "") -> None:
        self._memory[:] = (_NUMBER.pack(number) + note.encode()[:200]).ljust(4096, b"\0")


_board = _Board()


def note(text: str) -> None:
    """Say what is tried now, in case it is the last thing."""
    _board.write(_board.number, text)


def chance(target: str, seed: int, number: int) -> Random:
    """The generator of one execution."""
    return Random(f"{seed} {target} {number}")


def run(target: Target, folder: Path, *, seconds: float, seed: int) -> Report:
    report = Report()
    begun = time.monotonic()
    end = begun + seconds
    directory = folder / target.name
    directory.mkdir(parents=True)
    if target.prepare is not None:
        prepare = target.prepare
        _in_process(lambda _: _load(prepare)(directory), report, directory)
        if report.findings:
            return report
    first = 0
    while time.monotonic() < end or first < _LEAST_EXECUTIONS:
        _board.write(first)
        _in_process(
            lambda tell: _execute(target, directory, seed, first, end, tell),  # noqa: B023
            report,
            directory,
        )
        first = _board.number + 1
        report.executions = first
    report.seconds = time.monotonic() - begun
    shutil.rmtree(directory, ignore_errors=True)
    return report


def repeat(target: Target, folder: Path, *, seed: int, number: int) -> None:
    """One execution, here, with all that it says."""
    directory = folder / target.name
    directory.mkdir(parents=True)
    if target.prepare is not None:
        _load(target.prepare)(directory)
    execute = _load(target.start)(directory)
    print(execute(chance(target.name, seed, number)), "/", _board.note)


def _execute(
    target: Target,
    directory: Path,
    seed: int,
    first: int,
    end: float,
    tell: Callable[[dict[str, Any]], None],
) -> None:
    execute: Execute = _load(target.start)(directory)
    seen: set[str] = set()
    for number in range(first, first + _IN_A_ROW):
        _board.write(number)
        _allow(_MOST_SECONDS, _HANG_SECONDS)
        try:
            outcome = execute(chance(target.name, seed, number))
        except Exception as error:
            key = f"{_board.note}: {type(error).__name__} in {_place(error)}".removeprefix(": ")
            tell({"finding": key, "number": number, "text": traceback.format_exc()})
            continue
        if outcome not in seen:
            seen.add(outcome)
            tell({"outcome": outcome})
        if time.monotonic() >= end and number + 1 >= _LEAST_EXECUTIONS:
            break
    _allow(0, 0)


def _allow(cpu_seconds: float, seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _load(place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(module), function)


def _place(error: Exception) -> str:
    frames = [own for own in traceback.extract_tb(error.__traceback__) if _is_ours(own.filename)]
    if not frames:
        return "?"
    return f"{Path(frames[-1].filename).relative_to(_ROOT)}:{frames[-1].name}"


def _is_ours(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(_ROOT) and not path.is_relative_to(_ROOT / ".venv")


def _in_process(
    function: Callable[[Callable[[dict[str, Any]], None]], None], report: Report, directory: Path
) -> None:
    errors = directory / "stderr"
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ours)
        _be_the_process(function, theirs, errors)
    os.close(theirs)
    with os.fdopen(ours, "rb") as told:
        for line in told:
            what = json.loads(line)
            if outcome := what.get("outcome"):
                report.outcomes.add(outcome)
            else:
                report.findings.setdefault(what["finding"], (what["number"], what["text"]))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        report.crashes += status < 0
        text = errors.read_text("utf-8", "replace")[-4000:]
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        how = {"SIGPROF": "hangs", "SIGALRM": "waits"}.get(how, how)
        key = f"{_board.note}: {how} in {_crashed_in(text)}".removeprefix(": ")
        report.findings.setdefault(key, (_board.number, text))


def _crashed_in(text: str) -> str:
    current = text.rpartition("Current thread")[2]
    for filename, function in _FRAME.findall(current):
        if _is_ours(filename):
            return f"{Path(filename).relative_to(_ROOT)}:{function}"
    return "?"


def _be_the_process(
    function: Callable[[Callable[[dict[str, Any]], None]], None], told: int, errors: Path
) -> NoReturn:
    status = 1
    try:
        with errors.open("wb") as file:
            os.dup2(file.fileno(), 2)
        faulthandler.enable(sys.__stderr__, all_threads=False)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))

        def tell(what: dict[str, Any]) -> None:
            os.write(told, json.dumps(what).encode() + b"\n")

        function(tell)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        # No clean-up of the process that this one was forked from.
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)


def share_out(targets: list[Target], seconds: float) -> Iterator[tuple[Target, float]]:
    total = sum(target.share for target in targets)
    for target in targets:
        yield target, seconds * target.share / total
