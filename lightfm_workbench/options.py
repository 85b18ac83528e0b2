"""Read options by the names of the command line's flags, and check their types."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from lightfm_retriever.hosting import given, words
from lightfm_retriever.hosting.errors import ArgumentError
from lightfm_retriever.hosting.options import Declared, declared
from trainer.errors import OptionError


def known(*of: type, groups: Iterable[str] | None = None) -> dict[str, Declared]:
    """Return the options of dataclasses by the names of their flags, with _ for -.

    `groups` are the groups whose options are wanted; None for all.
    """
    wanted = None if groups is None else {*groups}
    return {
        one.dest: one
        for own in of
        for one in declared(own).values()
        if wanted is None or one.option.group in wanted
    }


def checked(options: Mapping[str, Any], of: Mapping[str, Declared]) -> dict[str, Any]:
    """Return options with values of the declared types, for `option_flags.made`.

    An option that is None has its default. A text is read as on the command line: budget="5m".

    Raises:
        ArgumentError: there is no such option, or its value has another type.
        OptionError: a text can't be read.
    """
    found = {}
    for name, value in options.items():
        if (one := of.get(name)) is None:
            hint = words.meant(name, of)
            text = f"there is no option {name}; {hint or 'the options are ' + ', '.join(sorted(of))}"
            raise ArgumentError(name, value, f"one of {', '.join(sorted(of))}", text=text)
        if value is not None:
            found[name] = _value(one, value)
    return found


def _value(one: Declared, value: Any) -> Any:
    name, kind, option = one.dest, one.kind, one.option
    if isinstance(value, str) and option.read is not None and not option.repeated:
        try:
            return option.read(value)
        except ArgumentTypeError as error:
            raise OptionError(name, value, str(error)) from error
    expected = option.told() or option.help
    if kind is bool:
        return given.flag(name, value)
    if kind is int:
        return given.whole(name, value, expected)
    if kind is float:
        return given.number(name, value, expected)
    if get_origin(kind) is list:
        listed = [value] if isinstance(value, str) else value
        return [*given.texts(name, listed, option.help, each="a text")]
    if get_origin(kind) is dict:
        if not isinstance(value, Mapping):
            raise ArgumentError(name, value, f"a mapping: {option.help}")
        to_number = get_args(kind)[1] is float
        return {
            str(key): given.number(f"{name}[{key!r}]", own, "a number") if to_number else str(own)
            for key, own in value.items()
        }
    return given.text(name, str(value) if hasattr(value, "__fspath__") else value, option.help)
