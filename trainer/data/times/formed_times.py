"""Read columns of times of one form."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainer.data.files import column_types, tables
from trainer.data.files.column_types import NUMBER
from trainer.data.times.date_formats import DateFormat


def seconds_or_nan(values: pa.ChunkedArray, form: DateFormat | None) -> NDArray[np.float64]:
    """Return seconds since 1970 of a decoded column of numbers or text; NaN for another form.

    Without a form, numbers are seconds since 1970, and text is ISO 8601.
    """
    if not column_types.is_text(values.type):
        values = column_types.as_text(values)
    # Many rows may have the same time.
    encoded = pc.dictionary_encode(tables.trimmed(values))
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    distinct = encoded.dictionary
    found = np.full(len(distinct) + 1, np.nan)
    if form is None or form.per_second is not None:
        matching = pc.fill_null(pc.match_substring_regex(distinct, NUMBER), fill_value=False)
        numbers = pc.if_else(matching, distinct, pa.scalar(None, distinct.type)).cast(pa.float64())
        found[:-1] = numbers.to_numpy(zero_copy_only=False)
        found /= 1.0 if form is None else form.per_second
    if form is None or form.per_second is None:
        parse = (form or DateFormat()).seconds
        for place in np.flatnonzero(np.isnan(found[:-1])).tolist():
            found[place] = parse(distinct[place].as_py())
    places: NDArray[np.int64] = pc.fill_null(encoded.indices, len(distinct)).to_numpy(
        zero_copy_only=False
    )
    return found[places]
