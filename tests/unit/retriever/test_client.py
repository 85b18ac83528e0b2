"""What a client takes, and what it refuses before anybody is asked."""

import pytest
from recsys.trainer.v1 import trainer_service_pb2 as trainer_pb

from retriever.asking.requests import RecommendRequest, SimilarItemsRequest
from retriever.client import ArgumentError, ClientSecurity, RetrieverClient

TARGET = "127.0.0.1:1"


@pytest.fixture(scope="module")
def client():
    with RetrieverClient(TARGET) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("target", value) for value in ("127.0.0.1", "", 1, None, [TARGET])),
        *(("timeout_seconds", value) for value in (0, "5", None, True)),
        *(("security", value) for value in (None, {"ca": "ca.crt"})),
        *(("connections", value) for value in (0, 1.0, "2", None, True)),
    ],
    ids=str,
)
def test_a_client_is_made_with_what_it_takes_only(name, value):
    with pytest.raises(ArgumentError) as raised:
        RetrieverClient(**{"target": TARGET, name: value})
    assert raised.value.argument == name


@pytest.mark.parametrize(
    "requests",
    [None, "3", RecommendRequest("3"), [None], [{"user_id": "3"}], [trainer_pb.TrainingRun()]],
)
def test_a_batch_of_what_are_no_requests_is_refused(client, requests):
    for ask in (client.batch_recommend, client.batch_similar_items):
        with pytest.raises(ArgumentError, match=r"^requests.* but should be a .*Request\("):
            ask(requests)


NO = "has no option 'timeout'; did you mean 'timeout_seconds'?"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda own: own.recommend("3", timeout=5), f"recommend() {NO}"),
        (
            lambda own: own.similar_items_pages("5", item=["3"]),
            "similar_items_pages() has no option 'item'",
        ),
        (lambda own: own.wait_until_serving(5), "wait_until_serving() takes nothing without a name"),
        (lambda _: RetrieverClient(TARGET, timeout=5), f"RetrieverClient() {NO}"),
        (lambda _: ClientSecurity(cacert="ca.crt"), "ClientSecurity() has no option 'cacert'; did you"),
    ],
)
def test_what_a_method_does_not_take_is_refused_in_words(client, make, text):
    with pytest.raises(ArgumentError) as caught:
        make(client)
    assert str(caught.value).startswith(text)


def test_each_method_refuses_what_is_no_time_and_says_that_the_client_is_closed():
    def each(**options):
        return [
            lambda: client.recommend("3", **options),
            lambda: client.similar_items("3", **options),
            lambda: next(client.recommend_pages("3", **options)),
            lambda: next(client.similar_items_pages("3", **options)),
            lambda: client.batch_recommend([RecommendRequest("3")], **options),
            lambda: client.batch_similar_items([SimilarItemsRequest("3")], **options),
            lambda: client.status(**options),
            lambda: client.is_serving(**options),
            lambda: client.wait_until_serving(**options),
        ]

    with RetrieverClient(TARGET) as client:
        pages = client.recommend_pages("3")
        for ask in each(timeout_seconds=0):
            with pytest.raises(ArgumentError, match=r"^timeout_seconds is "):
                ask()
    for ask in (*each(), lambda: next(pages)):
        with pytest.raises(ArgumentError, match=r"^the client is closed: make another$"):
            ask()
    client.close()
