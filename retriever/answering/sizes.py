"""How many bytes requests and answers may have: derived from what their fields may hold."""

from __future__ import annotations

from collections.abc import Sequence

from lightfm_retriever.hosting.message_sizes import DEFAULT_ANSWER_BYTES, ID_FIELD_BYTES, whole_mib
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES
from retriever.answering.questions import (
    MAX_CONDITIONS,
    MAX_EXCLUDED,
    MAX_FEATURES,
    MAX_ITEMS,
    MAX_LIMIT,
    MAX_NAMED_EXCLUDED,
    MAX_RETURNED_ATTRIBUTES,
    MAX_VALUES,
)
from retriever.errors import InvalidArgumentError

_ID = MAX_ID_BYTES + ID_FIELD_BYTES
_FLOAT = 4
# Of messages within messages, and of numbers.
_SMALL = 64
_OTHER_FIELDS = 1024
_CONTRIBUTIONS = 3

MAX_REQUEST_BYTES = whole_mib(
    max(MAX_ITEMS * (_ID + _FLOAT), MAX_FEATURES * _ID)
    + (MAX_EXCLUDED + MAX_VALUES + MAX_RETURNED_ATTRIBUTES) * _ID
    + MAX_CONDITIONS * (_ID + _SMALL)
    + _OTHER_FIELDS
)
"""What a request may have, or a batch: all that fields may hold, each text as long as an id may be."""

_BARE_ANSWER_BYTES = (
    MAX_LIMIT * (_ID + _CONTRIBUTIONS * (_ID + _SMALL) + _SMALL)
    + (MAX_ITEMS + MAX_NAMED_EXCLUDED) * _ID
    + _OTHER_FIELDS
)


def check_request(field: str, size: int) -> None:
    """Raise InvalidArgumentError, which names the field, for more bytes than a request may have."""
    if size > MAX_REQUEST_BYTES:
        raise InvalidArgumentError(
            field,
            f"makes it a request of {size} bytes, but one may have {MAX_REQUEST_BYTES}: send less",
        )


def answer_bytes(wanted: int) -> int:
    """Return the most that an answer may have; `wanted` is the request's own, 0 for the default.

    Raises InvalidArgumentError for a negative number.
    """
    if wanted < 0:
        raise InvalidArgumentError(
            "max_response_bytes", f"is {wanted}, but should be at least 1, or 0 for the default"
        )
    return wanted or DEFAULT_ANSWER_BYTES


def may_be_too_large(attributes: Sequence[str], most: int) -> bool:
    """Whether an answer with these attributes may have more bytes than `most`."""
    return bool(attributes) or most < _BARE_ANSWER_BYTES


def check_answer(size: int, most: int) -> None:
    """Raise InvalidArgumentError for an answer that has more bytes than it may."""
    if size > most:
        raise InvalidArgumentError(
            "max_response_bytes",
            f"is {most}, but the answer would have {size} bytes: ask for fewer results or attributes, "
            f"or set it, and the channel's option grpc.max_receive_message_length, to {size} or more",
        )
