"""Arrow's many types of a column as the few that readers tell apart."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MARKERS = frozenset(
    {"n/a", "#n/a", "na", "<na>", "nan", "nat", "null", "none", "nil", "undefined", "-", "?", "\\n"}
)
"""What programs write where a value is missing, in lower case; the last is MySQL's and Hive's."""

_ALSO_WORDS = frozenset({"na", "none", "nil", "-", "?"})
"""Those that may be meant as a value among other texts."""

_UUID_BYTES = 16
# Where a group of its digits begins and ends.
_UUID_GROUPS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
_WHOLE_BELOW = float(2**53)


def is_text(kind: pa.DataType) -> bool:
    """Whether it is one of Arrow's types of text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_list(kind: pa.DataType) -> bool:
    """Whether it is one of Arrow's types of list."""
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def is_integer(kind: pa.DataType) -> bool:
    """Whether it holds integers only: databases write large ones as decimals without a fraction."""
    return bool(pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0))


def is_number(kind: pa.DataType) -> bool:
    """Whether it is a type of numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def decoded(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The values themselves, of a type that isn't a disguise of another.

    Codes become what they stand for, and UUIDs text, as databases show them. Extension types become
    what they are stored as. A column of no type, in which all is missing, becomes text.
    """
    kind = values.type
    if isinstance(values, pa.ChunkedArray) and (
        _is_uuid(kind) or isinstance(kind, pa.BaseExtensionType)
    ):
        return pa.chunked_array([decoded(chunk) for chunk in values.chunks], decoded_type(kind))
    if isinstance(kind, pa.BaseExtensionType):
        return decoded(values.storage)
    if pa.types.is_dictionary(kind):
        return decoded(values.cast(kind.value_type))
    if pa.types.is_null(kind):
        return values.cast(pa.large_string())
    return _uuid_texts(values) if _is_uuid(kind) else values


def decoded_type(kind: pa.DataType) -> pa.DataType:
    """The type of what `decoded` makes of a column."""
    if isinstance(kind, pa.BaseExtensionType):
        return decoded_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return decoded_type(kind.value_type)
    return pa.large_string() if pa.types.is_null(kind) or _is_uuid(kind) else kind


def is_whole(values: pa.ChunkedArray) -> bool:
    """Whether a floating column holds integers and nothing else that is there.

    Dataframes write a column of integers so when one is missing. From 2**53 on a float can't tell
    neighbouring integers apart, so such a column isn't whole.
    """
    if not pa.types.is_floating(values.type):
        return False
    found = values.cast(pa.float64()).drop_null().to_numpy()
    found = found[~np.isnan(found)]
    return bool(
        found.size and (np.abs(found) < _WHOLE_BELOW).all() and (found == np.trunc(found)).all()
    )


def has_text(kind: pa.DataType) -> bool:
    """Whether `as_text` takes a decoded column of that type: one of single values, but not of bytes."""
    return (
        is_text(kind)
        or is_number(kind)
        or bool(pa.types.is_boolean(kind) or pa.types.is_temporal(kind))
    )


def as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A decoded column of a type that `has_text` as text, null where a value is missing.

    Floats are written as Python does, but as integers where all of the column are. NaN is missing.
    """
    kind = values.type
    if is_text(kind) or is_integer(kind):
        return values.cast(pa.large_string())
    if pa.types.is_boolean(kind):
        return pc.if_else(values, "True", "False").cast(pa.large_string())
    if pa.types.is_floating(kind):
        values = values.cast(pa.float64())
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
        if is_whole(values):
            return values.cast(pa.int64()).cast(pa.large_string())
    texts = [None if value is None else str(value) for value in values.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.large_string())])


def is_marker(texts: pa.ChunkedArray, *, among_texts: bool = False) -> pa.ChunkedArray:
    """For each text, trimmed, whether it marks a missing value, in letters of any case; never null.

    Args:
        texts: large_string.
        among_texts: leave out what is a word among other texts, such as "none".
    """
    known = MARKERS - _ALSO_WORDS if among_texts else MARKERS
    return pc.is_in(pc.utf8_lower(texts), pa.array(sorted(known), texts.type), skip_nulls=True)


def _is_uuid(kind: pa.DataType) -> bool:
    # Arrow's datasets, drivers of databases and old writers leave out that such bytes are a UUID.
    return bool(pa.types.is_fixed_size_binary(kind) and kind.byte_width == _UUID_BYTES)


def _uuid_texts(values: pa.Array) -> pa.Array:
    # Where a value is missing there may be no bytes.
    filled = pc.fill_null(values, bytes(_UUID_BYTES))
    ends = (np.array([0, len(filled)]) + filled.offset) * _UUID_BYTES
    digits = memoryview(filled.buffers()[1] or b"")[slice(*ends)].hex().encode()
    offsets = np.arange(len(filled) + 1, dtype=np.int64) * 2 * _UUID_BYTES
    whole = pa.LargeStringArray.from_buffers(len(filled), pa.py_buffer(offsets), pa.py_buffer(digits))
    groups = [pc.utf8_slice_codeunits(whole, first, end) for first, end in _UUID_GROUPS]
    made = pc.binary_join_element_wise(*groups, pa.scalar("-", pa.large_string()))
    return pc.if_else(values.is_valid(), made, pa.scalar(None, pa.large_string()))
