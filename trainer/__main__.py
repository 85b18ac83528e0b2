"""The command line: python -m trainer COMMAND."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lightfm_retriever.hosting import extras, terminal
from lightfm_retriever.hosting.errors import ArgumentError, FlagError, HostingError
from lightfm_retriever.publication.errors import PublicationError
from trainer.errors import OptionError, TrainerError
from trainer.event_log.errors import InvalidSelectionError

_MISTAKES = (OptionError, InvalidSelectionError, FlagError, ArgumentError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0 done, 1 failed, 2 a mistake in the command line, 3 published but not labelled since a gate failed,
    130 interrupted, 141 nobody read the output.
    """
    return terminal.run(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    given = sys.argv[1:] if argv is None else argv
    try:
        # Importing takes a second, in which Ctrl-C may come, and what helps needs the flags only.
        from trainer.cli import arguments

        options = arguments.parse(argv)
        from trainer.cli import commands

        return commands.run(options)
    except (TrainerError, PublicationError, HostingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return terminal.MISTAKE if isinstance(error, _MISTAKES) else 1
    except ModuleNotFoundError as error:
        if (text := extras.problem(error, "trainer", " ".join(["trainer", *given[:1]]))) is None:
            raise
        print(f"error: {text}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
