"""Reads requests from JSON lines. Its errors name the fields of the line."""

from __future__ import annotations

import json
import math
import re
from difflib import get_close_matches
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from lightfm_retriever.hosting import given, words
from lightfm_retriever.hosting.errors import ArgumentError
from retriever.errors import RetrieverError

_IDS = frozenset({"user_id", "item_id", "item_ids", "exclude_item_ids"})
_CONDITION = '{"attribute": "genres", "any_of": {"values": ["Drama"]}}'
# The content of a message, by its name.
_OBJECTS = {
    "RecommendRequest": '"user_id", such as {"user_id": "3"}',
    "SimilarItemsRequest": '"item_id", such as {"item_id": "50"}',
    "Filter": f'"conditions", such as {{"conditions": [{_CONDITION}]}}',
    "Condition": f'"attribute" and a test, such as {_CONDITION}',
    "Values": '"values", such as {"values": ["Drama", "War"]}',
    "Range": '"min" or "max", such as {"min": 1990}',
    "WeightedItems": '"item_ids", such as {"item_ids": ["50", "181"]}',
    "UserFeatures": '"features", such as {"features": ["age:25-34"]}',
}
# The content of a repeated field, by its name.
_LISTS = {
    "item_ids": '["50", "181"]',
    "exclude_item_ids": '["50", "181"]',
    "weights": "[2.0, 1.0]",
    "features": '["age:25-34"]',
    "return_attribute_names": '["title"]',
    "conditions": f"[{_CONDITION}]",
    "values": '["Drama", "War"]',
}
_TEXT = 'text in double quotes, such as "genres"'
_WHOLE = re.compile(r"-?[0-9]{1,10}")
_LARGEST_FLOAT32 = 3.4028234663852886e38
_PLACES = {
    "Expecting value": "a value should begin at column {}",
    "Expecting property name": "a field's name in double quotes should be at column {}",
    "Expecting ':'": "a colon should be at column {}",
    "Expecting ','": "a comma or the end should be at column {}",
    "Unterminated string": "the text that begins at column {} has no closing quote",
    "Invalid control character": "there is a control character at column {}",
    "Invalid \\": "there is a backslash that begins no known character at column {}",
    "Extra data": "there is more after its end, from column {} on",
    "Illegal trailing comma": "there is a comma too many at column {}",
    "Unexpected UTF-8 BOM": "there is a byte order mark at column {}",
}


class JsonRequestError(RetrieverError, ValueError):
    """A line isn't a request. `field` is the wrong field, such as "session.item_ids[2]", or empty."""

    def __init__(self, text: str, *, field: str = "") -> None:
        super().__init__(text)
        self.field = field


def read(line: str, message: Message) -> None:
    """Fill an empty request from a line of JSON. Raises JsonRequestError."""
    content = _content(line)
    if not isinstance(content, dict):
        raise JsonRequestError(f"should be a JSON object with {_OBJECTS[message.DESCRIPTOR.name]}")
    # The JSON form of a mask is one text, which can't hold every name.
    for name in ("return_attributes", "returnAttributes"):
        if isinstance(content.get(name), list):
            names = content.pop(name)
            field = message.DESCRIPTOR.fields_by_name["return_attribute_names"]
            for place, one in enumerate(names):
                _one(f"return_attributes[{place}]", one, field)
            message.return_attribute_names.extend(names)  # type: ignore[attr-defined]
    for name, value in _object("", content, message.DESCRIPTOR).items():
        try:
            json_format.ParseDict({name: value}, message)
        except (ValueError, RecursionError, json_format.ParseError) as error:
            # Only a mask has a form that isn't checked here.
            raise _wrong(name, f"a list, such as {_LISTS['return_attribute_names']}") from error


def _content(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        known = (text for start, text in _PLACES.items() if error.msg.startswith(start))
        text = next(known, "something is wrong at column {}").format(error.colno)
    except RecursionError as error:
        text = words.reason(error)
    except ValueError:
        text = "a number has too many digits"
    raise JsonRequestError(f"isn't JSON: {text}")


def _object(path: str, content: dict[Any, Any], kind: Any) -> dict[str, Any]:
    """Convert an object for protobuf: with the fields' own names, and without nulls."""
    found: dict[str, Any] = {}
    chosen: dict[str, str] = {}
    for name, value in content.items():
        field = _field(path, name, kind)
        if field.name in found:
            where = _join(path, field.name)
            raise JsonRequestError(f"{where} is given twice", field=where)
        if value is None:
            continue
        one_of = field.containing_oneof
        # A field that may be unset is alone in a group of its own.
        if one_of is not None:
            other = chosen.setdefault(one_of.name, field.name)
            if other != field.name:
                every = ", ".join(one.name for one in one_of.fields)
                text = f"exactly one of {every} is needed, not {other} and {field.name}"
                raise JsonRequestError(f"{path}: {text}" if path else text, field=path or field.name)
        found[field.name] = _value(_join(path, field.name), value, field)
    return found


def _field(path: str, name: str, kind: Any) -> Any:
    for field in kind.fields:
        if name in (field.name, field.json_name):
            return field
    known = [field.name for field in kind.fields]
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    near = get_close_matches(snake, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    of = f" of {path}" if path else ""
    raise JsonRequestError(f"there is no field {name[:64]!r}{of}; {hint}", field=_join(path, name[:64]))


def _value(path: str, value: Any, field: Any) -> Any:
    if not field.is_repeated:
        return _one(path, value, field)
    if not isinstance(value, list):
        raise _wrong(path, f"a list, such as {_LISTS[field.name]}")
    return [_one(f"{path}[{place}]", one, field) for place, one in enumerate(value)]


def _one(path: str, value: Any, field: Any) -> Any:
    message, kind = field.message_type, field.cpp_type
    if message is not None and message.full_name != "google.protobuf.FieldMask":
        if not isinstance(value, dict):
            raise _wrong(path, f"an object with {_OBJECTS[message.name]}")
        return _object(path, value, message)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            raise _wrong(path, "true or false")
        return value
    if kind in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return _number(path, value, field)
    try:
        if field.enum_type is not None:
            return _name(path, value, field)
        if kind == FieldDescriptor.CPPTYPE_INT32:
            return _whole(path, value)
        if field.name in _IDS:
            return given.identifier(path, value)
        return given.text(path, value, _TEXT)
    except ArgumentError as error:
        raise _wrong(path, error.expected) from error


def _name(path: str, value: Any, field: Any) -> Any:
    names = [one.name for one in field.enum_type.values]
    if value in names:
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(path, f"one of {', '.join(names)}")
    return _whole(path, value)


def _whole(path: str, value: Any) -> int:
    is_text = isinstance(value, str) and _WHOLE.fullmatch(value)
    if is_text or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    return given.whole(path, value, "a whole number, such as 10")


def _number(path: str, value: Any, field: Any) -> Any:
    expected = "a number, such as 0.5"
    try:
        number = float(value) if isinstance(value, str) else given.number(path, value, expected)
    except ValueError as error:
        raise _wrong(path, expected) from error
    # The service refuses infinity and NaN. Their JSON form is a text.
    if not math.isfinite(number):
        return str(number).replace("inf", "Infinity").replace("nan", "NaN")
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT and abs(number) > _LARGEST_FLOAT32:
        raise _wrong(path, "a number of at most 3.4e38")
    return number


def _wrong(path: str, expected: str) -> JsonRequestError:
    return JsonRequestError(f"{path} should be {expected}", field=path)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
