"""The parser of both command lines: plain errors, and help that fits a screen."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NoReturn

from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.errors import FlagError, UsageError
from lightfm_retriever.hosting.release import release
from lightfm_retriever.hosting.settings import help_pages
from lightfm_retriever.hosting.settings.values import check_choice, value_of

# Messages of argparse, and ours.
_PLAIN = (
    (r"the following arguments are required: (.*)", r"missing: \1"),
    (r"argument (\S+): not allowed with argument (\S+)", r"give \1 or \2, not both"),
    (r"argument (\S+): expected 2 arguments", r"\1 needs two values"),
    (r"argument (\S+): expected .*", r"\1 needs a value"),
    (r"argument (\S+): ignored explicit argument .*", r"\1 takes no value"),
    (r"argument ", ""),
)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises a UsageError for a mistake.

    Attributes:
        everyday: the flags that --help shows, in this order. If it is empty, --help shows all flags but
            the topic `help_pages.CONNECTION`. --help-all shows all flags, by topic.
    """

    def __init__(self, **options: Any) -> None:
        # An abbreviation would change its meaning when a flag is added.
        super().__init__(**options, add_help=False, allow_abbrev=False)
        self.everyday: Sequence[str] = ()
        self.add_argument("-h", "--help", action=_Help, help="show the everyday options")
        self._add_help_all()

    @property
    def names(self) -> dict[str, str]:
        """Its flags and arguments, by `dest`. If several flags share one, the first."""
        return {action.dest: shown_name(action) for action in reversed(self._actions)}

    def _add_help_all(self) -> None:
        self.add_argument("--help-all", action=_Help, help="show all options, by topic")

    def format_usage(self) -> str:
        """Say in one line how the command is called."""
        return f"usage: {help_pages.usage(self)}\n"

    def format_help(self) -> str:
        """Write the page that fits a screen."""
        return help_pages.page(self, self.everyday, of_all=False)

    def format_all(self) -> str:
        """Write the page with every flag."""
        return help_pages.page(self, self.everyday, of_all=True)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        for theirs, ours in _PLAIN:
            message = re.sub(f"^{theirs}", ours, message)
        raise UsageError(message, self.prog)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, but refuse unknown flags first, here, where the known ones are."""
        given = list(sys.argv[1:] if args is None else args)
        own = given[: given.index("--")] if "--" in given else given
        if self._subparsers is not None:
            # The other arguments belong to a command.
            own = list(takewhile(lambda argument: argument.startswith("-"), own))
        for argument in own:
            self._check_flag(argument)
        found, left = super().parse_known_args(given, namespace)
        if left:
            self.error(f"{words.brief(left[0])} is one argument too many")
        return found, left

    def _check_flag(self, argument: str) -> None:
        flag = argument.partition("=")[0]
        if flag.startswith("--") and " " not in flag and flag not in self._option_string_actions:
            hint = words.meant(flag, self._option_string_actions)
            self.error(f"there is no option {flag[:64]}" + (f"; {hint}" if hint else ""))

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        # The command's own parser checks the arguments after its name.
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - no other name
            return arg_string
        try:
            return value_of(action, arg_string, shown_name(action))
        except FlagError as error:
            raise UsageError(str(error), self.prog) from error

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - no other name
            if value not in (action.choices or ()):
                hint = words.meant(str(value), action.choices or ())
                self.error(f"there is no command {words.brief(value)}" + (f"; {hint}" if hint else ""))
            return
        try:
            check_choice(action, value, shown_name(action))
        except FlagError as error:
            raise UsageError(str(error), self.prog) from error


class Program(Parser):
    """The parser of a program, with its commands by topic; --version shows its release."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description)
        self.add_argument(
            "--version",
            action="version",
            version=f"{prog} {release()}",
            help="print the release of this software",
        )
        self._topics: dict[str, list[tuple[str, str]]] = {}
        self._commands = self.add_subparsers(
            dest="command", required=True, metavar="COMMAND", prog=prog, parser_class=Parser
        )

    @property
    def commands(self) -> dict[str, Parser]:
        """The parsers of all commands, by name."""
        return self._commands.choices

    def command(self, topic: str, name: str, told: str, *, more: str = "", epilog: str = "") -> Parser:
        """Add a command.

        Args:
            topic: the topic of --help that lists it.
            name: the name of the command.
            told: its purpose, in one sentence.
            more: further sentences of its --help.
            epilog: further sentences of its --help-all.
        """
        self._topics.setdefault(topic, []).append((name, told))
        text = f"{told} {more}".strip()
        # With `help`, shells complete the command by it, too.
        return self._commands.add_parser(name, help=told, description=text, epilog=epilog)

    def format_help(self) -> str:
        """Write the page of the commands."""
        return help_pages.program_page(self, self._topics)

    def _add_help_all(self) -> None:
        """Add nothing: each command has its own."""


class _Help(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **options)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002 - argparse passes it
        values: Any,  # noqa: ARG002
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        wants_all = self.dest == "help_all" and isinstance(parser, Parser)
        text = parser.format_all() if wants_all else parser.format_help()  # type: ignore[attr-defined]
        sys.stdout.write(text)
        parser.exit()


def shown_name(action: argparse.Action) -> str:
    """Return the name of a flag or an argument as its reader knows it."""
    if action.option_strings:
        return action.option_strings[-1]
    return str(action.metavar or action.dest.upper())
