"""Settings of a service: from flags, or environment variables, or a file.

A command line's parser is the only list of the settings. The names of variables and keys are read from
it, so that no flag lacks its variable, and no variable is silently ignored.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from lightfm_retriever.files.regular_files import open_given
from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.errors import FlagError, HostingError, UsageError
from lightfm_retriever.hosting.settings.values import PathType, value_of

# Far more than all settings need, even with paths of 4096 bytes and a hundred names.
_MAX_BYTES = 64 << 10
# The most dots in a line: a key of thousands of parts takes seconds to parse.
_MAX_DOTS = 1000
# The most bits of a number: a hexadecimal number may have more digits than Python can write.
_MAX_BITS = 1024
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
# Kubernetes sets these for a Service called retriever or trainer, in every container near it.
_OF_KUBERNETES = re.compile(r"(.*_)?(PORT|SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9].*)")
# The variables of the commands that ask a service.
_OF_CLIENTS = "CLIENT_"
_FLAG = re.compile(r"--[a-z0-9][a-z0-9-]*")
_HELP = ("-h", "--help", "--help-all")


def add_config_flag(parser: argparse.ArgumentParser) -> None:
    """Add --config."""
    parser.add_argument(
        "--config",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help='read settings from this TOML file, named as the flags: log_level = "info"',
    )


def apply(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    prefix: str,
    known: Collection[str] = (),
) -> None:
    """Make the settings of the environment and of the file the defaults of a parser's flags.

    The parsed namespace has `origins`: for each flag that they set, the variable or the key. If the
    command line asks for help, no setting is read: the page explains how to correct a wrong one.

    Args:
        parser: with all its flags. If one is --config, variables and keys must name known settings.
            Otherwise only flags marked by `settable` are settings.
        arguments: the command line, to find --config.
        environment: the variables; an empty variable counts as unset.
        prefix: the beginning of the variables' names, such as "RETRIEVER_".
        known: the names of all settings, if some flags of this command aren't settings.

    Raises UsageError for an unknown name or a wrong value, and HostingError for an unreadable file.
    """
    own = _options_of(arguments)
    if any(argument in _HELP for argument in own):
        return
    try:
        parser.set_defaults(origins=_apply(parser, own, environment, prefix, known))
    except FlagError as error:
        raise UsageError(str(error), parser.prog) from error


def _apply(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    prefix: str,
    known: Collection[str],
) -> dict[str, str]:
    """Apply the settings as `apply` describes; returns the origins."""
    has_file = any(action.dest == "config" for action in actions(parser))
    flags = {_setting(action, known, has_file): action for action in actions(parser)}
    flags.pop("", None)
    variables = {
        name.removeprefix(prefix).lower(): (name, value)
        for name, value in environment.items()
        if name.startswith(prefix) and value and not _is_others(name.removeprefix(prefix), flags)
    }
    # From the weakest to the strongest.
    layers: list[dict[str, tuple[str, Any]]] = [{}, {**variables}]
    if has_file:
        for name, (variable, _) in variables.items():
            what = f"the environment variable {variable}"
            _check_known(name, {*flags, *known}, what, lambda own: prefix + own.upper())
        file = _config_file(arguments, environment.get(f"{prefix}CONFIG"))
        # A file can't name another file.
        keys = {*flags, *known} - {"config"}
        for key, value in ({} if file is None else _read(file)).items():
            if isinstance(value, dict):
                # Any table is wrong, whatever its name: some users expect a table for each command.
                _text(value, f"{file}: [{key}]")
            _check_known(key, keys, f"{file}: the key {words.brief(key)}", str)
            layers[0][key] = (f"{file}: {key}", value)
    given = {argument.partition("=")[0] for argument in arguments}
    before = {name: action.default for name, action in flags.items()}
    # The command line is the strongest.
    ranks = {name: len(layers) for name, own in flags.items() if given.intersection(own.option_strings)}
    # A command without a file borrows settings of `serve`, whose values may be of no use to others.
    decided = set() if has_file else _decided(parser, flags, given)
    origins: dict[str, str] = {}
    for rank, layer in enumerate(layers):
        for name in [own for own in flags if own in layer and own not in ("config", *decided)]:
            origin, value = layer[name]
            made = _value(flags[name], value, origin)
            flags[name].required = False
            # argparse would append to the default of a repeated flag, but the command line replaces it.
            if ranks.get(name) != len(layers):
                flags[name].default, origins[name], ranks[name] = made, origin, rank
    for name in _overruled(parser, flags, ranks, origins):
        flags[name].default = before[name]
        del origins[name]
    return {flags[name].option_strings[-1]: origin for name, origin in origins.items()}


def settable(action: argparse.Action, name: str | None = None) -> None:
    """Let a variable set a flag of a command without --config; the name "" allows no variable."""
    vars(action)["setting"] = action.dest if name is None else name


def blamed(text: str, origins: Mapping[str, str]) -> str:
    """Replace a flag in an error's text by the variable or key that set it."""
    return _FLAG.sub(lambda found: origins.get(found[0], found[0]), text)


def actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """List the flags of a parser, in order, without the flags for help."""
    every = parser._actions  # noqa: SLF001 - argparse has no other way to list them
    return [one for one in every if one.option_strings and one.dest not in ("help", "help_all")]


