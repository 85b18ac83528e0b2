"""How a call or an entry failed, whatever comes back."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.hosting.calling.symptoms import Problem
from lightfm_retriever.hosting.serving.admission import overloaded
from retriever.asking import errors as client_errors
from retriever.errors import (
    AbandonedError,
    InvalidArgumentError,
    NothingLoadedError,
    NotPublishedError,
    PageExpiredError,
    UnknownIdError,
)
from retriever.worker.status import to_message, to_status

TARGET = "example.org:1"
KEY = "grpc-status-details-bin"


class RefusedError(grpc.RpcError):
    """As a channel raises it."""

    def __init__(self, code, details, metadata=()):
        super().__init__()
        self._code, self._details, self._metadata = code, details, metadata

    def code(self):
        return self._code

    def details(self):
        return self._details

    def trailing_metadata(self):
        return self._metadata


CODES = grpc.StatusCode
SAID = [
    (InvalidArgumentError("filter.conditions[1].range", "is odd"), CODES.INVALID_ARGUMENT, {
        "field": "filter.conditions[1].range"
    }),
    (UnknownIdError("user", "x", "v1"), CODES.NOT_FOUND, {"reason": "USER_NOT_FOUND"}),
    (NotPublishedError("this", "v1", "train"), CODES.FAILED_PRECONDITION, {"reason": "NOT_PUBLISHED"}),
    (PageExpiredError("v1", "v2"), CODES.FAILED_PRECONDITION, {"reason": "PAGE_EXPIRED"}),
    (
        NothingLoadedError("nothing"),
        CODES.UNAVAILABLE,
        {"reason": "NOTHING_PUBLISHED", "retry_seconds": 5.0},
    ),
    (AbandonedError("left"), CODES.CANCELLED, {}),
]  # fmt: skip


def told(error):
    return {
        name: value
        for name, value in vars(error).items()
        if name in ("reason", "field", "retry_seconds") and value not in ("", None)
    }


@pytest.mark.parametrize("seconds", [0.25, 0.0])
def test_a_full_service_tells_when_to_come_back(seconds):
    status = overloaded(seconds)
    made = client_errors.of_call(
        TARGET, RefusedError(status.code, status.details, status.trailing_metadata)
    )
    assert (made.code, told(made)) == (CODES.RESOURCE_EXHAUSTED, {"retry_seconds": seconds})


@pytest.mark.parametrize(("error", "code", "expected"), SAID, ids=[repr(one[0]) for one in SAID])
def test_what_the_service_says_is_told_of_calls_and_of_entries(error, code, expected):
    status = to_status(error)
    refused = RefusedError(status.code, status.details, status.trailing_metadata)
    of_call = client_errors.of_call(TARGET, refused)
    of_entry = client_errors.of_entry(TARGET, to_message(error))
    for made in (of_call, of_entry):
        assert (made.target, made.code, made.details) == (TARGET, code, str(error))
        assert str(made) == f"{TARGET}: {code.name}: {error}"
        assert told(made) == expected


@pytest.mark.parametrize("metadata", [(), None, (("other", "x"),)])
def test_a_failure_without_details_has_its_code(metadata):
    made = client_errors.of_call(TARGET, RefusedError(CODES.UNAVAILABLE, None, metadata))
    assert (made.code, made.details, told(made)) == (CODES.UNAVAILABLE, "", {})


def test_a_deadline_that_passed_says_what_is_known_of_the_service():
    late = RefusedError(CODES.DEADLINE_EXCEEDED, "too late")
    made = client_errors.of_call(TARGET, late)
    assert made.details == "too late: it gave no answer in time"
    made = client_errors.of_call(TARGET, late, reached=False)
    assert made.details == "too late (does a retriever run there?)"
    silent = Problem("silent", "it says nothing")
    made = client_errors.of_call(TARGET, late, reached=False, doubt=silent)
    assert isinstance(made, client_errors.UnreachableError)
    assert (made.code, made.cause) == (CODES.DEADLINE_EXCEEDED, "silent")
    assert str(made) == f"{TARGET}: DEADLINE_EXCEEDED: it says nothing"
    # What was in doubt before it was found has passed.
    made = client_errors.of_call(TARGET, late, reached=True, doubt=silent)
    assert made.details == "too late: it gave no answer in time"


@pytest.mark.parametrize(
    ("code", "details"), [(CODES.UNAVAILABLE, "user: is empty"), (CODES.INVALID_ARGUMENT, "rewritten")]
)
def test_details_that_do_not_fit_what_failed_are_not_told(code, details):
    """A proxy may replace the one and pass the other on."""
    status = to_status(InvalidArgumentError("user", "is empty"))
    made = client_errors.of_call(TARGET, RefusedError(code, details, status.trailing_metadata))
    assert (made.code, made.details, told(made)) == (code, details, {})


@given(
    st.binary()
    | st.integers(0, 200).map(lambda size: to_message(SAID[0][0]).SerializeToString()[:size])
)
def test_details_that_are_garbage_hide_no_failure(content):
    made = client_errors.of_call(TARGET, RefusedError(CODES.NOT_FOUND, "gone", ((KEY, content),)))
    assert (made.code, made.details) == (CODES.NOT_FOUND, "gone")


def test_a_detail_that_is_garbage_hides_no_failure():
    status = to_message(InvalidArgumentError("user", "is empty"))
    status.details[0].value = b"\xff"
    made = client_errors.of_entry(TARGET, status)
    assert (made.code, made.details, told(made)) == (CODES.INVALID_ARGUMENT, status.message, {})


def test_details_of_a_kind_that_is_unknown_are_passed_over():
    status = to_message(UnknownIdError("item", "x", "v1"))
    status.details.insert(0, status_pb2.Status().details.add())
    status.details[0].type_url = "type.googleapis.com/of.another.Service"
    assert told(client_errors.of_entry(TARGET, status)) == {"reason": "ITEM_NOT_FOUND"}


@pytest.mark.parametrize("code", [-1, 17, 2**31 - 1])
def test_a_code_that_grpc_does_not_have_is_unknown(code):
    made = client_errors.of_entry(TARGET, status_pb2.Status(code=code, message="odd"))
    assert (made.code, made.details) == (CODES.UNKNOWN, "odd")
