"""Ids that are likely to be a mistake, though ids are compared byte by byte and kept as they are.

Two ids that look the same are two users here, of which each has a part of what one user did; and all
whose id a program didn't know are one user, by the name of "nan".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainer.data.files import column_types

_INVISIBLE = "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
_SPACES = "[\u00a0\u2007\u202f]"
_SPREADSHEET = r"^[0-9]\.[0-9]+E\+[0-9]+$"
_FLOAT = r"^([0-9]+)\.0+$"
_PADDED = "^0+([0-9]+)$"
_EXAMPLES = 3


@dataclass(frozen=True)
class _Step:
    """A way to make ids that look the same equal.

    Attributes:
        what: they differ only in it.
        may_change: for each id whether `unify` may change it; quick.
        unify: makes the ids equal that differ only in that.
    """

    what: str
    may_change: Callable[[pa.Array], pa.Array]
    unify: Callable[[pa.Array], pa.Array]


def _is_not_ascii(ids: pa.Array) -> pa.Array:
    return pc.invert(pc.string_is_ascii(ids))


def _without_invisible(ids: pa.Array) -> pa.Array:
    ids = pc.replace_substring_regex(ids, _INVISIBLE, "")
    return pc.replace_substring_regex(ids, _SPACES, " ")


_STEPS = (
    _Step("Unicode normalisation", _is_not_ascii, lambda ids: pc.utf8_normalize(ids, "NFC")),
    _Step("invisible characters", _is_not_ascii, _without_invisible),
    _Step(
        "white space around them",
        lambda ids: pc.not_equal(ids, pc.utf8_trim_whitespace(ids)),
        pc.utf8_trim_whitespace,
    ),
    _Step(
        "'.0' at the end",
        lambda ids: pc.match_substring_regex(ids, _FLOAT),
        lambda ids: pc.replace_substring_regex(ids, _FLOAT, r"\1"),
    ),
    _Step(
        "zeros at the beginning",
        lambda ids: pc.match_substring_regex(ids, _PADDED),
        lambda ids: pc.replace_substring_regex(ids, _PADDED, r"\1"),
    ),
    _Step("upper and lower case", lambda ids: pc.not_equal(ids, pc.utf8_lower(ids)), pc.utf8_lower),
)


def warnings_of(
    kind: str, ids: Sequence[str], of_rows: NDArray[np.int64], others: Sequence[str] = ()
) -> list[str]:
    """What is odd about ids, in sentences with how many there are and up to three of them.

    Args:
        kind: "item" or "user".
        ids: distinct external ids.
        of_rows: of each interaction its id's position in `ids`.
        others: of a table of features; those that are among `ids` too count once.

    Returns:
        A sentence each for marks of a missing id, integers written as floats, numbers that a
        spreadsheet has shortened and ids with white space around them, and for ids that differ from
        another only in their Unicode normalisation, in invisible characters, in white space around
        them, in ".0" at the end, in zeros at the beginning, or in upper and lower case.
    """
    given = pc.unique(pa.array([*ids, *others], pa.large_string()))
    are_markers = column_types.is_marker(pc.utf8_trim_whitespace(given))
    marked = np.flatnonzero(are_markers.to_numpy(zero_copy_only=False))
    rows = int(np.isin(of_rows, marked).sum()) if len(marked) else 0
    sentences = [*_missing(kind, given.take(pa.array(marked)).to_pylist(), rows)]
    given = given.filter(pc.invert(are_markers))
    sentences += _forms(kind, given)
    alike = _Alike(given, given)
    for step in _STEPS:
        alike, pairs, examples = alike.after(step)
        if pairs:
            shown = ", ".join(f"{one!a} and {other!a}" for one, other in examples)
            left = pairs - len(examples)
            more = f" and {left} more such pair{'s' if left > 1 else ''}" if left else ""
            sentences.append(
                f"{kind} ids {shown}{more} differ only in {step.what}: they are different ids here"
            )
    return sentences


def missing_of(kind: str, ids: pa.Array) -> list[str]:
    """What to say of marks of a missing id among ids, large_string, whose model is trained already.

    What else `warnings_of` tells of can't be mended any more, and what may be a word is taken for one.
    """
    marked = ids.filter(column_types.is_marker(ids, among_texts=True))
    return [*_missing(kind, marked.to_pylist(), 0)]


@dataclass(frozen=True)
class _Alike:
    """Ids of which no two are equal after some steps.

    Attributes:
        ids: as they are given.
        unified: what the steps made of them, distinct.
    """

    ids: pa.Array
    unified: pa.Array

    def after(self, step: _Step) -> tuple[_Alike, int, list[tuple[str, str]]]:
        """What one more step leaves, how many ids became equal to one before, and examples of pairs."""
        rows = np.flatnonzero(step.may_change(self.unified).to_numpy(zero_copy_only=False))
        before = self.unified.take(pa.array(rows))
        made = step.unify(before)
        is_changed = pc.not_equal(before, made)
        rows, made = rows[is_changed.to_numpy(zero_copy_only=False)], made.filter(is_changed)
        if not len(rows):
            return self, 0, []
        mask = np.zeros(len(self.unified), dtype=bool)
        mask[rows] = True
        unified = pc.replace_with_mask(self.unified, pa.array(mask), made)
        # What was changed, and what it may be equal to now.
        near = np.flatnonzero(pc.is_in(unified, made).to_numpy(zero_copy_only=False))
        encoded = unified.take(pa.array(near)).dictionary_encode()
        codes = encoded.indices.to_numpy()
        first = np.empty(len(encoded.dictionary), dtype=np.int64)
        # The first of those that have the same code is written last.
        first[codes[::-1]] = near[::-1]
        again = near[first[codes] != near]
        if not len(again):
            return _Alike(self.ids, unified), 0, []
        firsts = first[codes[np.searchsorted(near, again[:_EXAMPLES])]]
        examples = [
            (self.ids[one].as_py(), self.ids[other].as_py())
            for one, other in zip(firsts.tolist(), again.tolist(), strict=False)
        ]
        kept = np.ones(len(unified), dtype=bool)
        kept[again] = False
        chosen = pa.array(kept)
        return _Alike(self.ids.filter(chosen), unified.filter(chosen)), len(again), examples


def _missing(kind: str, found: Sequence[str], rows: int) -> Iterator[str]:
    if found:
        where = f" in {rows} row{'s' if rows > 1 else ''}" if rows else ""
        are = f"{kind} ids {_shown(found)}{where} look like marks of a missing id"
        yield f"{are}: each is one {kind} like any other; leave such rows out"


def _forms(kind: str, ids: pa.Array) -> Iterator[str]:
    are_floats = pc.match_substring_regex(ids, _FLOAT)
    are_short = pc.match_substring_regex(ids, _SPREADSHEET)
    have_space = pc.not_equal(ids, pc.utf8_trim_whitespace(ids))
    for mask, share, what in (
        # Of some it may be meant, such as versions; of most it isn't.
        (are_floats, 0.5, "are integers written as floats, as dataframes do when one is missing"),
        (are_short, 0.0, "are numbers that a spreadsheet has shortened, so that several are one"),
        (have_space, 0.0, "have white space around them, which is a part of the id"),
    ):
        found = ids.filter(mask)
        if len(found) > share * len(ids):
            shown = _shown(found[:_EXAMPLES].to_pylist(), count=len(found))
            yield f"{kind} ids {shown} of {len(ids)} {what}"


def _shown(ids: Sequence[str], *, count: int | None = None) -> str:
    """Up to three of them, and how many more there are."""
    examples = ", ".join(ascii(own) for own in ids[:_EXAMPLES])
    more = (count or len(ids)) - min(len(ids), _EXAMPLES)
    return f"{examples} and {more} more" if more else examples
