"""The client against servers that fail in every way that it is to hide, and in some that it isn't."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import pytest
from grpc_health.v1 import health, health_pb2
from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever.client import Answer, CallError, RetrieverClient
from tests.integration.retriever.fakes import answering


@pytest.fixture
def service():
    """The codes that it is to fail with before it answers; who asked for what."""
    return SimpleNamespace(codes=[], requests=[], peers=[])


class NobodyBehind(health.HealthServicer):
    """As a proxy's that has no service left: it says no, at once."""

    def __init__(self):
        super().__init__(experimental_non_blocking=False)
        self.asked = 0

    def Watch(self, request, context):  # noqa: N802, ARG002
        self.asked += 1
        context.abort(grpc.StatusCode.UNAVAILABLE, "no healthy upstream")


@pytest.fixture
def target(service):
    def note(request, context):
        service.requests.append(request)
        service.peers.append(context.peer())
        if service.codes:
            context.abort(service.codes.pop(0), "as told")

    with answering(note) as target:
        yield target


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CANCELLED", "RESOURCE_EXHAUSTED"])
def test_it_hides_what_a_worker_that_ends_or_is_full_says(target, service, code):
    service.codes = [grpc.StatusCode[code]] * 4
    with RetrieverClient(target) as client:
        assert client.recommend("u") == Answer([], "v")
        assert service.requests == [pb.RecommendRequest(user_id="u", max_response_bytes=64 << 20)] * 5
        assert client.similar_items("i") == Answer([], "v")
        assert client.status().version == "v"


def test_it_uses_all_its_connections_in_turn(target, service):
    with RetrieverClient(target, connections=3) as client:
        for _ in range(9):
            client.recommend("u")
    assert len(set(service.peers)) == 3
    assert service.peers[:3] == service.peers[3:6] == service.peers[6:]


def test_it_waits_until_the_service_serves():
    states = health.HealthServicer()
    states.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    with answering(states=states) as target, RetrieverClient(target) as client:
        assert not client.is_serving()
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(client.wait_until_serving, timeout_seconds=60)
            states.set("", health_pb2.HealthCheckResponse.SERVING)
            waiting.result()
        assert client.is_serving()


def test_it_asks_a_proxy_that_has_no_service_again_but_not_without_a_pause():
    states = NobodyBehind()
    with (
        answering(states=states) as target,
        RetrieverClient(target) as client,
        pytest.raises(CallError),
    ):
        client.wait_until_serving(timeout_seconds=0.35)
    assert 1 <= states.asked <= 5
