"""Clients that know all retrievers: what docs/how-to/balance-calls.md says to give them."""

import json
import re
import signal
from pathlib import Path

import grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from retriever.client import retry_policy
from tests.load import models
from tests.service import PATIENCE

PAGE = Path(__file__).parents[3] / "docs/how-to/balance-calls.md"


def test_one_channel_calls_all_retrievers_and_hides_one_that_dies(start, volume):
    [config] = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    # The retries are those that every client has.
    [method] = json.loads(retry_policy())["methodConfig"]
    assert json.loads(config)["methodConfig"] == [method]
    assert method["name"] == [{"service": "recsys.retriever.v1.RetrieverService"}]
    assert 2 <= method["retryPolicy"]["maxAttempts"] <= 5, "gRPC makes no more than five"
    first, second = (start(volume, workers=1) for _ in range(2))
    # As a name of the headless service is resolved: to many addresses.
    target = f"ipv4:{first.target},{second.target}"
    options = [("grpc.service_config", config), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(target, options=options) as channel:
        stub = pb_grpc.RetrieverServiceStub(channel)

        def ask():
            request = pb.RecommendRequest(user_id=models.USER_IDS[0])
            return stub.Recommend(request, timeout=PATIENCE).items

        # It connects to one after the other, and takes turns once it has.
        for service in (first, second):
            service.wait_until(lambda status: ask() and status.workers[0].calls >= 10)
        first.signal(signal.SIGKILL)
        first.wait()
        assert all(ask() for _ in range(20))
