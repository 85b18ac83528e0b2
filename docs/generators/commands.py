"""Write the reference of the command line from the parsers that the programs use."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

from plain import code, plain

from retriever import __main__ as retriever
from trainer.cli import arguments as trainer

PROGRAMS: dict[str, Callable[[Sequence[str]], Any]] = {
    "lightfm-trainer": trainer.parse,
    "lightfm-retriever": retriever.parse,
}
_COLUMNS = "88"
_PREFIXES = (trainer.PREFIX, retriever.PREFIX)


class _Made(BaseException):
    """Carries a parser out of the function that made it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def reference(program: str) -> str:
    """The page's part on one program: its commands, each with usage and flags."""
    with mock.patch.dict(os.environ, {"COLUMNS": _COLUMNS}):
        # Variables of the builder's own would stand in the page as defaults.
        for name in [name for name in os.environ if name.startswith(_PREFIXES)]:
            del os.environ[name]
        return "\n".join(_program(program, parser_of(PROGRAMS[program])))


def parser_of(parse: Callable[[Sequence[str]], Any]) -> argparse.ArgumentParser:
    """The parser that a program makes each time it reads a command line."""

    def stop(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Made(parser)

    with mock.patch.object(argparse.ArgumentParser, "parse_args", stop):
        try:
            parse([])
        except _Made as made:
            return made.parser
    raise RuntimeError("the program read its command line without ArgumentParser.parse_args")


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    return dict(_subparsers(parser).choices)


def _subparsers(parser: argparse.ArgumentParser) -> Any:
    every = parser._actions  # noqa: SLF001 - argparse has no other way to list them
    return next(own for own in every if isinstance(own, argparse._SubParsersAction))  # noqa: SLF001


def _program(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    commands = _subparsers(parser)
    told = {own.dest: own.help or "" for own in commands._choices_actions}  # noqa: SLF001
    yield f"## {name} {{ #{name} }}\n\n{plain(parser.description or '')}\n"
    for command in commands.choices:
        yield f"- [`{command}`](#{name}-{command}): {plain(told[command])}"
    yield ""
    yield from _flags(parser, skip=("command",))
    for command, own in commands.choices.items():
        yield f'\n### {name} {command} {{ #{name}-{command} data-toc-label="{command}" }}\n'
        yield f"{plain(own.description or told[command].capitalize() + '.')}\n"
        yield f"```text\n{name} {command}{_synopsis(own)}\n```\n"
        yield from _exclusive(own)
        yield from _flags(own)


def _synopsis(parser: argparse.ArgumentParser) -> str:
    """What follows the command's name: what it can't do without, and that there is more."""
    formatter = parser._get_formatter()  # noqa: SLF001
    shown = [own for own in parser._actions if own.dest != "help"]  # noqa: SLF001
    flags = [own for own in shown if own.option_strings]
    needed = [f"{own.option_strings[-1]} {_metavar(own, formatter)}" for own in flags if own.required]
    more = ["[FLAGS]"] * (len(flags) > len(needed))
    own_names = [_metavar(own, formatter) for own in shown if not own.option_strings]
    return "".join(f" {part}" for part in (*needed, *more, *own_names))


def _exclusive(parser: argparse.ArgumentParser) -> Iterator[str]:
    for group in parser._mutually_exclusive_groups:  # noqa: SLF001
        names = [code(own.option_strings[-1]) for own in group._group_actions if own.option_strings]  # noqa: SLF001
        if len(names) > 1:
            yield f"{'Give' if group.required else 'Give at most'} one of {', '.join(names)}.\n"


def _flags(parser: argparse.ArgumentParser, skip: Sequence[str] = ()) -> Iterator[str]:
    formatter = parser._get_formatter()  # noqa: SLF001 - it alone knows how to tell a default
    for group in parser._action_groups:  # noqa: SLF001
        shown = [own for own in group._group_actions if own.dest not in ("help", *skip)]  # noqa: SLF001
        shown = [own for own in shown if own.help is not argparse.SUPPRESS]
        if not shown:
            continue
        if group.title not in ("options", "positional arguments"):
            yield f"**{plain((group.title or '').capitalize())}**\n"
        if group.description:
            yield f"{plain(group.description)}\n"
        for own in shown:
            yield f"{_name(own, formatter)}\n:   {_help(own, formatter)}\n"


def _name(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    metavar = _metavar(action, formatter)
    if not action.option_strings:
        return code(metavar)
    value = "" if action.nargs == 0 else f" {metavar}"
    return ", ".join(code(f"{name}{value}") for name in action.option_strings)


def _metavar(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    choices = None if action.choices is None else "|".join(map(str, action.choices))
    return formatter._format_args(action, choices or action.dest.upper())  # noqa: SLF001


def _help(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    text = plain(formatter._expand_help(action)) if action.help else ""  # noqa: SLF001
    needed = " Required." if action.required and action.option_strings else ""
    return f"{text}{needed}" or "-"
