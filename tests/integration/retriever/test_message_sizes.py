"""What the proto lets callers ask gets through, and the answer reaches clients with gRPC's limits."""

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import TextColumn
from lightfm_retriever.publication.layout import FILES
from lightfm_retriever.publication.storage.id_map import IdMap
from retriever.client import RecommendRequest, RetrieverClient
from tests import retrievable
from tests.service import PATIENCE

ITEMS = 1100
# As long as ids may be, and as much text as answers of 4 MiB have no room for.
ITEM_IDS = [f"{row:0512}" for row in range(ITEMS)]
TEXTS = [[f"{place} " + "x" * 490 for place in range(9)]] * ITEMS
FEATURES = [f"f{place:0511}" for place in range(100)]
UNKNOWN = [f"x{place:0511}" for place in range(10_000)]
BATCH_BYTES = 7 << 20
ANSWER_BYTES = 4 << 20
LONGEST = [
    {"attribute": "genres", "none_of": {"values": UNKNOWN[start : start + 32]}}
    for start in range(0, 31 * 32, 32)
]


def stage_more(staging):
    shape = FILES[layout.FOLD_IN].lengths({"components": retrievable.COMPONENTS})
    staging.add_array(layout.FOLD_IN, np.full(shape, 0.5, dtype=np.float32))
    staging.add_id_map(layout.USER_FEATURES, IdMap.build(FEATURES))
    vectors = np.ones((len(FEATURES), retrievable.COMPONENTS + 1), dtype=np.float32)
    staging.add_array(layout.USER_FEATURE_VECTORS, vectors)


@pytest.fixture(scope="module")
def service(start_once, tmp_path_factory):
    volume = tmp_path_factory.mktemp("sizes") / "volume"
    columns = {"genres": [["a"] if row % 2 else ["b"] for row in range(ITEMS)], "texts": TEXTS}
    attributes = [TextColumn(*column) for column in columns.items()]
    of_items = {"items": ITEMS, "item_ids": ITEM_IDS, "attributes": attributes}
    retrievable.publish(volume, **of_items, stage_more=stage_more, backend="exact")
    return start_once(volume, workers=1)


@pytest.fixture(scope="module")
def stub(service):
    """One with gRPC's default limits."""
    return service.stub()


# A request's fields at all their limits at once.
EVERYTHING = {
    "limit": 1000,
    "exclude_item_ids": UNKNOWN,
    "filter": {"conditions": LONGEST},
    "return_attribute_names": ["genres"] * 1000,
    "explain": True,
}


SESSION = {"item_ids": [*ITEM_IDS[:2], *UNKNOWN[:998]], "weights": [1.5] * 1000}


def refused(stub, method, request):
    """The field and the reason of a refused call."""
    with pytest.raises(grpc.RpcError) as caught:
        getattr(stub, method)(request, timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    [detail], bad_request = rpc_status.from_call(caught.value).details, error_details_pb2.BadRequest()
    assert detail.Unpack(bad_request)
    [violation] = bad_request.field_violations
    return violation.field, violation.description


@pytest.mark.parametrize(
    ("method", "subject"),
    [
        ("SimilarItems", {"items": SESSION}),
        ("Recommend", {"session": SESSION}),
        ("Recommend", {"features": {"features": FEATURES}}),
        ("Recommend", {"user_id": "1"}),
    ],
    ids=lambda value: str(value)[:12],
)
def test_all_limits_at_once_are_answered(stub, method, subject):
    request_ = getattr(pb, f"{method}Request")(**subject, **EVERYTHING)
    answer = getattr(stub, method)(request_, timeout=PATIENCE)
    assert len(answer.items) == 1000
    assert {"genres"} == {*answer.items[0].attributes}
    batch = getattr(pb, f"Batch{method}Request")(requests=[request_])
    [result] = getattr(stub, f"Batch{method}")(batch, timeout=PATIENCE).results
    assert result.response == answer


def test_a_batch_may_have_so_many_bytes(stub):
    one = pb.RecommendRequest(session=SESSION, limit=1, unknown_ids=pb.UNKNOWN_IDS_ERROR)
    batch = pb.BatchRecommendRequest(requests=[one] * 13)
    batch.requests[0].page_token = "x" * (BATCH_BYTES - batch.ByteSize() - 8)
    batch.requests[0].page_token += "x" * (BATCH_BYTES - batch.ByteSize())
    assert batch.ByteSize() == BATCH_BYTES
    answer = stub.BatchRecommend(batch, timeout=PATIENCE)
    assert [result.WhichOneof("result") for result in answer.results] == ["error"] * 13
    batch.requests[0].page_token += "x"
    field, reason = refused(stub, "BatchRecommend", batch)
    assert field == "requests"
    assert f"{BATCH_BYTES + 1} bytes long, but a request may have {BATCH_BYTES}:" in reason


def test_beyond_that_grpc_itself_refuses(stub):
    with pytest.raises(grpc.RpcError) as caught:
        stub.SimilarItems(pb.SimilarItemsRequest(item_id="x" * (9 << 20)), timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(8 << 20) in caught.value.details()


def test_an_answer_that_a_default_client_could_not_receive_is_refused_with_its_size(service, stub):
    request = pb.RecommendRequest(user_id="1", limit=1000, return_attribute_names=["texts"])
    for name, asked in (
        ("Recommend", request),
        ("BatchRecommend", pb.BatchRecommendRequest(requests=[request])),
    ):
        field, reason = refused(stub, name, asked)
        assert field == "max_response_bytes"
        assert f"is {ANSWER_BYTES}, " in reason
        assert "grpc.max_receive_message_length" in reason
        size = int(reason.split("would have ")[1].split()[0])
        asked.max_response_bytes = size
        options = [("grpc.max_receive_message_length", size)]
        with grpc.insecure_channel(service.target, options=options) as channel:
            answer = getattr(type(stub)(channel), name)(asked, timeout=PATIENCE)
        assert answer.ByteSize() == size > ANSWER_BYTES
        asked.max_response_bytes = size - 1
        assert str(size) in refused(stub, name, asked)[1]


def test_our_client_takes_the_large_ones(service):
    with RetrieverClient(service.target) as client:
        answer = client.recommend("1", limit=1000, attributes=["texts"])
        assert len(answer.items) == 1000
        wanted = [RecommendRequest("1", limit=1000, attributes=["texts"])] * 2
        for result in client.batch_recommend(wanted):
            assert [item.item_id for item in result.items] == [item.item_id for item in answer.items]
