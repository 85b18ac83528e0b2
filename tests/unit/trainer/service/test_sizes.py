"""Pages that clients can receive, and messages that are too large."""

from __future__ import annotations

import pytest
from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.hosting.message_sizes import DEFAULT_ANSWER_BYTES
from trainer.service import sizes
from trainer.service.status import FieldError


def version(name, size):
    return pb.Version(name=name, metrics={"m" * size: 1.0})


def test_a_page_is_received_by_a_default_client_and_has_one_at_least():
    versions = [version(str(number), 900_000) for number in range(9)]
    page = pb.ListVersionsResponse(versions=sizes.one_page(versions))
    assert page.ByteSize() < DEFAULT_ANSWER_BYTES
    assert [one.name for one in page.versions] == ["0", "1", "2"]
    assert list(sizes.one_page([versions[0]] * 2)) == [versions[0]] * 2
    large = version("large", 5 << 20)
    assert list(sizes.one_page([large, versions[0]])) == [large]
    assert list(sizes.one_page([])) == []


def test_a_version_that_leaves_others_no_room_is_listed_without_its_metrics():
    small = version("small", 1000)
    assert sizes.listed(small) == version("small", 1000)
    large = sizes.listed(version("large", 2 << 20))
    assert (large.name, dict(large.metrics)) == ("large", {})
    assert str(1 << 20) in large.problem


def test_a_message_of_events_may_have_so_many_bytes():
    request = pb.AppendInteractionsRequest(events=[pb.InteractionEvent(event_id="x")])
    request.events[0].user_id = "u" * (sizes.MAX_REQUEST_BYTES - request.ByteSize() - 10)
    request.events[0].user_id += "u" * (sizes.MAX_REQUEST_BYTES - request.ByteSize())
    sizes.check_events(request)
    request.events[0].user_id += "u"
    with pytest.raises(FieldError) as caught:
        sizes.check_events(request)
    assert caught.value.field == "events"
    assert f"{sizes.MAX_REQUEST_BYTES + 1} bytes" in caught.value.reason
    assert f"at most {sizes.MAX_REQUEST_BYTES}" in caught.value.reason


def test_a_run_that_leaves_others_no_room_is_listed_with_what_has_room():
    small = pb.TrainingRun(id="a", state=pb.TRAINING_RUN_STATE_FAILED, error="no")
    small.created_at.FromSeconds(5)
    assert sizes.listed_run(pb.TrainingRun.FromString(small.SerializeToString())) == small
    for text in ("error", "stage", "request_id", "problem", "version"):
        large = pb.TrainingRun.FromString(small.SerializeToString())
        setattr(large, text, "x" * (5 << 20))
        shown = sizes.listed_run(large)
        assert (shown.id, shown.state, shown.created_at) == (small.id, small.state, small.created_at)
        assert shown.ByteSize() < 1000
        assert f"at most {1 << 20}" in shown.problem
