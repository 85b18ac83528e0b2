"""A JSON object with a checksum: the SHA-256 of all its other keys in canonical form.

The canonical form has sorted keys, no white space and UTF-8. So a reader detects an edit by hand of any
field.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from lightfm_retriever.publication.errors import ManifestError, shown

_CHECKSUM = "checksum"
_TOO_LARGE = "an integer has more than 64 bits"
_TOO_DEEP = "can't be read: it is nested too deeply"
# A newer format may have a large number as its version, so parse integers up to this length.
_MOST_DIGITS = 1000


class _OddError(Exception):
    """An object can't be read, for the reason in the text."""


def encode(content: dict[str, Any]) -> bytes:
    """Encode an object as indented JSON with the checksum. ValueError if a number isn't finite."""
    signed = {**content, _CHECKSUM: _checksum(content)}
    return json.dumps(signed, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def parse(data: bytes, path: Path | str) -> dict[str, Any]:
    """Parse an object without checking its checksum. Raises ManifestError, which names `path`."""
    try:
        content = json.loads(data, object_pairs_hook=_object, parse_int=_integer)
    except _OddError as error:
        raise ManifestError(path, f"can't be used: {error}") from error
    except UnicodeDecodeError as error:
        coding = error.encoding.upper()
        raise ManifestError(path, f"isn't JSON: byte {error.start} isn't {coding}") from error
    except RecursionError as error:
        raise ManifestError(path, _TOO_DEEP) from error
    except ValueError as error:
        raise ManifestError(path, f"isn't JSON: {error}") from error
    if not isinstance(content, dict):
        raise ManifestError(path, "should be a JSON object, but isn't")
    return content


def check(content: dict[str, Any], path: Path | str) -> None:
    """Raise ManifestError if the checksum is wrong, or a value can't be sent in messages."""
    try:
        expected = _checksum(content)
    except RecursionError as error:
        raise ManifestError(path, _TOO_DEEP) from error
    except ValueError as error:
        raise ManifestError(path, f"can't be checked: {error}") from error
    if (odd := _odd(content)) is not None:
        raise ManifestError(path, f"can't be used: {odd}")
    if (found := content.get(_CHECKSUM)) != expected:
        has = f"checksum is {shown(found)}" if _CHECKSUM in content else "there is no checksum"
        raise ManifestError(
            path, f"{has}, but should be {expected!r}: the file was edited after publication"
        )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # Only the last of equal keys counts, so the content may still match the checksum.
        [[twice, _]] = Counter(name for name, _ in pairs).most_common(1)
        raise _OddError(f"key {shown(twice)} occurs twice: the file was edited after publication")
    return found


def _integer(text: str) -> int:
    # Parsing thousands of digits takes long or fails.
    if len(text) > _MOST_DIGITS:
        raise _OddError(_TOO_LARGE)
    return int(text)


def _checksum(content: dict[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != _CHECKSUM}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _odd(value: object) -> str | None:
    """Return why a JSON value can't be sent in messages, metrics and to terminals; None if it can.

    A list of versions shows many manifests at once, and one such value would make the list fail.
    """
    # Without recursion, because the value may be nested as deep as Python's stack.
    left = [value]
    while left:
        match left.pop():
            case str() as text:
                try:
                    text.encode()
                except UnicodeEncodeError:
                    return f"the text {text[:60]!a} isn't Unicode"
            case int() as number if not -(2**63) <= number < 2**63:
                return _TOO_LARGE
            case dict() as mapping:
                left += [*mapping, *mapping.values()]
            case list() as values:
                left += values
    return None
