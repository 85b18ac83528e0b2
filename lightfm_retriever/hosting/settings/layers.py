"""Settings of a service: from flags, else from environment variables, else from a file.

A command line's parser is the only place where settings are written down: what the environment and the
file may set is read from it, so that no flag lacks its variable and no variable is silently ignored.
"""

from __future__ import annotations

import argparse
import difflib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightfm_retriever.files.regular_files import open_given
from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.settings.parser import KINDS, Parser, problem_of, read_number

# Far more than all settings take, with paths of 4096 bytes and a hundred names.
_MAX_BYTES = 64 << 10
# Of a line. A key of thousands of parts takes seconds to parse.
_MAX_DOTS = 1000
# Of a number; one in hexadecimal may have more digits than can be written.
_MAX_BITS = 1024
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
# Kubernetes sets these for a Service called retriever or trainer, in every container near it.
_OF_KUBERNETES = re.compile(r"(.*_)?(PORT|SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9].*)")
# What the commands that ask a service read.
_OF_CLIENTS = "CLIENT_"


def add_config_flag(parser: argparse.ArgumentParser) -> None:
    """Add --config."""
    parser.add_argument(
        "--config",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help='settings in TOML, named as the flags: log_level = "info", tls_cert = "tls.crt"',
    )


def apply(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    prefix: str,
    also: Sequence[str] = (),
) -> None:
    """Make what the environment and the file say the defaults of a parser's flags.

    Args:
        parser: with all its flags, --config among them.
        arguments: those that the parser will parse, to find --config.
        environment: variables; empty ones count as not set.
        prefix: of the variables, such as "RETRIEVER_".
        also: names of variables, without the prefix, that somebody else reads.

    Raises HostingError for what no flag has or takes, and for a file that can't be read.
    """
    flags = {action.dest: action for action in actions(parser)}
    named = {
        name.removeprefix(prefix).lower(): (name, value)
        for name, value in environment.items()
        if name.startswith(prefix) and value and not _is_others(name.removeprefix(prefix), also)
    }
    for dest, (name, _) in named.items():
        _check_known(dest, flags, f"the environment variable {name}", lambda own: prefix + own.upper())
    given = {argument.partition("=")[0] for argument in arguments}
    file = _config_file(parser, arguments, environment.get(f"{prefix}CONFIG"))
    if file is not None:
        # No file names another one.
        keys = {dest: action for dest, action in flags.items() if dest != "config"}
        for key, value in _read(file).items():
            _check_known(key, keys, f"{file}: the key {words.brief(key)}", str)
            _set(keys[key], value, f"{file}: {key}", given)
    for dest, (name, text) in named.items():
        if dest != "config":
            _set(flags[dest], text, name, given)


def variables(environment: Mapping[str, str], prefix: str) -> dict[str, str]:
    """SERVICE_VOLUME, SERVICE_LISTEN, ... by flag name; empty variables count as not set."""
    return {
        name.removeprefix(prefix).lower(): value
        for name, value in environment.items()
        if name.startswith(prefix) and value
    }


def actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The flags that a parser takes, in order, --help aside."""
    every = parser._actions  # noqa: SLF001 - argparse has no other way to list them
    return [action for action in every if action.option_strings and action.dest != "help"]


def _is_others(name: str, also: Sequence[str]) -> bool:
    return name in also or name.startswith(_OF_CLIENTS) or _OF_KUBERNETES.fullmatch(name) is not None


def _check_known(
    dest: str, flags: Mapping[str, object], what: str, spell: Callable[[str], str]
) -> None:
    if dest in flags:
        return
    near = difflib.get_close_matches(dest, flags, n=1)
    hint = f"did you mean {spell(near[0])}?" if near else "--help lists what there is"
    raise HostingError(f"{what} isn't a setting: {hint}")


def _config_file(
    parser: argparse.ArgumentParser, arguments: Sequence[str], variable: str | None
) -> Path | None:
    # A mistake shows the usage of the whole command.
    usage = parser.format_usage().removeprefix("usage: ")
    finder = Parser(prog=parser.prog, usage=usage, add_help=False, allow_abbrev=False)
    finder.add_argument("--config", type=Path, default=Path(variable) if variable else None)
    return finder.parse_known_args(arguments)[0].config  # type: ignore[no-any-return]


def _read(file: Path) -> dict[str, Any]:
    try:
        with open_given(file) as opened:
            content = opened.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise HostingError(f"--config {file} is larger than {_MAX_BYTES >> 10} kB")
        for number, line in enumerate(content.split(b"\n"), start=1):
            if line.count(b".") > _MAX_DOTS:
                raise HostingError(f"--config {file}: line {number} has more than {_MAX_DOTS} dots")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise HostingError(f"--config {file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HostingError(f"--config {file} isn't TOML: {words.reason(error)}") from error
    except ValueError as error:
        # All else that it finds wrong is a TOMLDecodeError.
        raise HostingError(f"--config {file}: a number has too many digits") from error


def _set(action: argparse.Action, value: Any, name: str, given: set[str]) -> None:
    """Make a value, of a file or a variable's text, the default of a flag, as if it had been given."""
    action.required = False
    if action.nargs == 0:
        action.default = _boolean(value, name)
    elif isinstance(action, argparse._AppendAction):  # noqa: SLF001 - what flags that repeat are
        texts = value if isinstance(value, list) else _text(value, name).split(",")
        typed = [_typed(action, _text(own, name), name) for own in texts]
        # argparse would add to a default, but a flag that is given wins.
        if not given.intersection(action.option_strings):
            action.default = typed
    else:
        several = isinstance(value, list)
        text: Any = ",".join(_text(own, name) for own in value) if several else value
        action.default = _typed(action, text, name)


def _boolean(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return value
    text = _text(value, name).lower()
    if text not in _TRUE + _FALSE:
        raise HostingError(f"{name} is {words.brief(value)}, but should be true or false")
    return text in _TRUE


def _typed(action: argparse.Action, value: Any, name: str) -> Any:
    text = _text(value, name)
    if problem := problem_of(action, text):
        raise HostingError(f"{name} is {words.brief(value)}: {problem}")
    convert: Any = action.type or str
    try:
        converted = read_number(convert, text) if convert in KINDS else convert(text)
    except (ValueError, TypeError, argparse.ArgumentTypeError) as error:
        if convert in KINDS:
            raise HostingError(f"{name} is {words.brief(value)}, but should be {error}") from error
        reason = str(error) if isinstance(error, argparse.ArgumentTypeError) else "can't be read"
        raise HostingError(f"{name} is {words.brief(value)}: {reason}") from error
    if action.choices is not None and converted not in action.choices:
        choices = ", ".join(map(str, action.choices))
        raise HostingError(f"{name} is {words.brief(value)}, but should be one of {choices}")
    return converted


def _text(value: Any, name: str) -> str:
    """What a flag would be given for a value of a file."""
    if isinstance(value, bool | dict | list):
        what = "a list" if isinstance(value, list) else words.brief(value)
        raise HostingError(f"{name} is {what}, but should be a text or a number")
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise HostingError(f"{name} is a number of too many digits")
    return str(value)
