"""Which lines of a file one call asks for together."""

import functools

from hypothesis import given, settings
from hypothesis import strategies as st
from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever.answering.batches import MAX_RESULTS
from retriever.answering.questions import MAX_REQUEST_BYTES
from retriever.cli import batches
from retriever.cli.json_requests import JsonRequestError


@functools.cache
def request(limit, size):
    return pb.RecommendRequest(user_id="3", limit=limit, exclude_item_ids=["x" * 500] * (size // 500))


@given(
    st.lists(
        st.none()
        | st.tuples(st.sampled_from([0, 1, 200, 1000]), st.sampled_from([0, 1000, 3_000_000])),
        max_size=150,
    )
)
@settings(max_examples=25)
def test_a_call_asks_for_no_more_than_the_service_takes(wanted):
    lines = [
        (number, JsonRequestError("isn't JSON") if own is None else request(*own))
        for number, own in enumerate(wanted)
    ]
    made = [*batches._batches(lines)]
    assert [line for batch in made for line in batch] == lines
    for batch in made:
        assert 1 <= len(batch) <= batches.BATCH
        asked = [own for _, own in batch if not isinstance(own, Exception)]
        assert sum(own.limit for own in asked) <= MAX_RESULTS
        assert pb.BatchRecommendRequest(requests=asked).ByteSize() <= MAX_REQUEST_BYTES


def test_a_line_that_is_too_large_is_refused_alone():
    line = b'{"user_id": "3", "exclude_item_ids": ["' + b"x" * (MAX_REQUEST_BYTES + 1) + b'"]}'
    found = dict(batches._requests([line, b'{"user_id": "4"}'], "batch-recommend"))
    assert isinstance(found[1], JsonRequestError)
    assert "but may have at most" in str(found[1])
    assert found[2].user_id == "4"
