"""Page tokens: the position of the next page in a ranking.

All pages of a request belong to one fixed sequence. It begins with the results of one search of the
index, in order of score. Then follow the additional results of wider searches, and at last those of
exact search. So no item comes twice and none is missing. A token holds the width of the first search
and the number of results before. A worker computes the sequence again for each page.

A token can't be forged: it contains a keyed BLAKE2 hash (RFC 7693), and the key is derived from the
content of the version. A hash of the request's fields binds a token to its request.
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
"""Pages end after this many results."""

_FIELD = "page_token"
_FOREIGN = "isn't a token of this service: set the next_page_token of an answer"
_POSITION = struct.Struct(">II")
_FINGERPRINT_BYTES = 8
_TAG_BYTES = 8
_LONGEST = 200


@dataclass(frozen=True)
class Page:
    """The requested page: the fingerprint of the request, and the token, which is empty at first."""

    fingerprint: bytes
    token: str = ""


@dataclass(frozen=True)
class Position:
    """A position in a ranking.

    `width` is the number of candidates of the first search, 0 for exact search. `offset` is the number
    of results before the position.
    """

    width: int = 0
    offset: int = 0


START = Position()


def fingerprint(request: bytes) -> bytes:
    """Hash the fields of a request that must be the same for all pages."""
    return hashlib.blake2b(request, digest_size=_FINGERPRINT_BYTES).digest()


def encode(position: Position, page: Page, *, version: str, key: str) -> str:
    """Make the token for a position. The key is secret foreverybody who can't read the version."""
    body = _POSITION.pack(position.width, position.offset) + page.fingerprint + version.encode()
    return _text(_tag(body, key) + body)


def decode(page: Page, *, version: str, key: str) -> Position:
    """Return the position at which a page begins.

    Raises:
        InvalidArgumentError: the token is invalid or belongs to another request.
        PageExpiredError: the token belongs to another version.
    """
    if not page.token:
        return START
    tag, body = _split(page.token)
    rest = body[_POSITION.size :]
    found, of_version = rest[:_FINGERPRINT_BYTES], rest[_FINGERPRINT_BYTES:].decode("ascii", "replace")
    if layout.is_version_name(of_version) and of_version != version:
        # The hash can't be checked without the key of that version.
        raise PageExpiredError(of_version, version)
    if not hmac.compare_digest(tag, _tag(body, key)):
        raise InvalidArgumentError(_FIELD, _FOREIGN)
    if found != page.fingerprint:
        raise InvalidArgumentError(
            _FIELD,
            "belongs to another request: keep all fields except limit, paginate and max_response_bytes "
            "as they were",
        )
    width, offset = _POSITION.unpack_from(body)
    return Position(width, offset)


def _split(token: str) -> tuple[bytes, bytes]:
    """Split a token into the tag and the body that it authenticates."""
    try:
        # Cut to the longest token, because decoding takes time.
        padded = token[:_LONGEST].encode("ascii") + b"=" * (-len(token) % 4)
        body = base64.urlsafe_b64decode(padded)
    except ValueError as error:
        raise InvalidArgumentError(_FIELD, _FOREIGN) from error
    # Several texts decode to the same bytes. Only the canonical one is a token.
    if _text(body) != token:
        raise InvalidArgumentError(_FIELD, _FOREIGN)
    return body[:_TAG_BYTES], body[_TAG_BYTES:]


def _text(token: bytes) -> str:
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _tag(body: bytes, key: str) -> bytes:
    return hashlib.blake2b(body, key=key.encode()[:64], digest_size=_TAG_BYTES).digest()
