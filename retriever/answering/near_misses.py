"""Suggest known texts that a caller may have meant by an unknown one, in bounded time.

Texts that differ only in spelling are looked up, which takes microseconds in a map of any size. Texts
that differ by one or two typing mistakes are searched among a few hundred with the same beginning.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice

from lightfm_retriever.publication.storage.id_map import AnyIds

MOST = 3
"""The largest number of suggestions."""

# Longer texts are seldom typed by hand, and take longer to compare.
_LONGEST = 40
# How many texts with the same beginning are compared, and how many without a common beginning.
_SCANNED = 30
_SCANNED_OF_ALL = 100
# From this length on, two mistakes are allowed: most of the text is still the same.
_LONG = 5


def spelled_otherwise(asked: str, known: AnyIds, *, prefix: str = "") -> list[str]:
    """Return known texts that differ only in case, spaces, Unicode form, leading zeros or ".0".

    Their number is limited to MOST. `prefix` is the beginning of the keys of `known`; it isn't part of
    the texts.
    """
    if len(asked) > _LONGEST:
        return []
    found = (
        one for one in dict.fromkeys(_spellings(asked)) if one and known.row(prefix + one) is not None
    )
    return list(islice(found, MOST))


def near_misses(asked: str, known: AnyIds, *, prefix: str = "") -> list[str]:
    """Return the same, then texts that differ by one or two typing mistakes, nearest first."""
    if len(asked) > _LONGEST:
        return []
    spelled = spelled_otherwise(asked, known, prefix=prefix)
    wanted, most = asked.casefold(), 2 if len(asked) >= _LONG else 1
    found: dict[str, int] = {}
    for start in dict.fromkeys((asked[:-1], asked[:-2], asked[:2], asked[:1], "")):
        scanned = _SCANNED if start else _SCANNED_OF_ALL
        for key in islice(known.starting_with(prefix + start), scanned):
            text = key[len(prefix) :]
            if text not in found:
                found[text] = _distance(wanted, text.casefold(), most)
    near = sorted((far, text) for text, far in found.items() if far <= most)
    return list(dict.fromkeys([*spelled, *(text for _, text in near)]))[:MOST]


def near_names(asked: str, names: Sequence[str]) -> list[str]:
    """Return the names that differ by one or two typing mistakes, nearest first."""
    if len(asked) > _LONGEST:
        return []
    wanted, most = asked.strip().casefold(), 2 if len(asked) >= _LONG else 1
    found = sorted((_distance(wanted, name.casefold(), most), name) for name in names[:_SCANNED_OF_ALL])
    return [name for far, name in found if far <= most][:MOST]


def in_words(near: Sequence[str]) -> str:
    """Return the suggestions as the end of a message; empty if there are none."""
    if not near:
        return ""
    return f" (did you mean {' or '.join(map(repr, near))}?)"


def _spellings(asked: str) -> Iterator[str]:
    plain = " ".join(asked.split())
    for text in (plain, unicodedata.normalize("NFC", plain), unicodedata.normalize("NFD", plain)):
        yield from (text, text.lower(), text.upper(), text.title(), text.capitalize())
    column, colon, value = plain.partition(":")
    if colon:
        # A feature, "column:value".
        stripped = f"{column.strip()}:{value.strip()}"
        yield from (stripped, f"{column.strip().lower()}:{value.strip()}")
        yield from (f"{column.strip()}:{value.strip().upper()}", f"{column}:{value.strip().title()}")
    whole = plain.removesuffix(".0")
    if whole.isascii() and whole.isdigit():
        yield from (whole, whole.lstrip("0") or "0")


def _distance(one: str, other: str, most: int) -> int:
    """Count the letters added, missing, changed or swapped between two texts.

    A result above `most` only means that there are more than `most`.
    """
    # Cheap tests first: most pairs of texts differ much.
    if abs(len(one) - len(other)) > most or len(set(one) ^ set(other)) > 2 * most:
        return most + 1
    begin = 0
    while begin < min(len(one), len(other)) and one[begin] == other[begin]:
        begin += 1
    one, other = one[begin:], other[begin:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    before: list[int] = []
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, start=1):
        # Few mistakes are possible only near the diagonal.
        first, last = max(1, place - most), min(len(other), place + most)
        before_that, before = before, row
        row = [most + 1] * (len(other) + 1)
        row[0] = place
        for other_place in range(first, last + 1):
            other_letter = other[other_place - 1]
            least = min(
                before[other_place] + 1,
                row[other_place - 1] + 1,
                before[other_place - 1] + (letter != other_letter),
            )
            if (
                place > 1
                and other_place > 1
                and letter == other[other_place - 2]
                and one[place - 2] == other_letter
            ):
                least = min(least, before_that[other_place - 2] + 1)
            row[other_place] = least
        if min(row) > most:
            return most + 1
    return row[-1]
