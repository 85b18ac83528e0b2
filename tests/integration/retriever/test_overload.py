"""A worker with as many calls as it may take refuses others at once, and is still seen to live."""

import queue
from itertools import chain

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from grpc_status import rpc_status
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from lightfm_retriever.publication import labels
from tests.load import models

SERVICE = "recsys.retriever.v1.RetrieverService"
MAX_CALLS = 3


@pytest.fixture(scope="module")
def service(start_once, tmp_path_factory):
    volume = tmp_path_factory.mktemp("full") / "volume"
    labels.promote(volume, models.publish(volume, "a", 1).version)
    return start_once(volume, workers=1, max_calls=MAX_CALLS, threads=1)


@pytest.fixture
def channel(service):
    with grpc.insecure_channel(service.target) as channel:
        yield channel


class HeldCall:
    """A call whose request stays away until it is sent."""

    def __init__(self, channel):
        self._requests = queue.SimpleQueue()
        method = channel.stream_unary(
            f"/{SERVICE}/Recommend", response_deserializer=pb.RecommendResponse.FromString
        )
        self.future = method.future(iter(self._requests.get, None), timeout=60)

    def send(self, user_id=models.USER_IDS[0]):
        self._requests.put(pb.RecommendRequest(user_id=user_id).SerializeToString())
        self._requests.put(None)

    def cancel(self):
        self._requests.put(None)
        self.future.cancel()


def recommend(channel):
    request = pb.RecommendRequest(user_id=models.USER_IDS[0])
    return pb_grpc.RetrieverServiceStub(channel).Recommend(request, timeout=10)


def test_a_full_worker_refuses_calls_with_retry_info_and_answers_health_and_status(service, channel):
    health = health_pb2_grpc.HealthStub(channel)
    # Those of another test may take a moment to end.
    service.wait_until(lambda status: status.workers[0].calls_in_flight == 0)
    calls = [HeldCall(channel) for _ in range(MAX_CALLS)]
    service.wait_until(lambda status: status.workers[0].calls_in_flight == MAX_CALLS)
    with pytest.raises(grpc.RpcError) as refused:
        recommend(channel)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    [detail] = rpc_status.from_call(refused.value).details
    info = error_details_pb2.RetryInfo()
    assert detail.Unpack(info)
    assert 0 < info.retry_delay.ToTimedelta().total_seconds() < 1
    service.wait_until(lambda status: status.workers[0].refused_calls)
    for name in ("", SERVICE):
        request = health_pb2.HealthCheckRequest(service=name)
        assert health.Check(request, timeout=10).status == health_pb2.HealthCheckResponse.SERVING
        watch = health.Watch(request, timeout=10)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
    assert service.status().version
    for call in calls:
        call.cancel()


def test_reflection_tells_of_the_services_and_their_methods(channel):
    asked = {"list_services": ""}, {"file_containing_symbol": SERVICE}
    requests = iter([ServerReflectionRequest(**one) for one in asked])
    listed, found = ServerReflectionStub(channel).ServerReflectionInfo(requests, timeout=10)
    names = {each.name for each in listed.list_services_response.service}
    assert names == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    [described, *_] = found.file_descriptor_response.file_descriptor_proto
    [methods] = [service.method for service in FileDescriptorProto.FromString(described).service]
    assert {method.name for method in methods} == {
        *("SimilarItems", "Recommend", "BatchSimilarItems", "BatchRecommend", "GetStatus")
    }


def test_reflection_streams_that_stay_open_keep_nobody_out(service, channel):
    request, never = ServerReflectionRequest(list_services=""), queue.SimpleQueue()
    ask = ServerReflectionStub(channel).ServerReflectionInfo
    streams = [ask(chain([request], iter(never.get, None)), timeout=60) for _ in range(20)]
    codes = set()
    for stream in streams:
        try:
            codes.add(next(stream) and grpc.StatusCode.OK)
        except grpc.RpcError as error:
            codes.add(error.code())
    assert codes == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(recommend(channel).items) == models.LIMIT
    assert service.status().version
    for stream in streams:
        stream.cancel()
        never.put(None)


@pytest.mark.parametrize(
    "method",
    [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        f"/{SERVICE}/GetStatus",
    ],
)
def test_probes_are_answered_beside_calls_without_a_request(service, channel, method):
    never = queue.SimpleQueue()
    own = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(service.target, options=own) as holding:
        begin = holding.stream_unary(method)
        # More than a worker has threads for what must always be answered.
        calls = [begin.future(iter(never.get, None), timeout=60) for _ in range(20)]
        # A call after them on the same connection: when it is answered, they have arrived.
        assert recommend(holding).items
        check = health_pb2_grpc.HealthStub(channel).Check
        assert check(health_pb2.HealthCheckRequest(), timeout=10).status == 1
        assert service.status().version
        for call in calls:
            never.put(None)
            call.cancel()
