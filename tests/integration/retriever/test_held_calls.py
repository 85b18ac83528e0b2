"""Callers that begin calls and never send a request keep nobody else from being answered."""

from __future__ import annotations

import contextlib
import queue

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from tests.load import models

# More than a worker has threads for what must always be answered.
HELD = 20


@contextlib.contextmanager
def held(target, method):
    """So many calls of a method whose requests never come, on a connection of their own."""
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        begin = channel.stream_unary(method)
        never: queue.SimpleQueue[None] = queue.SimpleQueue()
        calls = [begin.future(iter(never.get, None), timeout=60) for _ in range(HELD)]
        # A call after them on the same connection: when it is answered, they have arrived.
        stub = pb_grpc.RetrieverServiceStub(channel)
        assert stub.Recommend(pb.RecommendRequest(user_id=models.USER_IDS[0]), timeout=10).items
        try:
            yield
        finally:
            for call in calls:
                never.put(None)
                call.cancel()


@pytest.fixture(scope="module")
def service(start_once, tmp_path_factory):
    volume = tmp_path_factory.mktemp("held") / "volume"
    models.publish(volume, "a", 1)
    version = next((volume / "versions").iterdir()).name
    return start_once(volume, workers=1, pin=version)


@pytest.mark.parametrize(
    "method",
    [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/recsys.retriever.v1.RetrieverService/GetStatus",
    ],
)
def test_probes_are_answered_beside_calls_without_a_request(service, method):
    with held(service.target, method), grpc.insecure_channel(service.target) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        assert check(health_pb2.HealthCheckRequest(), timeout=10).status == 1
        status = pb_grpc.RetrieverServiceStub(channel).GetStatus
        assert status(pb.GetStatusRequest(), timeout=10).version
