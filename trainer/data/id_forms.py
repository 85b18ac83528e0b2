"""How ids of one source are written in another: what to tell whoever finds few of them there."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, takewhile
from operator import methodcaller
from typing import Protocol, TypeAlias

_COMPARED = 1000
"""How many ids are looked at on either side."""

_LONGEST = 40
"""Of what ids have in common at an end, so many characters are tried."""

# Of fewer a form isn't what happened to all.
_ENOUGH = 0.5
_SOME = 0.05

_Form: TypeAlias = tuple[str, Callable[[str], str]]
"""What became of ids, and a way to write an id so."""


class HasIds(Protocol):
    """What tells whether it has an id."""

    def __contains__(self, external_id: str, /) -> bool: ...


_FORMS: tuple[_Form, ...] = (
    ("whole numbers became decimals", lambda own: f"{own}.0"),
    ("decimals became whole numbers", lambda own: own.removesuffix(".0")),
    ("leading zeros are lost", lambda own: own.lstrip("0") or "0"),
    ("white space around them is gone", str.strip),
    ("quotes around them are gone", lambda own: own.strip("\"'")),
    ("quotes around them were added", lambda own: f'"{own}"'),
    ("quotes around them were added", lambda own: f"'{own}'"),
    ("UTF-8 was read as Latin-1", lambda own: _read_as(own, "utf-8", "latin-1")),
    ("UTF-8 was read as Windows-1252", lambda own: _read_as(own, "utf-8", "cp1252")),
    ("it was UTF-8 read as Latin-1", lambda own: _read_as(own, "latin-1", "utf-8")),
    ("they are in lower case", str.lower),
    ("they are in upper case", str.upper),
    ("Unicode is normalised (NFC)", lambda own: unicodedata.normalize("NFC", own)),
    ("Unicode is decomposed (NFD)", lambda own: unicodedata.normalize("NFD", own)),
)


def explain(
    before: Iterable[str],
    now: Iterable[str],
    known: HasIds,
    *,
    where: tuple[str, str] = ("before", "now"),
) -> tuple[str, bool]:
    """Say how ids are written in two sources, with an example of each, and whether that is known.

    Args:
        before: ids of the first source that the second doesn't have; the first 1,000 are looked at.
        now: ids of the second source; the first 1,000 are looked at for what they have in common.
        known: all ids of the second source.
        where: what to call the two sources.

    Returns:
        A clause such as "'3' before is '3.0' now: whole numbers became decimals", and True. Where no
        form fits at least half of the ids, an example of both, and False; empty when either side is.
    """
    lost, present = list(islice(before, _COMPARED)), list(islice(now, _COMPARED))
    if not lost or not present:
        return "", False
    found = _find(lost, present, known, least=_ENOUGH)
    if found is None:
        return f"for example {lost[0]!r} {where[0]} and {present[0]!r} {where[1]}", False
    example, written, what = found
    return f"{example!r} {where[0]} is {written!r} {where[1]}: {what}", True


def doubles(kept: Iterable[str], new: Iterable[str], known: HasIds) -> str:
    """Say how ids that are still there are there in another form too, among those that are new.

    Args:
        kept: ids that are still there; the first 1,000 are looked at.
        new: ids that weren't there before; likewise.
        known: all of the new ones.

    Returns:
        A clause such as "'3' is there as '3.0' too: whole numbers became decimals"; empty when few are.
    """
    old, others = list(islice(kept, _COMPARED)), list(islice(new, _COMPARED))
    if old and others and (found := _find(old, others, known, least=_SOME)):
        example, written, what = found
        return f"{example!r} is there as {written!r} too: {what}"
    return ""


def _find(
    lost: Sequence[str], present: Sequence[str], known: HasIds, *, least: float
) -> tuple[str, str, str] | None:
    """An id, how it is written now, and what became of it; None when too few fit any form."""
    most: list[tuple[str, str, str]] = []
    for what, write in (*_FORMS, *_affixes(lost, present), *_padded(lost, present)):
        written = ((own, write(own)) for own in lost)
        found = [(own, form, what) for own, form in written if form != own and form in known]
        most = found if len(found) > len(most) else most
    return most[0] if most and len(most) >= least * len(lost) else None


def _affixes(lost: Sequence[str], present: Sequence[str]) -> Iterable[_Form]:
    """Forms by what all ids of a side begin or end with."""
    # Numbers may be longer than others by chance.
    if all(own.isdigit() for own in (*lost, *present)):
        return
    # Ids may begin alike by themselves, so every length is tried.
    for start in _shorter(_prefix(present)):
        yield f"prefix {start!r} was added", start.__add__
    for start in _shorter(_prefix(lost)):
        yield f"prefix {start!r} is gone", methodcaller("removeprefix", start)
    for end in _shorter(_suffix(present)[::-1]):
        yield f"suffix {end[::-1]!r} was added", methodcaller("__add__", end[::-1])
    for end in _shorter(_suffix(lost)[::-1]):
        yield f"suffix {end[::-1]!r} is gone", methodcaller("removesuffix", end[::-1])


def _padded(lost: Sequence[str], present: Sequence[str]) -> Iterable[_Form]:
    """Forms by the widths of ids that are digits."""
    for width in sorted({len(own) for own in present if own.isdigit()}):
        if any(len(own) < width for own in lost):
            yield "leading zeros were added", methodcaller("zfill", width)


def _shorter(text: str) -> Iterable[str]:
    """A text, and all that it begins with, the longest first."""
    return (text[:length] for length in range(len(text), 0, -1))


def _read_as(own: str, written: str, read: str) -> str:
    """A text as bytes in one encoding, read in another; unchanged where that can't be."""
    try:
        return own.encode(written).decode(read)
    except UnicodeError:
        return own


def _prefix(ids: Sequence[str]) -> str:
    """What all ids begin with."""
    # What these two have in common, all between them have.
    pairs = zip(min(ids), max(ids), strict=False)
    alike = takewhile(lambda pair: pair[0] == pair[1], islice(pairs, _LONGEST))
    return "".join(one for one, _ in alike)


def _suffix(ids: Sequence[str]) -> str:
    return _prefix([own[::-1] for own in ids])[::-1]
