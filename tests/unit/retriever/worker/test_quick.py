"""Which requests are answered on the thread that takes calls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever.worker.quick import is_quick
from tests import retrievable

ITEMS = 2000


@pytest.fixture(scope="module")
def snapshot():
    """The first user has seen 500 items, the second one more."""
    vectors = np.random.default_rng(1).normal(size=(ITEMS, 3))
    return retrievable.snapshot(vectors, vectors[:3], seen=[range(500), range(501), []])


def with_searches_of(snapshot, microseconds):
    return replace(
        snapshot,
        recommend=replace(snapshot.recommend, query_microseconds=microseconds),
        similar=replace(snapshot.similar, query_microseconds=microseconds),
    )


def recommend(**fields):
    return pb.RecommendRequest(**{"user_id": "user-2", **fields})


QUICK = [
    recommend(),
    recommend(limit=100, exclude_seen=False, return_attributes={"paths": ["title"]}),
    recommend(user_id="nobody"),
    recommend(user_id="user-0"),
    pb.RecommendRequest(),
    pb.RecommendRequest(session={"item_ids": ["item-1"] * 50}),
    pb.RecommendRequest(features={"features": ["age:1"]}),
    pb.SimilarItemsRequest(item_id="item-1"),
    pb.SimilarItemsRequest(items={"item_ids": ["item-1"] * 50}, limit=100),
]
SLOW = [
    recommend(limit=101),
    recommend(limit=2**31 - 1),
    recommend(user_id="user-1"),
    recommend(exact=True),
    recommend(search_effort=1.0),
    recommend(exclude_item_ids=["item-1"]),
    recommend(filter={"conditions": []}),
    recommend(unknown_ids=pb.UNKNOWN_IDS_POPULAR),
    recommend(paginate=True),
    recommend(page_token="x"),  # noqa: S106
    recommend(diversity=0.5),
    recommend(explain=True),
    pb.RecommendRequest(session={"item_ids": ["item-1"] * 51}),
    pb.SimilarItemsRequest(item_id="item-1", limit=101),
    pb.SimilarItemsRequest(item_id="item-1", exact=True),
    pb.SimilarItemsRequest(items={"item_ids": ["item-1"] * 51}),
    pb.BatchRecommendRequest(requests=[recommend()]),
    pb.BatchSimilarItemsRequest(),
    pb.GetStatusRequest(),
]


@pytest.mark.parametrize("request_", QUICK, ids=str)
def test_plain_questions_are_quick_where_searches_are(snapshot, request_):
    assert is_quick(with_searches_of(snapshot, 500.0), request_)
    assert not is_quick(with_searches_of(snapshot, 500.1), request_)


@pytest.mark.parametrize("request_", SLOW, ids=str)
def test_what_may_look_at_much_is_not(snapshot, request_):
    assert not is_quick(with_searches_of(snapshot, 1.0), request_)
