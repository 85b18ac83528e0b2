"""The pages of help: one that fits a screen, and one with every option by topic."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lightfm_retriever.hosting.settings.values import PathType

CONNECTION = "connection"
"""The topic of flags that few calls need. --help hides them if a command names no everyday flags."""

_HELP = ("help", "help_all")
_NARROWEST, _WIDEST = 40, 100


class PlainHelp(argparse.HelpFormatter):
    """Shows defaults that are values. A switch, or an option that may be missing, has none."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=_columns())

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default, text = action.default, action.help
        if default is argparse.SUPPRESS or text is None or "(default: " in text or "%(default)" in text:
            return text
        if default is None or isinstance(default, bool) or default in ("", []):
            return text
        told = " ".join(map(str, default)) if isinstance(default, list) else str(default)
        return f"{text} (default: {told.replace('%', '%%')})"

    def _split_lines(self, text: str, width: int) -> list[str]:
        # A flag, or a command to copy, stays in one line.
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        wrapped = (self._split_lines(line, width - len(indent)) for line in text.split("\n"))
        return "\n".join(indent + line for lines in wrapped for line in lines)

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        if isinstance(action.type, PathType) or action.type is Path:
            return "PATH"
        if action.dest.endswith("_seconds"):
            return "SECONDS"
        return {int: "N", float: "NUMBER"}.get(action.type, "TEXT")  # type: ignore[call-overload, no-any-return]


def usage(parser: argparse.ArgumentParser) -> str:
    """Write in one line how to call a command: the required arguments, and that there are options."""
    every = parser._actions  # noqa: SLF001 - argparse has no other way to list them
    told = [parser.prog]
    for action in every:
        if not action.option_strings:
            name = _name(action)
            told.append({"*": f"[{name}...]", "?": f"[{name}]"}.get(str(action.nargs), name))
        elif action.required:
            metavar = action.metavar or "VALUE"
            told.append(f"{action.option_strings[-1]} {metavar}")
    return " ".join([*told, "[OPTION...]"])


def page(parser: argparse.ArgumentParser, everyday: Sequence[str], *, of_all: bool) -> str:
    """Write a command's help: the everyday flags alone, or all by topic."""
    made = PlainHelp(parser.prog)
    made.add_usage(_wrapped(usage(parser)), [], [])
    made.add_text(parser.description)
    if of_all:
        made.add_text(parser.epilog)
    topics = parser._action_groups  # noqa: SLF001 - as above
    shown: list[argparse.Action] = []
    for topic in topics:
        members = _members(topic)
        if not of_all and topic.title is not None and members and members[0].option_strings:
            members = [one for one in members if _is_everyday(one, topic, everyday)]
        shown += members
        if of_all:
            made.start_section(topic.title)
            made.add_text(topic.description)
            made.add_arguments(members)
            made.end_section()
    if of_all:
        return made.format_help()
    ordered = sorted(shown, key=lambda one: _place(one, everyday))
    for title, places in (("arguments", True), ("options", False)):
        made.start_section(title)
        made.add_arguments([one for one in ordered if (not one.option_strings) == places])
        made.end_section()
    hidden = [str(one.title) for one in topics if any(own not in shown for own in _members(one))]
    if hidden:
        # The name of the first topic says nothing.
        named = ", ".join(one for one in hidden if one != "options")
        made.add_text("--help-all shows every option" + (f", by topic: {named}." if named else "."))
    return made.format_help()


def program_page(parser: argparse.ArgumentParser, topics: dict[str, list[tuple[str, str]]]) -> str:
    """Write a program's help: its commands by topic, each with a sentence."""
    made = PlainHelp(parser.prog)
    made.add_usage(f"{parser.prog} COMMAND [OPTION...]", [], [])
    made.add_text(parser.description)
    widest = max(len(name) for commands in topics.values() for name, _ in commands)
    lines = []
    for topic, commands in topics.items():
        lines += ["", f"{topic}:", *(f"  {name:<{widest}}  {told}" for name, told in commands)]
    return (
        made.format_help()
        + "\n".join(lines)
        + f"\n\n'{parser.prog} COMMAND --help' has its options, '--version' the release.\n"
    )


def _wrapped(text: str) -> str:
    margin = len("usage: ")
    made = textwrap.wrap(
        text, _columns() - margin, subsequent_indent=" " * margin, break_on_hyphens=False
    )
    return "\n".join(made).replace("%", "%%")


def _columns() -> int:
    # A narrower terminal wraps the lines itself.
    return max(_NARROWEST, min(shutil.get_terminal_size().columns - 2, _WIDEST))


def _members(topic: Any) -> list[argparse.Action]:
    own: Iterable[argparse.Action] = topic._group_actions  # noqa: SLF001 - as above
    return [one for one in own if one.dest not in _HELP and one.help is not argparse.SUPPRESS]


def _is_everyday(action: argparse.Action, topic: Any, everyday: Sequence[str]) -> bool:
    if everyday:
        return action.option_strings[-1] in everyday or action.required
    return str(topic.title) != CONNECTION


def _place(action: argparse.Action, everyday: Sequence[str]) -> tuple[int, int]:
    flags = action.option_strings
    if flags and flags[-1] in everyday:
        return (1, everyday.index(flags[-1]))
    return (0, 0) if not flags or action.required else (2, 0)


def _name(action: argparse.Action) -> str:
    return str(action.metavar or action.dest.upper())
