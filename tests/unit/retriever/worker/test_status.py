from __future__ import annotations

import logging

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from lightfm_retriever.hosting.statuses import DOMAIN
from retriever.errors import (
    AbandonedError,
    InvalidArgumentError,
    NothingLoadedError,
    NotPublishedError,
    PageExpiredError,
    SnapshotError,
    StartError,
    UnknownIdError,
)
from retriever.worker.status import to_message, to_status


def details_of(status):
    """The google.rpc status and its details, as a client finds them."""
    (key, data), *_ = status.trailing_metadata
    assert key == "grpc-status-details-bin"
    rich = status_pb2.Status.FromString(data)
    assert rich.code == status.code.value[0]
    assert rich.message == status.details
    return list(rich.details)


def unpack(packed, kind):
    message = kind()
    assert packed.Unpack(message)
    return message


def test_an_argument_out_of_range_is_a_bad_request_that_names_the_field():
    status = to_status(InvalidArgumentError("limit", "is 0, but should be in 1..1000"))
    assert status.code is grpc.StatusCode.INVALID_ARGUMENT
    assert status.details == "limit: is 0, but should be in 1..1000"
    [detail] = details_of(status)
    [violation] = unpack(detail, error_details_pb2.BadRequest).field_violations
    assert (violation.field, violation.description) == ("limit", "is 0, but should be in 1..1000")


@pytest.mark.parametrize("kind", ["item", "user", "feature"])
@pytest.mark.parametrize("external_id", ["42", "東京", "nul\0", "é" * 256])
def test_an_unknown_id_is_not_found_with_what_was_asked_for(kind, external_id):
    status = to_status(UnknownIdError(kind, external_id, "v1"))
    assert status.code is grpc.StatusCode.NOT_FOUND
    [detail] = details_of(status)
    info = unpack(detail, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == (f"{kind.upper()}_NOT_FOUND", DOMAIN)
    assert dict(info.metadata) == {"id": external_id, "version": "v1"}


def test_what_a_version_lacks_is_a_failed_precondition_that_says_what_helps():
    status = to_status(NotPublishedError("what is popular", "v1", "train again"))
    assert status.code is grpc.StatusCode.FAILED_PRECONDITION
    assert status.details == "version v1 was published without what is popular: train again"
    [detail] = details_of(status)
    info = unpack(detail, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("NOT_PUBLISHED", DOMAIN)
    assert dict(info.metadata) == {"what": "what is popular", "version": "v1"}


def test_a_page_of_another_version_is_a_failed_precondition_that_names_both():
    status = to_status(PageExpiredError("v1", "v2"))
    assert status.code is grpc.StatusCode.FAILED_PRECONDITION
    assert status.details == "page_token: is of version v1, but v2 is served now: start anew"
    [detail] = details_of(status)
    info = unpack(detail, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("PAGE_EXPIRED", DOMAIN)
    assert dict(info.metadata) == {"page_version": "v1", "version": "v2"}


@pytest.mark.parametrize(
    "error",
    [
        InvalidArgumentError("limit", "is 0"),
        UnknownIdError("feature", "國:日本", "v1"),
        NotPublishedError("what is popular", "v1", "train again"),
        PageExpiredError("v1", "v2"),
        NothingLoadedError("nobody has published"),
        AbandonedError("the deadline passed"),
        ValueError("secret"),
    ],
    ids=repr,
)
def test_an_entry_of_a_batch_fails_with_the_same_message_as_a_call(error):
    message, status = to_message(error), to_status(error)
    assert (message.code, message.message) == (status.code.value[0], status.details)
    assert list(message.details) == details_of(status)


def test_nothing_loaded_is_unavailable_with_a_reason():
    status = to_status(NothingLoadedError("nobody has published"))
    assert status.code is grpc.StatusCode.UNAVAILABLE
    assert status.details == "no publication is loaded: nobody has published"
    detail, retry = details_of(status)
    info = unpack(detail, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("NOTHING_PUBLISHED", DOMAIN)
    assert unpack(retry, error_details_pb2.RetryInfo).retry_delay.seconds == 5
    # Waiting for so long would hide the reason behind the caller's deadline.
    assert len(status.trailing_metadata) == 1


def test_a_version_that_is_being_loaded_is_worth_asking_again_soon():
    status = to_status(NothingLoadedError("version v1 is being loaded", passes=True))
    assert status.code is grpc.StatusCode.UNAVAILABLE
    detail, retry = details_of(status)
    assert unpack(detail, error_details_pb2.ErrorInfo).reason == "LOADING"
    assert unpack(retry, error_details_pb2.RetryInfo).retry_delay.seconds == 1
    # gRPC's own retries read this.
    assert status.trailing_metadata[1] == ("grpc-retry-pushback-ms", "1000")


def test_a_caller_that_left_is_no_error_of_the_service(caplog):
    status = to_status(AbandonedError("the deadline passed"))
    assert (status.code, status.details) == (grpc.StatusCode.CANCELLED, "the deadline passed")
    assert details_of(status) == []
    assert caplog.records == []


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret"),
        KeyError("secret"),
        MemoryError(),
        SnapshotError("secret"),
        StartError("secret"),
    ],
    ids=repr,
)
def test_anything_else_is_internal_and_for_the_log_only(error, caplog):
    with caplog.at_level(logging.ERROR):
        status = to_status(error)
    assert status.code is grpc.StatusCode.INTERNAL
    assert "secret" not in status.details
    assert details_of(status) == []
    [record] = caplog.records
    assert record.exc_info[1] is error


def test_the_details_of_the_longest_id_fit_into_a_header():
    """Statuses over 8 KB turn into RESOURCE_EXHAUSTED on their way."""
    status = to_status(UnknownIdError("user", "\N{CJK UNIFIED IDEOGRAPH-6771}" * 170, "v" * 24))
    [(_, data)] = status.trailing_metadata
    assert len(data) + len(status.details.encode()) < 4096


def test_a_long_list_of_what_there_is_fits_into_a_header():
    status = to_status(InvalidArgumentError("filter", "known: " + "é" * 10_000))
    [(_, data)] = status.trailing_metadata
    # A byte of the message is sent as %XX, and of the details in base 64.
    assert len(data) * 4 / 3 + len(status.details.encode()) * 3 < 8192
    assert status.details.startswith("filter: known: éé")
