"""Shared code of all benchmark commands: flags, rounds, one-line errors, and reports."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn, TypeVar

from rich.console import Console, RenderableType
from rich.table import Table

from lightfm_retriever.hosting import terminal
from lightfm_retriever.publication.errors import PublicationError
from tests.machine import machine_name
from trainer.errors import TrainerError
from trainer.progress import Advance, Bars, Reporter, Silent

_WIDTH = 160

_Way = TypeVar("_Way")
_Found = TypeVar("_Found")


class BenchmarkError(Exception):
    """A benchmark can't run on this machine, or with these flags."""


_FAILURES = (BenchmarkError, TrainerError, PublicationError, RuntimeError, OSError, ValueError)


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Create the parser of a module from its `__spec__.name` and docstring, with the shared flags."""
    made = argparse.ArgumentParser(
        prog=f"python -m {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--json", action="store_true", help="print the result as JSON")
    return made


def positive(text: str) -> int:
    """Parse a flag's value as a whole number above 0."""
    number = int(text) if text.isdecimal() else 0
    if not number:
        raise argparse.ArgumentTypeError(f"{text!r} should be a whole number above 0")
    return number


def above_0(text: str) -> float:
    """Parse a flag's value as a number above 0."""
    if (number := float(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} should be above 0")
    return number


def run(main: Callable[[], object]) -> NoReturn:
    """Run a command. If it fails, print one line and exit with status 1."""

    def command() -> int:
        try:
            main()
        except subprocess.CalledProcessError as error:
            problem = f"the callers failed with exit status {error.returncode}; see their message above"
        except _FAILURES as error:
            problem = str(error)
        except Exception as error:
            # Benchmarks that call have loaded gRPC. In the others, its memory would count.
            grpc = sys.modules.get("grpc")
            if grpc is None or not isinstance(error, grpc.RpcError):
                raise
            problem = f"a call failed: {error.code().name}: {error.details()}"
        else:
            return 0
        print(f"error: {problem}", file=sys.stderr)
        return 1

    sys.exit(terminal.run(command))


def last_line(said: str) -> str:
    """Return the last line of a program's output, which usually has the reason of a failure."""
    return (said.strip().splitlines() or ["it printed no reason"])[-1]


def reporter(options: argparse.Namespace) -> Reporter:
    """Return a reporter of progress; with --json, one that prints nothing."""
    return Silent() if options.json else Bars()


def alternating(
    rounds: int,
    ways: Sequence[_Way],
    measure: Callable[[Sequence[_Way], int], Iterable[_Found]],
    advance: Advance = lambda _: None,
) -> list[list[_Found]]:
    """Measure several ways in each round. The order changes from round to round.

    Args:
        rounds: number of rounds, at least 1.
        ways: the ways to compare.
        measure: called with the ways in their order, and the number of the round.
        advance: called after each round.

    Returns:
        For each way, its measurements in all rounds.
    """
    results = []
    for number in range(rounds):
        order = -1 if number % 2 else 1
        results.append([*measure(ways[::order], number)][::order])
        advance(1)
    return [[*of_way] for of_way in zip(*results, strict=True)]


def table(title: str, rows: Iterable[Mapping[str, str]], *, left: int = 1) -> Table:
    """Create a table of at least one row. The columns after the first `left` hold numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for row in rows:
        if not made.columns:
            for number, column in enumerate(row):
                made.add_column(column, justify="left" if number < left else "right")
        made.add_row(*row.values())
    return made


def report(options: argparse.Namespace, *parts: RenderableType, **content: object) -> None:
    """Print tables and lines; with --json, print `content` and the machine instead."""
    if options.json:
        print(json.dumps({"machine": machine_name(), **content}, indent=2))
        return
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)
