"""Write the reference of the command line from the parsers that the programs use."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from plain import code, plain

from lightfm_retriever.hosting.settings import help_pages
from lightfm_retriever.hosting.settings.parser import Program
from retriever import program as retriever
from trainer.cli import arguments as trainer

PROGRAMS: dict[str, Callable[[], Program]] = {
    trainer.PROGRAM: trainer.program,
    retriever.PROGRAM: retriever.program,
}
# Each command has them, and the page's first lines describe them.
_HELP = ("help", "help_all")


def reference(program: str) -> str:
    """The page's part on one program: its commands, each with usage, notes and all options by topic."""
    return "\n".join(_program(program, PROGRAMS[program]()))


def _program(name: str, parser: Program) -> Iterator[str]:
    yield f"## {name} {{ #{name} }}\n\n{plain(parser.description or '')}\n"
    for command, own in parser.commands.items():
        yield f"- [`{command}`](#{name}-{command}): {plain(_first_sentence(own))}"
    yield ""
    yield from _options(parser)
    for command, own in parser.commands.items():
        yield f'\n### {name} {command} {{ #{name}-{command} data-toc-label="{command}" }}\n'
        yield f"{plain(own.description or '')}\n"
        yield f"```text\n{help_pages.usage(own)}\n```\n"
        if own.epilog:
            yield f"{plain(own.epilog)}\n"
        yield from _exclusive(own)
        yield from _options(own)


def _first_sentence(parser: argparse.ArgumentParser) -> str:
    return (parser.description or "").partition(". ")[0].removesuffix(".") + "."


def _exclusive(parser: argparse.ArgumentParser) -> Iterator[str]:
    for group in parser._mutually_exclusive_groups:  # noqa: SLF001
        names = [code(own.option_strings[-1]) for own in group._group_actions if own.option_strings]  # noqa: SLF001
        if len(names) > 1:
            yield f"{'Give' if group.required else 'Give at most'} one of {', '.join(names)}.\n"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    formatter = help_pages.PlainHelp(parser.prog)
    for topic in parser._action_groups:  # noqa: SLF001 - argparse has no other way to list them
        actions = [own for own in topic._group_actions if _is_shown(own)]  # noqa: SLF001
        if not actions:
            continue
        if topic.title not in ("options", "positional arguments"):
            yield f"**{plain((topic.title or '').capitalize())}**\n"
        if topic.description:
            yield f"{plain(topic.description)}\n"
        for own in actions:
            yield f"{_name(own, formatter)}\n:   {_help(own, formatter)}\n"


def _is_shown(action: argparse.Action) -> bool:
    is_command = isinstance(action, argparse._SubParsersAction)  # noqa: SLF001 - no other name
    return not is_command and action.dest not in _HELP and action.help is not argparse.SUPPRESS


def _name(action: argparse.Action, formatter: help_pages.PlainHelp) -> str:
    if not action.option_strings:
        return code(formatter._format_args(action, action.dest.upper()))  # noqa: SLF001 - as --help has it
    metavar = formatter._get_default_metavar_for_optional(action)  # noqa: SLF001
    value = "" if action.nargs == 0 else f" {formatter._format_args(action, metavar)}"  # noqa: SLF001
    return ", ".join(code(f"{name}{value}") for name in action.option_strings)


def _help(action: argparse.Action, formatter: help_pages.PlainHelp) -> str:
    text = plain(formatter._expand_help(action)) if action.help else ""  # noqa: SLF001 - as above
    needed = " Required." if action.required and action.option_strings else ""
    return f"{text}{needed}" or "-"
