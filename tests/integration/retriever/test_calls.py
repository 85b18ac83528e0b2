"""Both RPCs, status, health and reflection over the wire, from one service that runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc import code_pb2, error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from tests import retrievable
from tests.retrievable import Expected, assert_best
from tests.service import PATIENCE

SERVICE = "recsys.retriever.v1.RetrieverService"
ITEMS = retrievable.ids(retrievable.ODD_ITEM_IDS, 40)
USERS = retrievable.ids(retrievable.ODD_USER_IDS, 12)


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    return tmp_path_factory.mktemp("calls") / "volume"


@pytest.fixture(scope="module")
def version(volume):
    return retrievable.publish(volume)


@pytest.fixture(scope="module")
def service(start_once, volume, version):
    return start_once(volume)


@pytest.fixture(scope="module")
def channel(service):
    return service.channel()


@pytest.fixture(scope="module")
def expected(volume, version):
    return Expected.of(volume, version)


class Asking:
    """Both calls by keywords."""

    def __init__(self, channel):
        self._stub = pb_grpc.RetrieverServiceStub(channel)

    def similar(self, item_id, **fields):
        request = pb.SimilarItemsRequest(item_id=item_id, **fields)
        return self._stub.SimilarItems(request, timeout=PATIENCE)

    def recommend(self, user_id, **fields):
        request = pb.RecommendRequest(user_id=user_id, **fields)
        return self._stub.Recommend(request, timeout=PATIENCE)

    def refused(self, request):
        """The code of a refused call, and its one detail."""
        call = {
            pb.SimilarItemsRequest: self._stub.SimilarItems,
            pb.RecommendRequest: self._stub.Recommend,
        }[type(request)]
        with pytest.raises(grpc.RpcError) as caught:
            call(request, timeout=PATIENCE)
        status = rpc_status.from_call(caught.value)
        assert status.code == caught.value.code().value[0]
        assert status.message == caught.value.details()
        [detail] = status.details
        return status.code, detail


@pytest.fixture(scope="module")
def ask(channel):
    return Asking(channel)


def bad_field(ask, request):
    code, detail = ask.refused(request)
    assert code == code_pb2.INVALID_ARGUMENT
    bad_request = error_details_pb2.BadRequest()
    assert detail.Unpack(bad_request)
    [violation] = bad_request.field_violations
    assert violation.description
    return violation.field


@pytest.mark.parametrize("item_id", ITEMS, ids=ascii)
def test_similar_items_of_every_item(ask, expected, version, item_id):
    response = ask.similar(item_id)
    assert_best(response.items, expected.cosines(item_id))
    assert response.version == version


@pytest.mark.parametrize("user_id", USERS, ids=lambda user_id: ascii(user_id)[:20])
def test_recommendations_for_every_user(ask, expected, version, user_id):
    response = ask.recommend(user_id)
    assert_best(response.items, expected.scores(user_id))
    assert response.version == version
    everything = ask.recommend(user_id, limit=1000, exclude_seen=False)
    assert_best(everything.items, expected.all_scores(user_id), limit=1000)


@pytest.mark.parametrize("limit", [1, 39, 1000])
def test_limits_and_fewer_items_than_the_limit(ask, expected, limit):
    assert_best(ask.similar("0", limit=limit).items, expected.cosines("0"), limit)
    assert_best(ask.recommend("3", limit=limit).items, expected.scores("3"), limit)


@pytest.mark.parametrize(
    ("unknown", "item", "user"),
    [
        ("nobody", None, None),
        ("CAFÉ", "café", None),
        (" 0", "0", "0"),
        ("\0", None, None),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_an_unknown_id_is_told_with_its_other_spelling(ask, version, unknown, item, user):
    for request, reason, near in (
        (pb.SimilarItemsRequest(item_id=unknown), "ITEM_NOT_FOUND", item),
        (pb.RecommendRequest(user_id=unknown), "USER_NOT_FOUND", user),
    ):
        code, detail = ask.refused(request)
        assert code == code_pb2.NOT_FOUND
        info = error_details_pb2.ErrorInfo()
        assert detail.Unpack(info)
        assert info.reason == reason
        assert dict(info.metadata) == {"id": unknown, "version": version} | (
            {"near": near} if near else {}
        )


def test_a_bad_field_is_named(ask):
    assert bad_field(ask, pb.RecommendRequest()) == "subject"
    assert bad_field(ask, pb.SimilarItemsRequest(item_id="é" * 257)) == "item_id"
    assert bad_field(ask, pb.SimilarItemsRequest(item_id="0", limit=1001)) == "limit"


@pytest.mark.parametrize("data", [b"\xff" * 10, b"\x0a\x02\xff\xfe", b"\x0a\xff\xff\xff\xff\x0f"])
def test_bytes_that_are_no_request_are_refused_and_the_connection_goes_on(channel, ask, data):
    call = channel.unary_unary(f"/{SERVICE}/SimilarItems")
    with pytest.raises(grpc.RpcError) as caught:
        call(data, timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert len(ask.similar("0").items) == 10


def test_many_calls_at_once_on_many_channels(service, expected, version):
    """More than there are threads, of both kinds, over both workers."""
    stubs = [service.stub() for _ in range(8)]

    def call(number):
        stub, user_id, item_id = stubs[number % 8], USERS[number % 12], ITEMS[number % 40]
        recommended = stub.Recommend(pb.RecommendRequest(user_id=user_id), timeout=PATIENCE)
        similar = stub.SimilarItems(pb.SimilarItemsRequest(item_id=item_id), timeout=PATIENCE)
        assert_best(recommended.items, expected.scores(user_id))
        assert_best(similar.items, expected.cosines(item_id))
        return {recommended.version, similar.version}

    with ThreadPoolExecutor(16) as pool:
        assert set.union(*pool.map(call, range(200))) == {version}


def test_get_status(service, version):
    status = service.status()
    assert (status.label, status.label_target, status.version) == ("current", version, version)
    assert status.label_problem == ""
    assert (status.last_reload.version, status.last_reload.succeeded) == (version, True)
    assert status.last_reload.duration_seconds > 0
    assert [worker.index for worker in status.workers] == [0, 1]
    assert [worker.version for worker in status.workers] == [version] * 2
    parent = Path(f"/proc/{service.pid}/task/{service.pid}/children")
    assert {worker.pid for worker in status.workers} == {*map(int, parent.read_text().split())}
    for worker in status.workers:
        assert worker.state == pb.WORKER_STATE_RUNNING
        assert worker.restarts == 0
        assert worker.started_at.ToNanoseconds() < worker.serving_since.ToNanoseconds()


def test_reflection(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    def reflected(**request):
        requests = iter([reflection_pb2.ServerReflectionRequest(**request)])
        [response] = stub.ServerReflectionInfo(requests, timeout=PATIENCE)
        return response

    services = {each.name for each in reflected(list_services="").list_services_response.service}
    assert services == {
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    found = reflected(file_containing_symbol=SERVICE).file_descriptor_response.file_descriptor_proto
    descriptor = FileDescriptorProto.FromString(found[0])
    [described] = descriptor.service
    assert {method.name for method in described.method} == {
        *("SimilarItems", "Recommend", "BatchSimilarItems", "BatchRecommend", "GetStatus")
    }
