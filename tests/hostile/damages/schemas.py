"""Parquet of other types: most are as good as the usual ones, some aren't."""

import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from tests.hostile.damage import kind
from tests.hostile.draft import ALL, HALF, LOG, PEOPLE, Draft, split
from tests.hostile.writing import PARQUET

_FOLDER = ("folder",)
_TYPED = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint32": pa.uint32(),
    "decimal": pa.decimal128(20, 0),
    "double": pa.float64(),
    "text": pa.string(),
    "large text": pa.large_string(),
    "codes": pa.dictionary(pa.int32(), pa.string()),
    "codes of integers": pa.dictionary(pa.int32(), pa.int64()),
    "bytes": pa.binary(),
}
_SIDES = ("user_id", "item_id")
_BY_WEIGHT = ("weights", "plain")


def _set(values: pa.Table, column: str, made: pa.Array) -> pa.Table:
    return values.set_column(values.column_names.index(column), column, made)


def _cast(own: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return own.cast(kind.value_type).dictionary_encode()
    if pa.types.is_binary(kind):
        own = own.cast(pa.string())
    return own.cast(kind)


def _replaced(draft: Draft, column: str, make: Any, parts: str = ALL, *, table: str = LOG) -> None:
    def change(values: pa.Table) -> pa.Table:
        return _set(values, column, make(values.column(column)))

    draft.as_arrow(lambda values: split(values, change, parts), table=table)


def _retyped(
    name: str,
    column: str,
    forms: Mapping[str, Callable[[Any], Any]],
    *,
    parts: str = ALL,
    table: str = LOG,
    **options: Any,
) -> None:
    """Register a kind that writes a column, or that of a `side`, in another type, or its last part."""

    def apply(draft: Draft, *, form: str, side: str = column) -> str:
        _replaced(draft, side, forms[form], parts, table=table)
        return rf"\b{side}\b"

    kind(name, **{"sources": PARQUET, **options}, form=(*forms,))(apply)


def _ids_as(name: str, *forms: str, **options: Any) -> None:
    casts = {form: partial(_cast, kind=_TYPED[form]) for form in forms}
    _retyped(name, "", casts, side=_SIDES, **options)


_of_integers: dict[str, Any] = {"sources": _FOLDER, "styles": ("integer",)}
_SIZES = ("int32", "uint32", "decimal", "codes of integers")
_OTHERS = ("decimal", "int32", "codes of integers", "text", "codes", "large text")
_ids_as("integers of several sizes", *_SIZES, parts=HALF, accepted=True, **_of_integers)
_of_text: dict[str, Any] = {"sources": _FOLDER, "styles": ("text", "padded")}
_ids_as("text and codes of text", "codes", "large text", parts=HALF, accepted=True, **_of_text)
_ids_as("ids of other types", *_OTHERS, styles=("integer",), accepted=True)
# What a gap makes of integers; on one day only; and text that doesn't say so.
_ids_as("ids as doubles", "double", styles=("integer",))
_ids_as("ids as doubles in a part", "double", parts=HALF, **_of_integers)
_ids_as("ids as bytes", "bytes")


@kind(
    "UUIDs", sources=PARQUET, styles=("uuid",), accepted=True, side=_SIDES, form=("bytes", "extension")
)
def uuids(draft: Draft, *, side: str, form: str) -> str:
    def change(values: pa.Table) -> list[pa.Table]:
        own = [uuid.UUID(value).bytes for value in values.column(side).to_pylist()]
        made = pa.array(own, pa.binary(16))
        if form == "extension":
            made = pa.ExtensionArray.from_storage(pa.uuid(), made)
        return [_set(values, side, made)]

    draft.as_arrow(change)
    return side


def _each(make: Callable[[Any], Any]) -> Callable[[pa.ChunkedArray], pa.Array]:
    return lambda own: pa.array([make(value) for value in own.to_pylist()])


_retyped(
    "ids of no plain type",
    "",
    {
        "list": _each(lambda own: [own]),
        "struct": _each(lambda own: {"id": own}),
        "bool": _each(lambda own: bool(hash(own) % 2)),
    },
    side=_SIDES,
)


@kind("a part of no type", sources=_FOLDER, accepted=True, column=("event",))
def null_part(draft: Draft, *, column: str) -> str:
    _replaced(draft, column, lambda own: pa.nulls(len(own)), HALF)
    return column


@kind("an empty part of no type", sources=_FOLDER, accepted=True)
def empty_part(draft: Draft) -> str:
    def add(values: pa.Table) -> list[pa.Table]:
        empty = pa.table({name: pa.nulls(0) for name in values.column_names})
        return [values.slice(0, 9), values.slice(9), empty]

    draft.as_arrow(add)
    return r"part"


_retyped(
    "times of other types",
    "timestamp",
    {
        "ms": lambda own: own.cast(pa.timestamp("s")).cast(pa.timestamp("ms")),
        "codes": lambda own: own.cast(pa.timestamp("s")).dictionary_encode(),
        "ns": lambda own: own.cast(pa.timestamp("s")).cast(pa.timestamp("ns")),
        "zone": lambda own: own.cast(pa.timestamp("s", "Europe/Vienna")),
        "decimal": lambda own: own.cast(pa.decimal128(20, 0)),
        "double": lambda own: own.cast(pa.float64()),
    },
    accepted=True,
    recipes=("last-days", "time", "plain"),
)
_retyped(
    "weights of other types",
    "weight",
    {
        "codes": lambda own: own.dictionary_encode(),
        "decimal": lambda own: own.cast(pa.decimal128(10, 2)),
        "int": lambda own: own.cast(pa.int16()),
        "text": lambda own: own.cast(pa.string()),
    },
    accepted=True,
    recipes=_BY_WEIGHT,
)
_retyped(
    "weights of no number",
    "weight",
    {
        "bool": _each(lambda own: own > 1),
        "list": _each(lambda own: [own]),
        "struct": _each(lambda own: {"value": own}),
    },
    recipes=_BY_WEIGHT,
)


@kind(
    "a part without a column",
    sources=_FOLDER,
    column=("weight", "user_id", "timestamp", "event"),
    recipes=("weights", "last-days"),
)
def part_without(draft: Draft, *, column: str) -> str:
    draft.as_arrow(lambda values: split(values, lambda part: part.drop_columns([column]), HALF))
    return column


@kind("a column twice", sources=PARQUET, column=("user_id", "weight"))
def column_twice(draft: Draft, *, column: str) -> str:
    draft.as_arrow(lambda values: [values.append_column(column, values.column(column))])
    return column


_retyped(
    "ages of other types",
    "age",
    {
        "int8": lambda own: own.cast(pa.int8()),
        "text": lambda own: own.cast(pa.string()),
        "codes": lambda own: own.cast(pa.string()).dictionary_encode(),
        "decimal": lambda own: own.cast(pa.decimal128(20, 0)),
    },
    table=PEOPLE,
    accepted=True,
    recipes=("features",),
)


@kind("strangers in the folder", sources=_FOLDER, file=("part.csv", "readme.txt"))
def strangers(draft: Draft, *, file: str) -> str:
    draft.extra[file] = b"user_id,item_id\n1,2\n"
    return file


@kind("marks in the folder", sources=_FOLDER, accepted=True, file=("_SUCCESS", ".part-0.crc"))
def marks(draft: Draft, *, file: str) -> str:
    draft.extra[file] = b""
    return file
