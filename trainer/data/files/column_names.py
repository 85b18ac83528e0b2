"""Choose the columns of a file to read, and explain missing or misspelled names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from trainer.data.files import known_names
from trainer.data.files.layout import shown_separator
from trainer.errors import InputError

SEPARATORS = (";", "\t", "|", ",", " ")
"""The separators that other programs write between columns, or between several values of one."""

_AROUND = " \t\r\n\v\f\xa0\u200b\u2060\ufeff\"'"
_NUMBER = re.compile(r"\s*[-+]?[0-9]+([.,][0-9]+)?\s*")
_OTHER_FORMATS = {"{": "JSON", "[": "JSON", "<": "HTML or XML"}


def wanted(
    path: Path,
    found: list[str],
    required: Collection[str],
    optional: Collection[str] | None,
    *,
    flags: str = "",
) -> list[str]:
    """Return the found columns that are required or optional (None: all), in their order.

    `flags` is the beginning of the flags for this file; "" if it has none.

    Raises:
        InputError: a required column is missing, a column is repeated, or the name of an optional
            column differs in case, space or quotes, so it would be ignored.
    """
    # A column may be required for two reasons.
    missing = [name for name in dict.fromkeys(required) if name not in found]
    if missing:
        raise InputError(
            path,
            f"column {', '.join(missing)} is missing; the columns are: {listed(found)}"
            + _hint(path, missing, found, flags),
        )
    chosen = [name for name in found if optional is None or name in required or name in optional]
    twice = sorted({name for name in chosen if found.count(name) > 1})
    if twice:
        raise InputError(path, f"column {', '.join(twice)} is there more than once")
    for name in found:
        bare = name.strip(_AROUND).lower()
        if name != bare and bare in (optional or ()) and bare not in found:
            reason = f"column {name!a} would be ignored, since its name isn't {bare!r}: rename it"
            raise InputError(path, reason)
    return chosen


def _inspect(path: Path, flags: str) -> str:
    return f", or see 'lightfm-trainer inspect {path}'" if flags else ""


def listed(found: Sequence[str]) -> str:
    """List columns, without those that a header leaves out."""
    return ", ".join(name for name in found if not name.startswith("\0"))


def _hint(path: Path, missing: Sequence[str], found: Sequence[str], flags: str) -> str:
    """Explain missing columns by the names of the found ones; "" if they don't explain it."""
    first = found[0].strip(_AROUND) if found else ""
    for start, name in _OTHER_FORMATS.items():
        if first.startswith(start):
            reason = f": it looks like {name}, but should be CSV or Parquet"
            return reason + (", or have a JSON object on each line" if name == "JSON" else "")
    if first.lower().startswith("sep="):
        return f": the line {found[0]!r} is for spreadsheets only: remove it"
    # Other spellings: userId, USER_ID, " user_id".
    bare = {_plain(name): name for name in found}
    if set(missing) <= set(bare):
        return ": rename " + ", ".join(f"{bare[name]!a} to {name!r}" for name in missing)
    if other := separator_in(path, found, missing, flags=flags):
        return f": {other}"
    if found and all(_NUMBER.fullmatch(name) for name in found):
        add = "add a first row with the names of the columns"
        if flags:
            add = f"give them by {flags}header {','.join(missing)},..."
        return f": the header seems to be missing: {add}{_inspect(path, flags)}"
    if not flags:
        return ""
    given = ",".join(f"{name}=COLUMN" for name in missing)
    return f": give {flags}columns {given}{_inspect(path, flags)}"


def separator_in(
    path: Path, found: Sequence[str], wanted: Collection[str] = (), *, flags: str = ""
) -> str:
    """Name another separator that would split the header into the wanted columns; "" if none does.

    `flags` is the beginning of the flags for this file; "" if it has none.
    """
    for separator in SEPARATORS:
        parts = [part.strip(_AROUND) for name in found for part in name.split(separator)]
        usual = {own for own in wanted if flags and known_names.recognised(own, parts, in_table=False)}
        if len(parts) > len(found) and set(wanted) <= {*parts, *usual}:
            remedy = f"give {flags}separator {shlex.quote(shown_separator(separator))}"
            if not flags:
                remedy = _remedy(path, separator)
            return f"{separator!r} seems to separate the columns: {remedy}"
    return ""


def _plain(name: str) -> str:
    """Return a name in this project's spelling: user_id for userId."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[ -]+", "_", name.strip(_AROUND)).lower()


def _remedy(path: Path, separator: str) -> str:
    if separator == "\t":
        return "rename the file to end in .tsv"
    if ".tsv" in path.suffixes:
        return "rename the file to end in .csv" if separator == "," else "separate them by tabs"
    return "separate them by ',', or by tabs in a file whose name ends in .tsv"
