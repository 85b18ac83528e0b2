"""Pages that clients can receive, and messages that are too large."""

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


def test_a_version_or_a_run_that_leaves_others_no_room_is_listed_with_what_has_room():
    small = version("small", 1000)
    assert sizes.listed(small) == version("small", 1000)
    large = sizes.listed(version("large", 2 << 20))
    assert (large.name, dict(large.metrics)) == ("large", {})
    assert str(1 << 20) in large.problem
    run = pb.TrainingRun(id="a", state=pb.TRAINING_RUN_STATE_FAILED, error="no")
    run.created_at.FromSeconds(5)
    assert sizes.listed_run(run).error == "no"
    run.stage = "x" * (5 << 20)
    shown = sizes.listed_run(run)
    assert (shown.id, shown.state, shown.created_at) == (run.id, run.state, run.created_at)
    assert shown.ByteSize() < 1000
    assert f"at most {1 << 20}" in shown.problem


def test_a_message_of_events_may_have_so_many_bytes(monkeypatch):
    request = pb.AppendInteractionsRequest(events=[pb.InteractionEvent(event_id="x")])
    monkeypatch.setattr(sizes, "MAX_REQUEST_BYTES", request.ByteSize())
    sizes.check_events(request)
    request.events[0].event_id += "x"
    with pytest.raises(
        FieldError, match=f"^events: have {request.ByteSize()} bytes, but should have at"
    ):
        sizes.check_events(request)
