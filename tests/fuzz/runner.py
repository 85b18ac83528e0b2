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
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NoReturn, TypeAlias

Execute: TypeAlias = "Callable[[Random], str]"
"""Does one thing with something hostile; returns what came of it, and raises for a finding."""

_Tell: TypeAlias = Callable[[dict[str, Any]], None]

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
_FRAME = re.compile(r'File "([^"]+)", line \d+ in (\w+)')


@dataclass(frozen=True)
class Target:
    """Something to be fed with what is hostile.

    Attributes:
        name: of the target.
        start: "module:function", which opens what is needed in a directory and returns `Execute`.
        share: of the time, relative to the others.
        prepared: whether the module's `prepare` makes files there first, in a process of its own.
    """

    name: str
    start: str
    share: float = 1.0
    prepared: bool = False


@dataclass
class Report:
    """What came of a target's executions."""

    executions: int = 0
    outcomes: set[str] = field(default_factory=set)
    findings: dict[str, tuple[int, str]] = field(default_factory=dict)
    crashes: int = 0
    seconds: float = 0.0


# What a process that died leaves to the one that started it: a number and a note.
_board = mmap.mmap(-1, 256)


def _write(number: int, note: str = "") -> None:
    _board[:] = f"{number} {note}".encode()[:256].ljust(256, b"\0")


def _written() -> tuple[int, str]:
    number, _, note = _board[:].rstrip(b"\0").decode("utf-8", "replace").partition(" ")
    return int(number or 0), note


def note(text: str) -> None:
    """Say what is tried now, in case it is the last thing."""
    _write(_written()[0], text)


def chance(target: str, seed: int, number: int) -> Random:
    """The generator of one execution."""
    return Random(f"{seed} {target} {number}")


def run(target: Target, folder: Path, *, seconds: float, seed: int) -> Report:
    report = Report()
    begun = time.monotonic()
    end = begun + seconds
    directory = folder / target.name
    directory.mkdir(parents=True)
    if target.prepared:
        _in_process(lambda _: _load(target, "prepare")(directory), report, directory)
        if report.findings:
            return report
    first = 0
    while time.monotonic() < end or first < _LEAST_EXECUTIONS:
        _write(first)
        _in_process(
            lambda tell: _execute(target, directory, seed, first, end, tell),  # noqa: B023
            report,
            directory,
        )
        first = report.executions = _written()[0] + 1
    report.seconds = time.monotonic() - begun
    shutil.rmtree(directory, ignore_errors=True)
    return report


def repeat(target: Target, folder: Path, *, seed: int, number: int) -> None:
    """One execution, here, with all that it says."""
    directory = folder / target.name
    directory.mkdir(parents=True)
    if target.prepared:
        _load(target, "prepare")(directory)
    execute = _load(target)(directory)
    print(execute(chance(target.name, seed, number)), "/", _written()[1])


def _execute(target: Target, directory: Path, seed: int, first: int, end: float, tell: _Tell) -> None:
    execute = _load(target)(directory)
    seen: set[str] = set()
    for number in range(first, first + _IN_A_ROW):
        _write(number)
        _allow(_MOST_SECONDS, _HANG_SECONDS)
        try:
            outcome = execute(chance(target.name, seed, number))
        except Exception as error:
            frames = reversed(traceback.extract_tb(error.__traceback__))
            place = _place((own.filename, own.name) for own in frames)
            key = f"{_written()[1]}: {type(error).__name__} in {place}".removeprefix(": ")
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


def _load(target: Target, function: str = "") -> Any:
    module, _, start = target.start.partition(":")
    return getattr(importlib.import_module(module), function or start)


def _place(frames: Iterable[tuple[str, str]]) -> str:
    """The first of the files and functions that is ours."""
    for filename, function in frames:
        path = Path(filename)
        if path.is_relative_to(_ROOT) and not path.is_relative_to(_ROOT / ".venv"):
            return f"{path.relative_to(_ROOT)}:{function}"
    return "?"


def _in_process(function: Callable[[_Tell], None], report: Report, directory: Path) -> None:
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
        number, note = _written()
        place = _place(_FRAME.findall(text.rpartition("Current thread")[2]))
        key = f"{note}: {how} in {place}".removeprefix(": ")
        report.findings.setdefault(key, (number, text))


def _be_the_process(function: Callable[[_Tell], None], told: int, errors: Path) -> NoReturn:
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
