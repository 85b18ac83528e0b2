"""What programs write where a value is missing."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

MARKERS = frozenset(
    {"n/a", "#n/a", "na", "<na>", "nan", "nat", "null", "none", "nil", "undefined", "-", "?", "\\n"}
)
"""In lower case; the last is what MySQL and Hive write."""

_ALSO_WORDS = frozenset({"na", "none", "nil", "-", "?"})
"""Those that may be meant as a value among other texts."""


def is_marker(texts: pa.ChunkedArray, *, among_texts: bool = False) -> pa.ChunkedArray:
    """For each text, trimmed, whether it is such a marker, in letters of any case; never null.

    Args:
        texts: large_string.
        among_texts: leave out what is a word among other texts, such as "none".
    """
    known = MARKERS - _ALSO_WORDS if among_texts else MARKERS
    return pc.is_in(pc.utf8_lower(texts), pa.array(sorted(known), texts.type), skip_nulls=True)
