"""The completion of commands, flags, choices and files in a shell: one script for each shell."""

from __future__ import annotations

from pathlib import Path

from lightfm_retriever.hosting.settings.parser import Program
from lightfm_retriever.hosting.settings.values import PathType

NAME = "completion"
SHELLS = ("bash", "zsh", "fish")


def add(program: Program) -> None:
    """Add the command."""
    parser = program.command(
        "Shell",
        NAME,
        "Print a script that completes commands and options.",
        more="Add the line of your shell to its own file:\n"
        f"- ~/.bashrc: source <({program.prog} {NAME} bash)\n"
        f"- ~/.zshrc, after compinit: source <({program.prog} {NAME} zsh)\n"
        f"- ~/.config/fish/config.fish: {program.prog} {NAME} fish | source",
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")


def script(program: Program, shell: str) -> str:
    """Write the script of a program for a shell."""
    # Only this command needs it.
    import shtab

    for parser in program.commands.values():
        for action in parser._actions:  # noqa: SLF001 - argparse has no other way to list them
            if action.type is Path or isinstance(action.type, PathType):
                kind = shtab.DIRECTORY if "DIR" in str(action.metavar) else shtab.FILE
                vars(action)["complete"] = kind
    return str(shtab.complete(program, shell=shell))
