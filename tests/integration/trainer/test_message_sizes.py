"""The limits of the trainer's messages, by a client with gRPC's own limits."""

import grpc
import pytest
from recsys.trainer.v1 import trainer_service_pb2 as pb

from tests import publications
from tests.trainer_service import TrainerService, refused
from trainer.cli.service_commands import list_versions

MAX_BYTES = 5 << 20


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sizes")
    publications.daily(directory / "volume", 4)
    with TrainerService(directory / "volume", directory / "state") as service:
        yield service


def violation(call):
    code, _, field = refused(call)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    return field


def test_as_many_and_as_long_ids_as_may_be_are_removed(service):
    ids = [f"{place:0512}" for place in range(10_000)]
    request = pb.RemoveInteractionsRequest(event_ids=ids)
    assert service.call("RemoveInteractions", request).removed == 0
    more = pb.RemoveInteractionsRequest(item_ids=[*ids, "1"])
    assert violation(lambda: service.call("RemoveInteractions", more)) == "item_ids"


def test_a_message_of_events_may_have_so_many_bytes(service):
    event = {"user_id": "u" * 512, "item_id": "i" * 512, "event": "e" * 64}
    events = [pb.InteractionEvent(event_id=f"{place:0128}", **event) for place in range(4000)]
    request = pb.AppendInteractionsRequest(events=events)
    assert 0.9 * MAX_BYTES < request.ByteSize() <= MAX_BYTES
    assert service.call("AppendInteractions", iter([request])).accepted == 4000
    request.events.extend(events[:500])
    assert request.ByteSize() > MAX_BYTES
    assert violation(lambda: service.call("AppendInteractions", iter([request]))) == "events"


def test_versions_are_listed_page_after_page(service):
    everything = service.call("ListVersions", pb.ListVersionsRequest())
    assert len(everything.versions) == 4
    assert not everything.next_page_token
    sizes = []

    class Paging:
        def call(self, method, request):
            request.page_size = 3
            page = service.call(method, request)
            sizes.append(len(page.versions))
            return page

    # As the command line does it.
    assert [*list_versions(Paging()).versions] == [*everything.versions]
    assert sizes == [3, 1]
