"""Pages: opaque tokens that say where in which ranking the next results are.

The ranking that pages walk through is a fixed sequence, though an approximate search may find more the
harder it looks. It begins with all that one search proposes, in order of score. Where that ends it goes
on with what a wider search finds besides, and at last with what exact search finds besides: so nothing
comes twice and nothing is left out. A token holds how wide the first search was and how many results
came before; a worker works the sequence out anew for each page.

A token can't be made up: it carries a keyed BLAKE2 hash (RFC 7693) whose key is the version's own
content. It is bound to the request by a hash of its fields.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass

from lightfm_retriever.publication import layout
from retriever.errors import InvalidArgumentError, PageExpiredError

MAX_RESULTS = 10_000
"""Where pages end."""

_FIELD = "page_token"
_FOREIGN = "isn't a token of this service"
_POSITION = struct.Struct(">II")
_FINGERPRINT_BYTES = 8
_TAG_BYTES = 8
_LONGEST = 200


@dataclass(frozen=True)
class Page:
    """Which results are wanted: of a request's fingerprint, after a token, which is empty at first."""

    fingerprint: bytes
    token: str = ""


@dataclass(frozen=True)
class Position:
    """A place in a ranking: the first search's candidates, 0 when it was exact, and results before."""

    width: int = 0
    offset: int = 0


START = Position()


def fingerprint(request: bytes) -> bytes:
    """What tells requests apart, of all that must be the same from page to page."""
    return hashlib.blake2b(request, digest_size=_FINGERPRINT_BYTES).digest()


def encode(position: Position, page: Page, *, version: str, key: str) -> str:
    """The token of where the page after `page` begins; only who can read the version knows the key."""
    body = _POSITION.pack(position.width, position.offset) + page.fingerprint + version.encode()
    return _text(_tag(body, key) + body)


def decode(page: Page, *, version: str, key: str) -> Position:
    """The position that a page begins after.

    Raises:
        InvalidArgumentError: the token isn't one of ours, or is of another request.
        PageExpiredError: it is of another version.
    """
    if not page.token:
        return START
    tag, body = _split(page.token)
    rest = body[_POSITION.size :]
    found, of_version = rest[:_FINGERPRINT_BYTES], rest[_FINGERPRINT_BYTES:].decode("ascii", "replace")
    if layout.is_version_name(of_version) and of_version != version:
        # Without that version's key nobody can tell whether it was one of ours.
        raise PageExpiredError(of_version, version)
    if not hmac.compare_digest(tag, _tag(body, key)):
        raise InvalidArgumentError(_FIELD, _FOREIGN)
    if found != page.fingerprint:
        raise InvalidArgumentError(
            _FIELD,
            "is from another request: all fields but limit, paginate and max_response_bytes must be "
            "the same",
        )
    width, offset = _POSITION.unpack_from(body)
    return Position(width, offset)


def _split(token: str) -> tuple[bytes, bytes]:
    """The tag and what it vouches for."""
    try:
        # Not more than the longest one: this takes time.
        padded = token[:_LONGEST].encode("ascii") + b"=" * (-len(token) % 4)
        body = base64.urlsafe_b64decode(padded)
    except ValueError as error:
        raise InvalidArgumentError(_FIELD, _FOREIGN) from error
    # What decodes to the same bytes isn't the same token: there is one way to write each.
    if _text(body) != token:
        raise InvalidArgumentError(_FIELD, _FOREIGN)
    return body[:_TAG_BYTES], body[_TAG_BYTES:]


def _text(token: bytes) -> str:
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _tag(body: bytes, key: str) -> bytes:
    return hashlib.blake2b(body, key=key.encode()[:64], digest_size=_TAG_BYTES).digest()
