"""The flags of declared options, and the dataclasses made from them; see `hosting.options`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from lightfm_retriever.hosting.options import Declared, declared, names

_Made = TypeVar("_Made")

# The parser makes lists of these: of the ends of a range, and of the pairs of a repeated flag.
_CONVERTED: dict[Any, Any] = {tuple: tuple, dict: dict}


def add(
    parser: argparse._ActionsContainer,
    *of: type,
    group: str = "",
    switches_last: bool = False,
    only_given: bool = False,
) -> None:
    """Add the flags of dataclasses' options.

    Args:
        parser, of: the parser, and the dataclasses.
        group: the group whose options are added; see `Option.group`.
        switches_last: whether switches come after the other flags.
        only_given: whether a missing flag leaves no value in the namespace; its help shows the default.
    """
    wanted = [one for own in of for one in declared(own).values() if one.option.group == group]
    if switches_last:
        wanted.sort(key=lambda one: one.kind is bool)
    for one in wanted:
        add_one(parser, one, only_given=only_given)


def add_one(
    parser: argparse._ActionsContainer, one: Declared, *, only_given: bool = False, **changes: Any
) -> None:
    """Add the flag of one option; `changes` are arguments of add_argument."""
    option, arguments = one.option, _arguments(one)
    if one.default is None or one.default in ([], (), {}):
        arguments["default"] = argparse.SUPPRESS
    elif only_given:
        arguments["default"] = argparse.SUPPRESS
        arguments["help"] = f"{option.help} (default: {one.default})"
    parser.add_argument(one.flag, **{**arguments, **changes})


def made(of: type[_Made], given: Mapping[str, Any], **own: Any) -> _Made:
    """Make a dataclass from a parsed namespace; a missing field has its default.

    It also makes the fields that are such dataclasses. Fields in `own` have these values.
    Raises the dataclass's error for a value out of range.
    """
    kind: Any = of
    options, hints = declared(kind), get_type_hints(kind)
    values = dict(own)
    for name in {field.name for field in fields(kind)} - own.keys():
        if (one := options.get(name)) is not None:
            if one.dest in given:
                value = given[one.dest]
                convert = _CONVERTED.get(get_origin(one.kind))
                values[name] = value if convert is None else convert(value)
        elif is_dataclass(hints[name]):
            values[name] = made(hints[name], given)
    return of(**values)


def _arguments(one: Declared) -> dict[str, Any]:
    option, kind = one.option, one.kind
    if kind is bool:
        return {"action": "store_true", "default": False, "help": option.help}
    found: dict[str, Any] = {"default": one.default, "help": option.help, "metavar": option.metavar}
    inner = get_args(kind)
    if option.repeated:
        found |= {"action": "append", "type": option.read or inner[0]}
    elif option.read is not None:
        found["type"] = option.read
    elif choices := option.choices or option.offered:
        found["choices"] = choices
        if get_origin(kind) not in (None, Literal):
            found |= {"nargs": "+", "default": list(one.default)}
    elif get_origin(kind) is tuple:
        # A range: its two ends.
        found |= {"type": inner[0], "nargs": len(inner), "default": list(one.default)}
    elif get_origin(kind) is list:
        found["type"] = names
    elif isinstance(one.default, timedelta):
        # The code that makes the dataclass reads the duration.
        found["default"] = f"{one.default / timedelta(hours=1):g}h"
    elif kind in (int, float, Path):
        found["type"] = kind
    return found
