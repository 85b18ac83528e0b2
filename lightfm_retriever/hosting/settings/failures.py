"""Prints the error of a failed command, and chooses the exit status."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lightfm_retriever.hosting import terminal
from lightfm_retriever.hosting.errors import UsageError
from lightfm_retriever.hosting.settings import layers


def tell(
    error: Exception,
    program: str,
    arguments: Sequence[str],
    options: argparse.Namespace,
    *,
    is_mistake: bool,
) -> int:
    """Print an error, as JSON under --json, and return the exit status.

    Args:
        error: its text is printed. JSON also has its `reason` and `field`, if it has them.
        program, arguments: the name of the program, and its command line.
        options: the options that were read before the error.
        is_mistake: whether the command line is at fault.
    """
    text = layers.blamed(str(error), getattr(options, "origins", {}))
    command = getattr(options, "command", None)
    see = f"{program} {command}" if command else program
    if isinstance(error, UsageError):
        see = error.program
    code = getattr(error, "code", "")
    # gRPC's codes have names.
    code = getattr(code, "name", code)
    facts = {name: str(getattr(error, name, "")) for name in ("reason", "field")}
    return terminal.tell_error(
        text,
        terminal.MISTAKE if is_mistake else terminal.FAILED,
        as_json=terminal.asks_for_json(arguments),
        hint=f"See '{see} --help'." if is_mistake else "",
        code=str(code),
        **(facts if code else {}),
    )
