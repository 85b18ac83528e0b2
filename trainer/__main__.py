"""The command line: lightfm-trainer COMMAND, or python -m trainer COMMAND."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lightfm_retriever.hosting import extras, terminal
from lightfm_retriever.hosting.errors import ArgumentError, FlagError, HostingError
from lightfm_retriever.publication.errors import PublicationError
from trainer.errors import OptionError, TrainerError
from trainer.event_log.errors import InvalidSelectionError

_MISTAKES = (OptionError, InvalidSelectionError, FlagError, ArgumentError)
_PROGRAM = "lightfm-trainer"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0 done, 1 failed, 2 a mistake in the command line, 3 published but not labelled since a gate failed,
    130 interrupted, 141 nobody read the output.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    return terminal.run(lambda: _run(given), as_json=terminal.asks_for_json(given))


def _run(given: list[str]) -> int:
    options = argparse.Namespace()
    try:
        # Importing takes a second, in which Ctrl-C may come. Help needs only the flags.
        from trainer.cli import arguments

        options = arguments.parse(given)
        from trainer.cli import commands

        return commands.run(options)
    except (TrainerError, PublicationError, HostingError) as error:
        from lightfm_retriever.hosting.settings import failures

        is_mistake = isinstance(error, _MISTAKES)
        return failures.tell(error, _PROGRAM, given, options, is_mistake=is_mistake)
    except ModuleNotFoundError as error:
        what = " ".join([_PROGRAM, *given[:1]])
        if (text := extras.problem(error, "trainer", what)) is None:
            raise
        as_json = terminal.asks_for_json(given)
        return terminal.tell_error(text, terminal.FAILED, as_json=as_json)


if __name__ == "__main__":
    sys.exit(main())
