import logging

import grpc
import pytest
from google.protobuf import json_format
from google.rpc import status_pb2

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
    told = [json_format.MessageToDict(detail) for detail in rich.details]
    return [{name: value for name, value in detail.items() if name != "@type"} for detail in told]


def info(reason, **metadata):
    return {"reason": reason, "domain": DOMAIN, **({"metadata": metadata} if metadata else {})}


REFUSED = [
    (
        InvalidArgumentError("limit", "is 0"),
        *("INVALID_ARGUMENT", "limit: is 0"),
        [{"fieldViolations": [{"field": "limit", "description": "is 0"}]}],
    ),
    *(
        (
            UnknownIdError(kind, "nul\0", "v1"),
            *("NOT_FOUND", f"{kind} 'nul\\x00' isn't in version v1"),
            [info(f"{kind.upper()}_NOT_FOUND", id="nul\0", version="v1")],
        )
        for kind in ("item", "user", "feature")
    ),
    (
        UnknownIdError("item", "é" * 256, "v1", near=["e", "f"], hint="; or 'e'?"),
        *("NOT_FOUND", f"item {'é' * 61 + '...'!r} isn't in version v1; or 'e'?"),
        [info("ITEM_NOT_FOUND", id="é" * 256, version="v1", near="e")],
    ),
    (
        NotPublishedError("popularity data", "v1", "train again"),
        *("FAILED_PRECONDITION", "version v1 was published without popularity data: train again"),
        [info("NOT_PUBLISHED", what="popularity data", version="v1")],
    ),
    (
        NotPublishedError("features of users", "v1", "its model is one", model="ease"),
        *(
            "FAILED_PRECONDITION",
            "version v1 was published without features of users: its model is one",
        ),
        [info("NOT_PUBLISHED", what="features of users", version="v1", model="ease")],
    ),
    (
        PageExpiredError("v1", "v2"),
        "FAILED_PRECONDITION",
        (
            "page_token: belongs to version v1, but version v2 is served now: "
            "start again at the first page"
        ),
        [info("PAGE_EXPIRED", page_version="v1", version="v2")],
    ),
    # Waiting for so long would hide the reason behind the caller's deadline.
    (
        NothingLoadedError("nobody has published"),
        *("UNAVAILABLE", "no version is loaded: nobody has published"),
        [info("NOTHING_PUBLISHED"), {"retryDelay": "5s"}],
    ),
    (
        NothingLoadedError("version v1 is being loaded", passes=True),
        *("UNAVAILABLE", "no version is loaded: version v1 is being loaded"),
        [info("LOADING"), {"retryDelay": "1s"}],
    ),
    (AbandonedError("the deadline passed"), "CANCELLED", "the deadline passed", []),
]


@pytest.mark.parametrize(("error", "code", "text", "details"), REFUSED, ids=repr)
def test_an_error_is_told_in_words_and_in_details_for_programs(error, code, text, details, caplog):
    status = to_status(error)
    assert (status.code.name, status.details) == (code, text)
    assert details_of(status) == details
    # gRPC's own retries read this.
    again = [("grpc-retry-pushback-ms", "1000")] if info("LOADING") in details else []
    assert [*status.trailing_metadata[1:]] == again
    # It is no error of the service.
    assert caplog.records == []
    # An entry of a batch fails with the same message.
    assert to_message(error) == status_pb2.Status.FromString(status.trailing_metadata[0][1])


@pytest.mark.parametrize(
    "error", [ValueError("secret"), MemoryError(), SnapshotError("secret"), StartError("secret")]
)
def test_anything_else_is_internal_and_for_the_log_only(error, caplog):
    with caplog.at_level(logging.ERROR):
        status = to_status(error)
    assert status.code is grpc.StatusCode.INTERNAL
    assert "secret" not in status.details
    assert details_of(status) == []
    [record] = caplog.records
    assert record.exc_info[1] is error


@pytest.mark.parametrize(
    "error",
    [
        UnknownIdError("user", "\N{CJK UNIFIED IDEOGRAPH-6771}" * 170, "v" * 24),
        InvalidArgumentError("filter", "known: " + "é" * 10_000),
    ],
)
def test_the_longest_details_fit_into_a_header(error):
    """Statuses over 8 KB turn into RESOURCE_EXHAUSTED on their way."""
    status = to_status(error)
    [(_, data)] = status.trailing_metadata
    # A byte of the message is sent as %XX, and of the details in base 64.
    assert len(data) * 4 / 3 + len(status.details.encode()) * 3 < 8192
    assert status.details.startswith(("user '東東", "filter: known: éé"))
