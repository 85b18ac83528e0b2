"""The command of every benchmark: flags, errors of one line, a report for people or programs."""

import argparse
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table

from lightfm_retriever.publication.errors import PublicationError
from tests.machine import machine_name
from trainer.errors import TrainerError

_WIDTH = 160


class BenchmarkError(Exception):
    """A benchmark can't be run here, or was asked for what there isn't."""


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Start the command of a benchmark, with the flag that all have.

    Args:
        name: the module's `__spec__.name`, which its `python -m` takes.
        description: the module's docstring.
    """
    made = argparse.ArgumentParser(
        prog=f"python -m {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--json", action="store_true", help="print the result as JSON")
    return made


@contextlib.contextmanager
def handled() -> Iterator[list[str]]:
    """Print a failure as one line; the list that it yields isn't empty afterwards."""
    failures: list[str] = []
    try:
        yield failures
    except subprocess.CalledProcessError as error:
        failures.append(f"the callers failed, as they said above (exit status {error.returncode})")
    except (BenchmarkError, TrainerError, PublicationError, RuntimeError, OSError, ValueError) as error:
        failures.append(str(error))
    except Exception as error:
        # Those that call have it. Of the others it would count as the memory that they measure.
        grpc = sys.modules.get("grpc")
        if grpc is None or not isinstance(error, grpc.RpcError):
            raise
        failures.append(f"a call failed: {error.code().name}: {error.details()}")
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)


def check_positive(**values: float) -> None:
    """Raise BenchmarkError for a flag's value that isn't above 0."""
    for name, value in values.items():
        if value <= 0:
            raise BenchmarkError(f"--{name.replace('_', '-')} is {value}, but should be above 0")


def table(title: str, *columns: str, left: int = 1) -> Table:
    """An empty table; the columns after the first `left` hold numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number < left else "right")
    return made


def show(*parts: RenderableType) -> None:
    """Print tables and lines; a pipe gets wide ones."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)


def print_json(**content: object) -> None:
    """Print a result for programs, with the machine that it was measured on."""
    print(json.dumps({"machine": machine_name(), **content}, indent=2))
