"""Warn of ids that are likely to be mistakes. Ids are compared byte by byte and never changed.

Two ids that look alike are two users here, and each has a part of the interactions of one person. If a
program writes "nan" for unknown ids, all those interactions become one user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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


def _without_invisible(ids: pa.Array) -> pa.Array:
    ids = pc.replace_substring_regex(ids, _INVISIBLE, "")
    return pc.replace_substring_regex(ids, _SPACES, " ")


# Functions that remove one difference between ids, by its name: for ids beyond ASCII, and for all ids.
_BEYOND_ASCII: dict[str, Callable[[pa.Array], pa.Array]] = {
    "Unicode normalisation": lambda ids: pc.utf8_normalize(ids, "NFC"),
    "invisible characters": _without_invisible,
}
_STEPS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "white space around them": pc.utf8_trim_whitespace,
    "'.0' at the end": lambda ids: pc.replace_substring_regex(ids, _FLOAT, r"\1"),
    "zeros at the beginning": lambda ids: pc.replace_substring_regex(ids, _PADDED, r"\1"),
    "upper and lower case": pc.utf8_lower,
}


def warnings_of(
    kind: str, ids: Sequence[str], of_rows: NDArray[np.int64], others: Sequence[str] = ()
) -> list[str]:
    """Warn of suspicious ids, with their number and up to three examples.

    Args:
        kind: "item" or "user".
        ids: distinct external ids.
        of_rows: for each interaction the position of its id in `ids`.
        others: ids of a table of features; ids that are also in `ids` count once.

    Returns:
        One sentence for each finding: markers of a missing id, integers written as floats, numbers that
        a spreadsheet shortened, ids with white space around them, and ids that differ only in one of
        the `_STEPS`.
    """
    given = pc.unique(pa.array([*ids, *others], pa.large_string()))
    are_markers = column_types.is_marker(pc.utf8_trim_whitespace(given))
    marked = np.flatnonzero(are_markers.to_numpy(zero_copy_only=False))
    rows = int(np.isin(of_rows, marked).sum()) if len(marked) else 0
    sentences = [*_missing(kind, given.take(pa.array(marked)).to_pylist(), rows)]
    given = given.filter(pc.invert(are_markers))
    sentences += _forms(kind, given)
    is_ascii = pc.all(pc.string_is_ascii(given)).as_py()
    unified = given
    for what, unify in (_STEPS if is_ascii else _BEYOND_ASCII | _STEPS).items():
        before, unified = unified, unify(unified)
        firsts, again = _repeated(before, unified)
        if len(again):
            examples = zip(firsts[:_EXAMPLES].tolist(), again[:_EXAMPLES].tolist(), strict=True)
            shown = ", ".join(
                f"{given[one].as_py()!a} and {given[other].as_py()!a}" for one, other in examples
            )
            left = len(again) - _EXAMPLES
            more = f" and {left} more such pair{'s' if left > 1 else ''}" if left > 0 else ""
            sentences.append(
                f"{kind} ids {shown}{more} differ only in {what}: they are different ids here"
            )
            # Keep one id of each pair for the next step.
            kept = np.ones(len(given), dtype=bool)
            kept[again] = False
            given, unified = (own.filter(pa.array(kept)) for own in (given, unified))
    return sentences


def missing_of(kind: str, ids: pa.Array) -> list[str]:
    """Warn of markers of a missing id among the ids (large_string) of a trained model.

    Ids of a trained model can't change any more, so other findings are left out. A marker that may be a
    word counts as a word.
    """
    marked = ids.filter(column_types.is_marker(ids, among_texts=True))
    return [*_missing(kind, marked.to_pylist(), 0)]


def _repeated(before: pa.Array, unified: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find ids that became equal to earlier ones.

    Returns:
        Positions of the earlier ids, and the ascending positions of the ids that equal them now.
    """
    changed = unified.filter(pc.not_equal(before, unified))
    # The changed ids, and the ids that they may now equal.
    near = np.flatnonzero(pc.is_in(unified, changed).to_numpy(zero_copy_only=False))
    encoded = unified.take(pa.array(near)).dictionary_encode()
    codes = encoded.indices.to_numpy()
    first = np.empty(len(encoded.dictionary), dtype=np.int64)
    # Written backwards, the first position of each code remains.
    first[codes[::-1]] = near[::-1]
    is_again = first[codes] != near
    return first[codes[is_again]], near[is_again]


def _missing(kind: str, found: Sequence[str], rows: int) -> Iterator[str]:
    if found:
        where = f" in {rows} row{'s' if rows > 1 else ''}" if rows else ""
        are = f"{kind} ids {_shown(found)}{where} look like markers of a missing id"
        yield f"{are}: each counts as one {kind}; leave such rows out"


def _forms(kind: str, ids: pa.Array) -> Iterator[str]:
    are_floats = pc.match_substring_regex(ids, _FLOAT)
    are_short = pc.match_substring_regex(ids, _SPREADSHEET)
    have_space = pc.not_equal(ids, pc.utf8_trim_whitespace(ids))
    for mask, share, what in (
        # A few ids may be written so on purpose, such as versions; most ids aren't.
        (are_floats, 0.5, "are integers written as floats, as dataframes do when one is missing"),
        (are_short, 0.0, "are numbers that a spreadsheet has shortened, so several ids became one"),
        (have_space, 0.0, "have white space around them, which is part of the id"),
    ):
        found = ids.filter(mask)
        if len(found) > share * len(ids):
            shown = _shown(found[:_EXAMPLES].to_pylist(), count=len(found))
            yield f"{kind} ids {shown} of {len(ids)} {what}"


def _shown(ids: Sequence[str], *, count: int | None = None) -> str:
    """Show up to three ids, and the number of further ones."""
    examples = ", ".join(ascii(own) for own in ids[:_EXAMPLES])
    more = (count or len(ids)) - min(len(ids), _EXAMPLES)
    return f"{examples} and {more} more" if more else examples