def _options_of(arguments: Sequence[str]) -> Sequence[str]:
    """Leave out the arguments after --, which may look like flags."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _is_others(name: str, flags: Collection[str]) -> bool:
    if name.lower() in flags:
        return False
    return name.startswith(_OF_CLIENTS) or _OF_KUBERNETES.fullmatch(name) is not None


def _setting(action: argparse.Action, known: Collection[str], has_file: bool) -> str:
    """Return the name of a flag's setting; "" if only the command line sets the flag."""
    marked: str | None = getattr(action, "setting", None)
    if marked is not None:
        return marked
    is_one = not known or action.dest in known or action.dest == "config"
    return action.dest if has_file and is_one else ""


def _check_known(name: str, known: Collection[str], what: str, spell: Callable[[str], str]) -> None:
    if name not in known:
        hint = words.meant(name, known, spell=spell) or "--help-all lists all settings"
        raise FlagError(f"{what} isn't a setting: {hint}")


def _config_file(arguments: Sequence[str], variable: str | None) -> Path | None:
    """Find the file. The parser reports mistakes in --config itself."""
    found = variable
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag == "--config":
            found = value if equals else "".join(arguments[place + 1 : place + 2])
    return Path(found) if found else None


def _read(file: Path) -> dict[str, Any]:
    try:
        with open_given(file) as opened:
            content = opened.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise FlagError(f"--config {file} is larger than {_MAX_BYTES >> 10} kB")
        for number, line in enumerate(content.split(b"\n"), start=1):
            if line.count(b".") > _MAX_DOTS:
                raise FlagError(f"--config {file}: line {number} has more than {_MAX_DOTS} dots")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise HostingError(f"--config {file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FlagError(f"--config {file} isn't TOML: {words.reason(error)}") from error
    except ValueError as error:
        # Its other errors are TOMLDecodeErrors.
        raise FlagError(f"--config {file}: a number has too many digits") from error


def _decided(
    parser: argparse.ArgumentParser, flags: Mapping[str, argparse.Action], given: Collection[str]
) -> set[str]:
    """List the settings that the command line sets, or excludes by another flag."""
    groups = parser._mutually_exclusive_groups  # noqa: SLF001 - argparse has no other way
    found = set()
    for name, own in flags.items():
        rivals = [group._group_actions for group in groups if own in group._group_actions]  # noqa: SLF001
        together = [own, *(one for group in rivals for one in group)]
        if any(flag in given for one in together for flag in one.option_strings):
            found.add(name)
    return found


def _overruled(
    parser: argparse.ArgumentParser,
    flags: Mapping[str, argparse.Action],
    ranks: Mapping[str, int],
    origins: Mapping[str, str],
) -> list[str]:
    """List the settings that a stronger setting excludes.

    Raises FlagError for two settings of the same rank.
    """
    found: list[str] = []
    for group in parser._mutually_exclusive_groups:  # noqa: SLF001 - argparse has no other way
        members = group._group_actions  # noqa: SLF001 - as above
        # A switch that is off counts as missing.
        on = [
            name
            for name, rank in ranks.items()
            if flags[name] in members and not (name in origins and flags[name].default is False)
        ]
        highest = max((ranks[name] for name in on), default=0)
        together = [origins[name] for name in on if ranks[name] == highest and name in origins]
        if len(together) > 1:
            raise FlagError(f"{' and '.join(together)} can't be together: leave one out")
        found += [name for name in on if ranks[name] < highest]
    return found


def _value(action: argparse.Action, value: Any, name: str) -> Any:
    """Read a value of a file, or a variable's text, as the flag would read it."""
    if action.nargs == 0:
        return _boolean(value, name)
    if isinstance(action, argparse._AppendAction):  # noqa: SLF001 - the type of repeated flags
        texts = value if isinstance(value, list) else _text(value, name).split(",")
        return [value_of(action, _text(own, name), name) for own in texts]
    if not isinstance(value, list):
        return value_of(action, _text(value, name), name)
    if _takes_one(action) and not any(isinstance(own, dict) for own in value):
        raise FlagError(f"{name} is a list, but should be a single value")
    return value_of(action, ",".join(_text(own, name) for own in value), name)


def _takes_one(action: argparse.Action) -> bool:
    of = action.type
    return of in (None, str, int, float, Path) or isinstance(of, PathType)


def _boolean(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return value
    text = _text(value, name).lower()
    if text not in _TRUE + _FALSE:
        raise FlagError(f"{name} is {words.brief(value)}, but should be true or false")
    return text in _TRUE


def _text(value: Any, name: str) -> str:
    """Write a value of a file as a flag's text; FlagError for a value that no flag takes."""
    if isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(own, dict) for own in value)
    ):
        text = f"{name} is a table, but a file of settings has none: write NAME = VALUE, without [...]"
        raise FlagError(text)
    if isinstance(value, datetime | date | time):
        raise FlagError(
            f"{name} is a date or a time, but should be a text or a number: put it in quotes"
        )
    if isinstance(value, bool | list):
        what = "a list" if isinstance(value, list) else words.brief(value)
        raise FlagError(f"{name} is {what}, but should be a text or a number")
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise FlagError(f"{name} is a number with too many digits")
    return str(value)
