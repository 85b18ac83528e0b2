"""What the clients of both services take, and what they refuse before anybody is asked."""

import pytest
from recsys.trainer.v1 import trainer_service_pb2 as trainer_pb

from retriever.asking.requests import RecommendRequest, SimilarItemsRequest
from retriever.client import ArgumentError, ClientSecurity, RetrieverClient
from trainer.client import TrainerClient

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
    for kind in (RetrieverClient, TrainerClient)[: 1 if name == "connections" else 2]:
        with pytest.raises(ArgumentError) as raised:
            kind(**{"target": TARGET, name: value})
        assert raised.value.argument == name


@pytest.mark.parametrize(
    "requests",
    [None, "3", RecommendRequest("3"), [None], [{"user_id": "3"}], [trainer_pb.TrainingRun()]],
)
def test_a_batch_of_what_are_no_requests_is_refused(client, requests):
    for ask in (client.batch_recommend, client.batch_similar_items):
        with pytest.raises(ArgumentError, match=r"^requests.* but should be a .*Request\("):
            ask(requests)


TIMEOUT = "has no option 'timeout'; did you mean 'timeout_seconds'?"
ITEM = "has no option 'item'; did you mean 'items'?"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda own: own.recommend("3", timeout=5), f"recommend() {TIMEOUT}"),
        (lambda own: own.similar_items_pages("5", item=["3"]), f"similar_items_pages() {ITEM}"),
        (lambda own: own.wait_until_serving(5), "wait_until_serving() takes nothing without a name"),
        (lambda _: RetrieverClient(TARGET, timeout=5), f"RetrieverClient() {TIMEOUT}"),
        (lambda _: TrainerClient(TARGET, timeout=5), f"TrainerClient() {TIMEOUT}"),
        (lambda _: ClientSecurity(cacert="ca.crt"), "ClientSecurity() has no option 'cacert'; did you"),
    ],
)
def test_what_a_method_does_not_take_is_refused_in_words(client, make, text):
    with pytest.raises(ArgumentError) as caught:
        make(client)
    assert str(caught.value).startswith(text)


def asks(client, **options):
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


def test_each_method_refuses_what_is_no_time_and_says_that_the_client_is_closed():
    with RetrieverClient(TARGET) as client, TrainerClient(TARGET) as trainer:
        pages = client.recommend_pages("3")
        for ask in asks(client, timeout_seconds=0):
            with pytest.raises(ArgumentError, match=r"^timeout_seconds is "):
                ask()
    for ask in (
        *asks(client),
        lambda: next(pages),
        lambda: trainer.call("ListVersions", trainer_pb.ListVersionsRequest()),
        lambda: next(trainer.watch("x")),
        trainer.is_serving,
    ):
        with pytest.raises(ArgumentError, match=r"^the client is closed: make another$"):
            ask()
    client.close()


@pytest.mark.parametrize("value", [None, "Trian", ["x"], trainer_pb.GetVersionRequest()], ids=repr)
def test_a_trainer_is_asked_by_its_methods_and_their_requests_only(value):
    with TrainerClient(TARGET) as client:
        with pytest.raises(ArgumentError, match=r"^method is .* one of AppendInteractions, Cancel"):
            client.call(value, trainer_pb.ListVersionsRequest())
        with pytest.raises(ArgumentError, match=r"^request is .* a ListVersionsRequest$"):
            client.call("ListVersions", value)
        if not isinstance(value, str):
            with pytest.raises(ArgumentError, match=r"^run_id is "):
                next(client.watch(value))
