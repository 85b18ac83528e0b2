"""The client against servers that fail in every way that it is to hide, and in some that it isn't."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from retriever.client import Answer, CallError, RetrieverClient, ScoredItem


class Servicer(pb_grpc.RetrieverServiceServicer):
    """Fails with the codes that it is given, then answers; notes who asked for what."""

    def __init__(self):
        self.codes = []
        self.requests = []
        self.peers = []

    def _answer(self, request, context):
        self.requests.append(request)
        self.peers.append(context.peer())
        if self.codes:
            context.abort(self.codes.pop(0), "as told")
        return [pb.ScoredItem(item_id="é", score=0.5, title="t")]

    def Recommend(self, request, context):  # noqa: N802
        return pb.RecommendResponse(items=self._answer(request, context), version="v")

    def SimilarItems(self, request, context):  # noqa: N802
        return pb.SimilarItemsResponse(items=self._answer(request, context), version="v")

    def GetStatus(self, request, context):  # noqa: N802
        self._answer(request, context)
        return pb.GetStatusResponse(version="v")


@pytest.fixture
def servicer():
    return Servicer()


class NobodyBehind(health.HealthServicer):
    """As a proxy's that has no service left: it says no, at once."""

    def __init__(self):
        super().__init__(experimental_non_blocking=False)
        self.asked = 0

    def Watch(self, request, context):  # noqa: N802, ARG002
        self.asked += 1
        context.abort(grpc.StatusCode.UNAVAILABLE, "no healthy upstream")


@pytest.fixture
def states(request):
    return getattr(request, "param", health.HealthServicer)()


@pytest.fixture
def target(servicer, states):
    server = grpc.server(ThreadPoolExecutor(4))
    pb_grpc.add_RetrieverServiceServicer_to_server(servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(states, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def client(target):
    with RetrieverClient(target) as client:
        yield client


ANSWER = Answer([ScoredItem("é", 0.5, "t")], "v")


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CANCELLED", "RESOURCE_EXHAUSTED"])
def test_it_hides_what_a_worker_that_ends_or_is_full_says(client, servicer, code):
    servicer.codes = [grpc.StatusCode[code]] * 4
    assert client.recommend("u") == ANSWER
    assert servicer.requests == [pb.RecommendRequest(user_id="u", max_response_bytes=64 << 20)] * 5
    assert client.similar_items("i") == ANSWER
    assert client.status().version == "v"


def test_it_uses_all_its_connections_in_turn(target, servicer):
    with RetrieverClient(target, connections=3) as client:
        for _ in range(9):
            client.recommend("u")
    assert len(set(servicer.peers)) == 3
    assert servicer.peers[:3] == servicer.peers[3:6] == servicer.peers[6:]


def test_it_waits_until_the_service_serves(client, states):
    states.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert not client.is_serving()
    waiting = threading.Thread(target=client.wait_until_serving, kwargs={"timeout_seconds": 60})
    waiting.start()
    states.set("", health_pb2.HealthCheckResponse.SERVING)
    waiting.join(timeout=60)
    assert not waiting.is_alive()
    assert client.is_serving()


@pytest.mark.parametrize("states", [NobodyBehind], indirect=True)
def test_it_asks_a_proxy_that_has_no_service_again_but_not_without_a_pause(client, states):
    with pytest.raises(CallError):
        client.wait_until_serving(timeout_seconds=0.35)
    assert 1 <= states.asked <= 5
