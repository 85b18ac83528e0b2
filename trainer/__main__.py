"""The command line: python -m trainer COMMAND."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hosting.errors import HostingError
from publication.errors import PublicationError
from trainer import arguments, commands
from trainer.errors import TrainerError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0 done, 1 failed, 3 published but not labelled since a gate failed, 130 interrupted.
    """
    try:
        return commands.run(arguments.parse(argv))
    except (TrainerError, PublicationError, HostingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
