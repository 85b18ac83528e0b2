"""How a call or an entry failed, whatever comes back."""

import grpc
import pytest
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.hosting.calling.diagnosis import Problem
from lightfm_retriever.hosting.serving.admission import overloaded
from retriever import errors
from retriever.asking.errors import UnreachableError, of_call, of_entry
from retriever.errors import InvalidArgumentError, UnknownIdError
from retriever.worker.status import to_message, to_status

TARGET = "example.org:1"
CODES, FAILED = grpc.StatusCode, grpc.StatusCode.FAILED_PRECONDITION


class RefusedError(grpc.RpcError):
    """As a channel raises it."""

    def __init__(self, code, details, metadata=()):
        super().__init__()
        self.code, self.details = lambda: code, lambda: details
        self.trailing_metadata = lambda: metadata


BAD = InvalidArgumentError("filter.conditions[1].range", "is odd")
AWAY = {"reason": "NOTHING_PUBLISHED", "retry_seconds": 5.0}
SAID = [
    (BAD, CODES.INVALID_ARGUMENT, {"field": BAD.field}),
    (UnknownIdError("user", "x", "v1"), CODES.NOT_FOUND, {"reason": "USER_NOT_FOUND"}),
    (errors.NotPublishedError("this", "v1", "train"), FAILED, {"reason": "NOT_PUBLISHED"}),
    (errors.PageExpiredError("v1", "v2"), FAILED, {"reason": "PAGE_EXPIRED"}),
    (errors.NothingLoadedError("nothing"), CODES.UNAVAILABLE, AWAY),
]


def told(error):
    facts = {name: getattr(error, name) for name in ("reason", "field", "retry_seconds")}
    return {name: value for name, value in facts.items() if value not in ("", None)}


@pytest.mark.parametrize(("error", "code", "expected"), SAID, ids=[repr(one[0]) for one in SAID])
def test_what_the_service_says_is_told_of_calls_and_of_entries(error, code, expected):
    status = to_status(error)
    refused = RefusedError(status.code, status.details, status.trailing_metadata)
    for made in (of_call(TARGET, refused), of_entry(TARGET, to_message(error))):
        assert (made.target, made.code, made.details) == (TARGET, code, str(error))
        assert str(made) == f"{TARGET}: {code.name}: {error}"
        assert told(made) == expected


def test_a_deadline_that_passed_or_a_full_service_says_what_is_known():
    late = RefusedError(CODES.DEADLINE_EXCEEDED, "too late")
    silent = Problem("silent", "it says nothing")
    # What was in doubt before it was found has passed.
    for doubt in (None, silent):
        assert (
            of_call(TARGET, late, doubt=doubt).details == "too late: the service didn't answer in time"
        )
    details = of_call(TARGET, late, reached=False).details
    assert details == "too late (is a retriever running there?)"
    made = of_call(TARGET, late, reached=False, doubt=silent)
    assert isinstance(made, UnreachableError)
    assert (made.code, made.cause) == (CODES.DEADLINE_EXCEEDED, "silent")
    assert str(made) == f"{TARGET}: DEADLINE_EXCEEDED: it says nothing"
    # A full service tells when to come back.
    for seconds in (0.25, 0.0):
        full = overloaded(seconds)
        made = of_call(TARGET, RefusedError(full.code, full.details, full.trailing_metadata))
        assert (made.code, told(made)) == (CODES.RESOURCE_EXHAUSTED, {"retry_seconds": seconds})


ELSEWHERE = to_status(InvalidArgumentError("user", "is empty")).trailing_metadata


def test_a_failure_without_details_that_fit_has_its_code_alone():
    for code, details, metadata in (
        *((CODES.UNAVAILABLE, None, without) for without in ((), None, (("other", "x"),))),
        # Details that don't fit: a proxy may replace the one and pass the other on.
        (CODES.UNAVAILABLE, "user: is empty", ELSEWHERE),
        (CODES.INVALID_ARGUMENT, "rewritten", ELSEWHERE),
    ):
        made = of_call(TARGET, RefusedError(code, details, metadata))
        assert (made.code, made.details, told(made)) == (code, details or "", {})


@given(st.binary() | st.integers(0, 200).map(lambda size: to_message(BAD).SerializeToString()[:size]))
def test_details_that_are_garbage_hide_no_failure(content):
    refused = RefusedError(CODES.NOT_FOUND, "gone", (("grpc-status-details-bin", content),))
    made = of_call(TARGET, refused)
    assert (made.code, made.details) == (CODES.NOT_FOUND, "gone")


def test_a_detail_that_is_garbage_or_of_an_unknown_kind_is_passed_over():
    status = to_message(InvalidArgumentError("user", "is empty"))
    status.details[0].value = b"\xff"
    made = of_entry(TARGET, status)
    assert (made.code, made.details, told(made)) == (CODES.INVALID_ARGUMENT, status.message, {})
    status = to_message(UnknownIdError("item", "x", "v1"))
    status.details.insert(0, status_pb2.Status().details.add())
    status.details[0].type_url = "type.googleapis.com/of.another.Service"
    assert told(of_entry(TARGET, status)) == {"reason": "ITEM_NOT_FOUND"}
    # A code that gRPC doesn't have.
    made = of_entry(TARGET, status_pb2.Status(code=17, message="odd"))
    assert (made.code, made.details) == (CODES.UNKNOWN, "odd")
