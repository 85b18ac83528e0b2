"""Reduce the many column types of Arrow to the few that the readers distinguish."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MARKERS = frozenset(
    {"n/a", "#n/a", "na", "<na>", "nan", "nat", "null", "none", "nil", "undefined", "-", "?", "\\n"}
)
"""Markers of a missing value that programs write, in lower case. MySQL and Hive write the last."""

NUMBER = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"
"""A finite number as Arrow reads it."""

_ALSO_WORDS = frozenset({"na", "none", "nil", "-", "?"})
"""The markers that may be real values among other texts."""

_UUID_BYTES = 16
# Where each group of the hexadecimal digits begins and ends.
_UUID_GROUPS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
_WHOLE_BELOW = float(2**53)


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is a list."""
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def is_integer(kind: pa.DataType) -> bool:
    """Whether a type has only integers; databases write large ones as decimals without a fraction."""
    return bool(pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0))


def is_number(kind: pa.DataType) -> bool:
    """Whether a type is numeric."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def decoded(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Decode a column to a plain type.

    Dictionary codes become their values, UUIDs become text as databases show it, and extension types
    become their storage type. A column of type null becomes text.
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
    """Return the type of a column after `decoded`."""
    if isinstance(kind, pa.BaseExtensionType):
        return decoded_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return decoded_type(kind.value_type)
    return pa.large_string() if pa.types.is_null(kind) or _is_uuid(kind) else kind


def is_whole(values: pa.ChunkedArray) -> bool:
    """Whether all values of a float column are integers; missing values don't count.

    Dataframes write integers as floats if one is missing. From 2**53 on, floats can't represent every
    integer, so a column with such values isn't whole.
    """
    if not pa.types.is_floating(values.type):
        return False
    found = values.cast(pa.float64()).drop_null().to_numpy()
    found = found[~np.isnan(found)]
    return bool(
        found.size and (np.abs(found) < _WHOLE_BELOW).all() and (found == np.trunc(found)).all()
    )


def has_text(kind: pa.DataType) -> bool:
    """Whether `as_text` accepts a decoded column of this type: single values, but not bytes."""
    return (
        is_text(kind)
        or is_number(kind)
        or bool(pa.types.is_boolean(kind) or pa.types.is_temporal(kind))
    )


def as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert a decoded column whose type `has_text` to text; null for a missing value.

    Floats are written as by Python, or as integers if all values of the column are whole. NaN is
    missing.
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
    """Return a mask of the texts that mark a missing value, in any case; it has no null.

    Args:
        texts: large_string, trimmed.
        among_texts: whether words such as "none" count as values.
    """
    known = MARKERS - _ALSO_WORDS if among_texts else MARKERS
    return pc.is_in(pc.utf8_lower(texts), pa.array(sorted(known), texts.type), skip_nulls=True)


def _is_uuid(kind: pa.DataType) -> bool:
    # Arrow datasets, database drivers and old writers don't mark such bytes as a UUID.
    return bool(pa.types.is_fixed_size_binary(kind) and kind.byte_width == _UUID_BYTES)


def _uuid_texts(values: pa.Array) -> pa.Array:
    # A missing value may have no bytes.
    filled = pc.fill_null(values, bytes(_UUID_BYTES))
    ends = (np.array([0, len(filled)]) + filled.offset) * _UUID_BYTES
    digits = memoryview(filled.buffers()[1] or b"")[slice(*ends)].hex().encode()
    offsets = np.arange(len(filled) + 1, dtype=np.int64) * 2 * _UUID_BYTES
    whole = pa.LargeStringArray.from_buffers(len(filled), pa.py_buffer(offsets), pa.py_buffer(digits))
    groups = [pc.utf8_slice_codeunits(whole, first, end) for first, end in _UUID_GROUPS]
    made = pc.binary_join_element_wise(*groups, pa.scalar("-", pa.large_string()))
    return pc.if_else(values.is_valid(), made, pa.scalar(None, pa.large_string()))
