"""Many calls at once, status and reflection over the wire; test_backends.py asks of all ids."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb

from tests import retrievable
from tests.retrievable import Expected, assert_best
from tests.service import PATIENCE

SERVICE = "recsys.retriever.v1.RetrieverService"
ITEMS = retrievable.ids(retrievable.ODD_ITEM_IDS, 40)
USERS = retrievable.ids(retrievable.ODD_USER_IDS, 12)


@pytest.fixture(scope="module")
def served(start_once, tmp_path_factory):
    """A service, and what its version answers."""
    volume = tmp_path_factory.mktemp("calls") / "volume"
    expected = Expected.of(volume, retrievable.publish(volume))
    return start_once(volume), expected


def test_many_calls_at_once_on_many_channels(served):
    """More than there are threads, of both kinds, over both workers."""
    service, expected = served
    stubs = [service.stub() for _ in range(8)]

    def call(number):
        stub, user_id, item_id = stubs[number % 8], USERS[number % 12], ITEMS[number % 40]
        recommended = stub.Recommend(pb.RecommendRequest(user_id=user_id), timeout=PATIENCE)
        similar = stub.SimilarItems(pb.SimilarItemsRequest(item_id=item_id), timeout=PATIENCE)
        assert_best(recommended.items, expected.scores(user_id))
        assert_best(similar.items, expected.cosines(item_id))
        return {recommended.version, similar.version}

    with ThreadPoolExecutor(16) as pool:
        assert set.union(*pool.map(call, range(200))) == {expected.publication.manifest.version}


def test_reflection(served):
    stub = reflection_pb2_grpc.ServerReflectionStub(served[0].channel())

    def reflected(**request):
        requests = iter([reflection_pb2.ServerReflectionRequest(**request)])
        [response] = stub.ServerReflectionInfo(requests, timeout=PATIENCE)
        return response

    services = {each.name for each in reflected(list_services="").list_services_response.service}
    assert services == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    found = reflected(file_containing_symbol=SERVICE).file_descriptor_response.file_descriptor_proto
    descriptor = FileDescriptorProto.FromString(found[0])
    [described] = descriptor.service
    assert {method.name for method in described.method} == {
        *("SimilarItems", "Recommend", "BatchSimilarItems", "BatchRecommend", "GetStatus")
    }
