"""Which of a file's columns are read, and what may be wrong with the names of others."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from trainer.errors import InputError

SEPARATORS = (";", "\t", "|", ",", " ")
"""What other programs put between columns, or between the values of one."""

_AROUND = " \t\r\n\v\f\xa0\u200b\u2060\ufeff\"'"
_NUMBER = re.compile(r"\s*[-+]?[0-9]+([.,][0-9]+)?\s*")
_OTHER_FORMATS = {"{": "JSON", "[": "JSON", "<": "HTML or XML"}


def wanted(
    path: Path, found: list[str], required: Collection[str], optional: Collection[str] | None
) -> list[str]:
    """Those of the columns found that are required or optional (None: all), in their order.

    Raises:
        InputError: a required one is missing, one is there more than once, or the name of an optional
            one has space around it, so that it would be left out.
    """
    # One may be wanted for two reasons.
    missing = [name for name in dict.fromkeys(required) if name not in found]
    if missing:
        raise InputError(
            path,
            f"column {', '.join(missing)} is missing; the columns are: {', '.join(found)}"
            + _hint(path, missing, found),
        )
    chosen = [name for name in found if optional is None or name in required or name in optional]
    twice = sorted({name for name in chosen if found.count(name) > 1})
    if twice:
        raise InputError(path, f"column {', '.join(twice)} is there more than once")
    for name in found:
        bare = name.strip(_AROUND).lower()
        if name != bare and bare in (optional or ()) and bare not in found:
            reason = f"column {name!a} would be left out, since it isn't named {bare!r}: rename it"
            raise InputError(path, reason)
    return chosen


def _hint(path: Path, missing: Sequence[str], found: Sequence[str]) -> str:
    """What the names of the columns that are there tell of those that aren't; "" for nothing."""
    first = found[0].strip(_AROUND) if found else ""
    for start, name in _OTHER_FORMATS.items():
        if first.startswith(start):
            return f": it looks like {name}, but should be CSV or Parquet"
    if first.lower().startswith("sep="):
        return f": the line {found[0]!r} is for spreadsheets only: remove it"
    # As names are written elsewhere: userId, USER_ID, " user_id".
    bare = {_plain(name): name for name in found}
    if set(missing) <= set(bare):
        return ": rename " + ", ".join(f"{bare[name]!a} to {name!r}" for name in missing)
    if other := separator_in(path, found, missing):
        return f": {other}"
    if found and all(_NUMBER.fullmatch(name) for name in found):
        return ": it looks as if the first row, which should name the columns, is missing"
    return ""


def separator_in(path: Path, found: Sequence[str], wanted: Collection[str] = ()) -> str:
    """Say which separator columns seem to have, by which these names are wanted ones; "" for none."""
    for separator in SEPARATORS:
        parts = [part.strip(_AROUND) for name in found for part in name.split(separator)]
        if len(parts) > len(found) and set(wanted) <= set(parts):
            return f"it looks as if {separator!r} separates the columns: {_remedy(path, separator)}"
    return ""


def _plain(name: str) -> str:
    """A name as it is here: userId is user_id."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[ -]+", "_", name.strip(_AROUND)).lower()


def _remedy(path: Path, separator: str) -> str:
    if separator == "\t":
        return "let the file's name end in .tsv"
    if ".tsv" in path.suffixes:
        return "let the file's name end in .csv" if separator == "," else "separate them by tabs"
    return "separate them by ',', or by tabs in a file whose name ends in .tsv"
