"""Parquet of other types: most are as good as the usual ones, some aren't."""

from __future__ import annotations

import uuid
from typing import Any

import pyarrow as pa

from tests.hostile.damage import ANY_STYLE, kind
from tests.hostile.draft import ALL, HALF, PEOPLE, Draft, split
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


def _set(values: pa.Table, column: str, made: pa.Array) -> pa.Table:
    return values.set_column(values.column_names.index(column), column, made)


def _cast(values: pa.Table, column: str, form: str) -> pa.Table:
    kind = _TYPED[form]
    own = values.column(column)
    if pa.types.is_dictionary(kind):
        return _set(values, column, own.cast(kind.value_type).dictionary_encode())
    if pa.types.is_binary(kind):
        own = own.cast(pa.string())
    return _set(values, column, own.cast(kind))


def _retype(draft: Draft, column: str, form: str, parts: str) -> None:
    draft.as_arrow(lambda values: split(values, lambda part: _cast(part, column, form), parts))


@kind(
    "integers of several sizes", sources=_FOLDER, styles=("integer",), accepted=True, side=_SIDES,
    form=("int32", "uint32", "decimal", "codes of integers"),
)  # fmt: skip
def sizes(draft: Draft, *, side: str, form: str) -> str:
    _retype(draft, side, form, HALF)
    return side


@kind(
    "text and codes of text",
    sources=_FOLDER,
    styles=("text", "padded"),
    accepted=True,
    side=_SIDES,
    form=("codes", "large text"),
)
def codes(draft: Draft, *, side: str, form: str) -> str:
    _retype(draft, side, form, HALF)
    return side


@kind(
    "ids of other types", sources=PARQUET, styles=("integer",), accepted=True, side=_SIDES,
    form=("decimal", "int32", "codes of integers", "text", "codes", "large text"),
)  # fmt: skip
def other_types(draft: Draft, *, side: str, form: str) -> str:
    draft.as_arrow(lambda values: [_cast(values.combine_chunks(), side, form)])
    return side


@kind("ids as doubles", sources=PARQUET, styles=("integer",), side=_SIDES)
def doubles(draft: Draft, *, side: str) -> str:
    _retype(draft, side, "double", ALL)
    return side


@kind("ids as doubles in a part", sources=_FOLDER, styles=("integer",), side=_SIDES)
def doubles_in_part(draft: Draft, *, side: str) -> str:
    _retype(draft, side, "double", HALF)
    return side


@kind("ids as bytes", sources=PARQUET, side=_SIDES)
def as_bytes(draft: Draft, *, side: str) -> str:
    _retype(draft, side, "bytes", ALL)
    return side


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


def _replaced(draft: Draft, column: str, make: Any, parts: str = ALL, *, table: str = "log") -> None:
    def change(values: pa.Table) -> pa.Table:
        return _set(values, column, make(values.column(column)))

    draft.as_arrow(lambda values: split(values, change, parts), table=table)


@kind("ids of no plain type", sources=PARQUET, side=_SIDES, form=("list", "struct", "bool"))
def nested(draft: Draft, *, side: str, form: str) -> str:
    forms: dict[str, Any] = {
        "list": lambda own: [own],
        "struct": lambda own: {"id": own},
        "bool": lambda own: bool(hash(own) % 2),
    }
    _replaced(draft, side, lambda own: pa.array([forms[form](value) for value in own.to_pylist()]))
    return side


@kind("a part of no type", sources=_FOLDER, styles=ANY_STYLE, accepted=True, column=("event",))
def null_part(draft: Draft, *, column: str) -> str:
    _replaced(draft, column, lambda own: pa.nulls(len(own)), HALF)
    return column


@kind("an empty part of no type", sources=_FOLDER, styles=ANY_STYLE, accepted=True)
def empty_part(draft: Draft) -> str:
    def add(values: pa.Table) -> list[pa.Table]:
        empty = pa.table({name: pa.nulls(0) for name in values.column_names})
        return [values.slice(0, 9), values.slice(9), empty]

    draft.as_arrow(add)
    return r"part"


@kind(
    "times of other types", sources=PARQUET, accepted=True, recipes=("last-days", "time", "plain"),
    form=("ms", "codes", "ns", "zone", "decimal", "double"),
)  # fmt: skip
def time_types(draft: Draft, *, form: str) -> str:
    def make(own: pa.ChunkedArray) -> Any:
        when = own.cast(pa.timestamp("s"))
        made: dict[str, Any] = {
            "ms": lambda: when.cast(pa.timestamp("ms")),
            "ns": lambda: when.cast(pa.timestamp("ns")),
            "zone": lambda: own.cast(pa.timestamp("s", "Europe/Vienna")),
            "codes": lambda: when.dictionary_encode(),
            "decimal": lambda: own.cast(pa.decimal128(20, 0)),
            "double": lambda: own.cast(pa.float64()),
        }
        return made[form]()

    _replaced(draft, "timestamp", make)
    return r"timestamp"


@kind(
    "weights of other types",
    sources=PARQUET,
    accepted=True,
    recipes=("weights", "plain"),
    form=("codes", "decimal", "int", "text"),
)
def weight_types(draft: Draft, *, form: str) -> str:
    def make(own: pa.ChunkedArray) -> Any:
        made: dict[str, Any] = {
            "codes": lambda: own.dictionary_encode(),
            "decimal": lambda: own.cast(pa.decimal128(10, 2)),
            "int": lambda: own.cast(pa.int16()),
            "text": lambda: own.cast(pa.string()),
        }
        return made[form]()

    _replaced(draft, "weight", make)
    return r"\bweight\b"


@kind(
    "weights of no number",
    sources=PARQUET,
    recipes=("weights", "plain"),
    form=("bool", "list", "struct"),
)
def weight_nested(draft: Draft, *, form: str) -> str:
    forms: dict[str, Any] = {
        "list": lambda own: [own],
        "struct": lambda own: {"value": own},
        "bool": lambda own: own > 1,
    }
    _replaced(draft, "weight", lambda own: pa.array([forms[form](value) for value in own.to_pylist()]))
    return r"\bweight\b"


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


@kind(
    "ages of other types",
    sources=PARQUET,
    recipes=("features",),
    accepted=True,
    form=("int8", "text", "codes", "decimal"),
)
def age_types(draft: Draft, *, form: str) -> str:
    def make(own: pa.ChunkedArray) -> Any:
        kinds = {
            "int8": pa.int8(),
            "text": pa.string(),
            "codes": pa.string(),
            "decimal": pa.decimal128(20, 0),
        }
        made = own.cast(kinds[form])
        return made.dictionary_encode() if form == "codes" else made

    _replaced(draft, "age", make, table=PEOPLE)
    return r"\bage\b"


@kind("strangers in the folder", sources=_FOLDER, file=("part.csv", "readme.txt"))
def strangers(draft: Draft, *, file: str) -> str:
    draft.extra[file] = b"user_id,item_id\n1,2\n"
    return file


@kind(
    "marks in the folder",
    sources=_FOLDER,
    styles=ANY_STYLE,
    accepted=True,
    file=("_SUCCESS", ".part-0.crc"),
)
def marks(draft: Draft, *, file: str) -> str:
    draft.extra[file] = b""
    return file
