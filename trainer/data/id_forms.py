"""Explain how the same ids are written in two sources, to help users fix ids that don't match."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, takewhile
from operator import methodcaller
from typing import Protocol, TypeAlias

_COMPARED = 1000
"""The most ids that are compared on each side."""

_LONGEST = 40
"""The longest common prefix or suffix that is tried, in characters."""

# A form must fit at least this share of the ids.
_ENOUGH = 0.5
_SOME = 0.05

_Form: TypeAlias = tuple[str, Callable[[str], str]]
"""A description of a change, and a function that makes it to an id."""


class HasIds(Protocol):
    """A container that can say whether it has an id."""

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
    """Explain how ids are written in two sources, with an example of each.

    Args:
        before: ids of the first source that the second lacks; at most 1,000 are compared.
        now: ids of the second source; at most 1,000 are searched for a common prefix or suffix.
        known: all ids of the second source.
        where: the names of the two sources in the text.

    Returns:
        A clause such as "'3' before is '3.0' now: whole numbers became decimals", and True. If no form
        fits at least half of the ids, an example of both sources, and False. If a source is empty, ""
        and False.
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
    """Explain how kept ids appear a second time among the new ids, in another form.

    Args:
        kept: ids that both versions have; at most 1,000 are compared.
        new: ids that only the new version has; at most 1,000 are searched.
        known: all new ids.

    Returns:
        A clause such as "'3' also appears as '3.0': whole numbers became decimals"; "" if few do.
    """
    old, others = list(islice(kept, _COMPARED)), list(islice(new, _COMPARED))
    if old and others and (found := _find(old, others, known, least=_SOME)):
        example, written, what = found
        return f"{example!r} also appears as {written!r}: {what}"
    return ""


def _find(
    lost: Sequence[str], present: Sequence[str], known: HasIds, *, least: float
) -> tuple[str, str, str] | None:
    """Return an id, its new form and the change; None if no form fits enough ids."""
    most: list[tuple[str, str, str]] = []
    for what, write in (*_FORMS, *_affixes(lost, present), *_padded(lost, present)):
        written = ((own, write(own)) for own in lost)
        found = [(own, form, what) for own, form in written if form != own and form in known]
        most = found if len(found) > len(most) else most
    return most[0] if most and len(most) >= least * len(lost) else None


def _affixes(lost: Sequence[str], present: Sequence[str]) -> Iterable[_Form]:
    """Yield forms for a prefix or suffix that all ids of a side share."""
    # Numbers may share digits by chance.
    if all(own.isdigit() for own in (*lost, *present)):
        return
    # The ids themselves may begin alike, so try every length.
    for start in _shorter(_prefix(present)):
        yield f"prefix {start!r} was added", start.__add__
    for start in _shorter(_prefix(lost)):
        yield f"prefix {start!r} is gone", methodcaller("removeprefix", start)
    for end in _shorter(_suffix(present)[::-1]):
        yield f"suffix {end[::-1]!r} was added", methodcaller("__add__", end[::-1])
    for end in _shorter(_suffix(lost)[::-1]):
        yield f"suffix {end[::-1]!r} is gone", methodcaller("removesuffix", end[::-1])


def _padded(lost: Sequence[str], present: Sequence[str]) -> Iterable[_Form]:
    """Yield forms that pad numeric ids with zeros to a width."""
    for width in sorted({len(own) for own in present if own.isdigit()}):
        if any(len(own) < width for own in lost):
            yield "leading zeros were added", methodcaller("zfill", width)


def _shorter(text: str) -> Iterable[str]:
    """Return all prefixes of a text, the longest first."""
    return (text[:length] for length in range(len(text), 0, -1))


def _read_as(own: str, written: str, read: str) -> str:
    """Encode a text in one encoding and decode it in another; unchanged if that fails."""
    try:
        return own.encode(written).decode(read)
    except UnicodeError:
        return own


def _prefix(ids: Sequence[str]) -> str:
    """Return the common prefix of all ids."""
    # The smallest and the largest id share it, and so do all ids between them.
    pairs = zip(min(ids), max(ids), strict=False)
    alike = takewhile(lambda pair: pair[0] == pair[1], islice(pairs, _LONGEST))
    return "".join(one for one, _ in alike)


def _suffix(ids: Sequence[str]) -> str:
    return _prefix([own[::-1] for own in ids])[::-1]
