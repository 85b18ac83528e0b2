"""The command line: lightfm-retriever COMMAND, or python -m retriever COMMAND."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lightfm_retriever.hosting import terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0 done, 1 failed, 2 a mistake in the command line, 130 interrupted, 141 nobody read the output.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    return terminal.run(lambda: _run(given), as_json=terminal.asks_for_json(given))


def _run(given: list[str]) -> int:
    # Importing takes a while, in which Ctrl-C may come.
    from retriever import program

    return program.run(given)


if __name__ == "__main__":
    sys.exit(main())
