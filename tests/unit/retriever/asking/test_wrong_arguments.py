"""Values of any kind for any argument: they are sent as they are meant, or refused by its name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.trainer.v1 import trainer_service_pb2 as trainer_pb

from lightfm_retriever.hosting.errors import ArgumentError
from lightfm_retriever.hosting.security.settings import ClientSecurity
from retriever.asking.conditions import RangeCondition, TextCondition, all_of, any_of, in_range
from retriever.asking.requests import RecommendRequest, SimilarItemsRequest
from retriever.client import RetrieverClient
from trainer.client import TrainerClient

# Nobody is asked: what is wrong is refused before.
TARGET = "127.0.0.1:1"

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.characters(categories=["Cs"])
    | st.binary(max_size=5)
    | st.sampled_from(
        [
            object(),
            RecommendRequest,
            RecommendRequest("3"),
            pb.RecommendRequest(),
            any_of("genres", "Drama"),
            in_range("year", min=1),
            np.int64(5),
            np.float32(5),
            np.bool_(1),
            np.arange(3),
            np.array(5),
            np.ones((2, 2)),
            np.array(["a", None], object),
            np.datetime64("2020-01-01"),
            1j,
            10**1000,
            Exception,
            len,
        ]
    )
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.floats(), inner, max_size=3)
        | st.lists(inner, max_size=3).map(iter)
    ),
    max_leaves=4,
)
SUBJECTS = {RecommendRequest: "user_id", SimilarItemsRequest: "item_id"}
ARGUMENTS = [(kind, field.name) for kind in SUBJECTS for field in dataclasses.fields(kind)]


def refused(make):
    """The error of this kind that it ends with, None for none; any other error is a fault."""
    try:
        make()
    except ArgumentError as error:
        return error
    return None


@pytest.mark.parametrize(("kind", "name"), ARGUMENTS, ids=str)
@settings(max_examples=80, deadline=None)
@given(value=ANYTHING)
@example(value="50")
@example(value=[50])
@example(value=3)
@example(value={"genres": "Drama"})
def test_a_request_is_sent_or_refused_by_the_name_of_the_argument(kind, name, value):
    others = {} if name in ("user_id", "item_id", "session", "items", "features") else {
        SUBJECTS[kind]: "3"
    }  # fmt: skip
    if error := refused(lambda: kind(**{name: value, **others}).to_message()):
        subject = SUBJECTS[kind] if value is None else name
        assert error.argument.partition("[")[0] in (name, subject)
        assert str(error).partition("[")[0].split()[0] in (name, "exactly")
        for word in ("is None", "Traceback", "<class", "object at", "pb2"):
            assert word not in str(error)


@settings(max_examples=150, deadline=None)
@given(attribute=ANYTHING, values=st.lists(ANYTHING, max_size=2), end=ANYTHING)
def test_a_condition_is_sent_or_refused_by_the_name_of_the_argument(attribute, values, end):
    for make, names in (
        (lambda: all_of(attribute, *values), ("attribute", "values")),
        (lambda: in_range(attribute, min=end), ("attribute", "min")),
        (lambda: in_range("year", max=end), ("max",)),
        (lambda: TextCondition("genres", end, ("a",)), ("test",)),
        (lambda: TextCondition("genres", "any_of", end), ("values",)),
        (lambda: RangeCondition("year", end, end), ("min",)),
    ):
        if error := refused(lambda make=make: RecommendRequest("3", filter=[make()]).to_message()):
            assert error.argument.partition("[")[0] in names


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: RecommendRequest("3", filter="genres=Drama"),
            "filter is the text 'genres=Drama', but should be a list of conditions, such as [any_of(",
        ),
        (
            lambda: RecommendRequest("3", filter={"genres": "Drama"}),
            "filter is a mapping, but should be a list of conditions, such as [any_of(",
        ),
        (
            lambda: RecommendRequest("3", filter=[{"genres": "Drama"}]),
            "filter[0] is a mapping, but should be a condition, such as any_of('genres',",
        ),
        (
            lambda: any_of("genres", ["Drama", "War"]),
            "values[0] is a list, but should be texts one by one, such as any_of('genres', 'Drama',",
        ),
        (
            lambda: RecommendRequest(session=[("50", 2.0)]),
            "session[0] is a tuple, but should be an id: text such as '3', or a whole number such as 3",
        ),
        (
            lambda: RecommendRequest(session={"50": "2"}),
            "session['50'] is the text '2', but should be a weight, such as 2.0",
        ),
        (
            lambda: RecommendRequest(session={"50": 2, 50: 3}),
            "session is a mapping, but should be weights by id, but has '50' twice",
        ),
        (
            lambda: RecommendRequest("3", limit=5.0),
            "limit is 5.0, but should be a whole number in 1..1000",
        ),
        (
            lambda: RecommendRequest(features={"gender": "F"}),
            "features is a mapping, but should be a list of features, such as ['age:25-34',",
        ),
        (
            lambda: RecommendRequest("3", page_token=b"t"),
            "page_token is bytes, but should be an answer's next_page_token",
        ),
    ],
)
def test_what_was_expected_is_said_with_an_example(make, said):
    with pytest.raises(ArgumentError) as raised:
        make()
    assert str(raised.value).startswith(said)


def test_whole_numbers_are_ids_wherever_ids_are_taken():
    ids, texts = [50, np.int64(181)], ["50", "181"]
    weighted = pb.WeightedItems(item_ids=texts)
    assert RecommendRequest(3).to_message() == pb.RecommendRequest(user_id="3")
    assert RecommendRequest(session=ids).to_message() == pb.RecommendRequest(session=weighted)
    assert RecommendRequest(session=np.array([50, 181])).to_message().session == weighted
    assert SimilarItemsRequest(items=iter(ids)).to_message().items == weighted
    assert SimilarItemsRequest(np.uint8(3), exclude_item_ids=set(ids)).to_message().item_id == "3"
    made = RecommendRequest(session={50: 2, np.int64(181): np.float32(0.5)}).to_message()
    assert made.session == pb.WeightedItems(item_ids=texts, weights=[2, 0.5])


def test_a_generator_is_read_once_and_the_request_may_be_sent_twice():
    request = SimilarItemsRequest("1", exclude_item_ids=(str(n) for n in range(2)))
    assert request.to_message() == request.to_message()
    assert [*request.to_message().exclude_item_ids] == ["0", "1"]


@settings(max_examples=100, deadline=None)
@given(value=ANYTHING)
def test_a_client_is_made_and_asked_with_what_it_takes_only(value):
    for name in ("target", "connections", "timeout_seconds", "security"):
        for kind in (RetrieverClient, TrainerClient):
            if (name, kind) == ("connections", TrainerClient) or _may_be(name, value):
                continue
            with pytest.raises(ArgumentError) as raised:
                kind(**{"target": TARGET, name: value})
            assert raised.value.argument == name


def _may_be(name, value):
    """Whether it is what the argument takes; many connections are no mistake."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if name == "connections":
        return whole and value >= 1
    return name == "timeout_seconds" and (whole or isinstance(value, float | np.floating)) and value > 0


@pytest.fixture(scope="module")
def client():
    with RetrieverClient(TARGET) as client:
        yield client


@settings(max_examples=100, deadline=None)
@given(value=LEAVES)
def test_a_batch_of_what_are_no_requests_is_refused(client, value):
    for ask, kinds in (
        (client.batch_recommend, (RecommendRequest, pb.RecommendRequest)),
        (client.batch_similar_items, (SimilarItemsRequest, pb.SimilarItemsRequest)),
    ):
        for requests in (value,) if isinstance(value, kinds) else (value, [value]):
            with pytest.raises(ArgumentError, match=r"^requests.* but should be a .*Request\("):
                ask(requests)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda client: client.recommend("3", limitt=5),
            "recommend() has no option 'limitt'; did you mean 'limit'?",
        ),
        (
            lambda client: client.recommend("3", timeout=5),
            "recommend() has no option 'timeout'; did you mean 'timeout_seconds'?",
        ),
        (
            lambda client: client.similar_items_pages("50", item=["3"]),
            "similar_items_pages() has no option 'item'; did you mean 'items'?",
        ),
        (
            lambda client: client.status(timeout=5),
            "status() has no option 'timeout'; did you mean 'timeout_seconds'?",
        ),
        (
            lambda client: client.wait_until_serving(5),
            "wait_until_serving() takes nothing without a name, and all else as NAME=VALUE",
        ),
        (
            lambda client: client.recommend(),
            "exactly one of user_id, session, features is needed; none was given",
        ),
        (
            lambda _: RetrieverClient(TARGET, timeout=5),
            "RetrieverClient() has no option 'timeout'; did you mean 'timeout_seconds'?",
        ),
        (
            lambda _: TrainerClient(TARGET, timeout=5),
            "TrainerClient() has no option 'timeout'; did you mean 'timeout_seconds'?",
        ),
        (lambda _: RetrieverClient(), "RetrieverClient() needs target, which is missing"),
        (
            lambda _: ClientSecurity(cacert="ca.crt"),
            "ClientSecurity() has no option 'cacert'; did you mean 'cert'?",
        ),
    ],
)
def test_what_a_method_does_not_take_is_refused_in_words(client, make, text):
    with pytest.raises(ArgumentError) as caught:
        make(client)
    assert str(caught.value) == text


def test_a_client_that_is_closed_says_so():
    with RetrieverClient(TARGET) as client:
        pages = client.recommend_pages("3")
    for ask in (
        lambda: client.recommend("3"),
        lambda: next(pages),
        lambda: client.batch_similar_items([SimilarItemsRequest("3")]),
        client.status,
        client.is_serving,
        client.wait_until_serving,
    ):
        with pytest.raises(ArgumentError, match=r"^the client is closed: make another$"):
            ask()
    client.close()


def test_a_trainers_client_that_is_closed_says_so():
    with TrainerClient(TARGET) as client:
        pass
    for ask in (
        lambda: client.call("ListVersions", trainer_pb.ListVersionsRequest()),
        lambda: next(client.watch("x")),
        client.is_serving,
    ):
        with pytest.raises(ArgumentError, match=r"^the client is closed: make another$"):
            ask()


@pytest.mark.parametrize("seconds", ["5", 0, -1, True, float("nan"), [1]])
def test_each_method_refuses_what_is_no_time(client, seconds):
    for ask in (
        lambda: client.recommend("3", timeout_seconds=seconds),
        lambda: client.similar_items("3", timeout_seconds=seconds),
        lambda: next(client.recommend_pages("3", timeout_seconds=seconds)),
        lambda: next(client.similar_items_pages("3", timeout_seconds=seconds)),
        lambda: client.batch_recommend([RecommendRequest("3")], timeout_seconds=seconds),
        lambda: client.batch_similar_items([SimilarItemsRequest("3")], timeout_seconds=seconds),
        lambda: client.status(timeout_seconds=seconds),
        lambda: client.is_serving(timeout_seconds=seconds),
        lambda: client.wait_until_serving(timeout_seconds=seconds),
    ):
        with pytest.raises(ArgumentError, match=r"^timeout_seconds is "):
            ask()


@settings(max_examples=100, deadline=None)
@given(value=ANYTHING)
@example(value="Trian")
@example(value=trainer_pb.GetVersionRequest())
def test_a_trainer_is_asked_by_its_methods_and_their_requests_only(value):
    with TrainerClient(TARGET) as client:
        with pytest.raises(ArgumentError, match=r"^method is .* one of AppendInteractions, Cancel"):
            client.call(value, trainer_pb.ListVersionsRequest())
        with pytest.raises(ArgumentError, match=r"^request is .* a ListVersionsRequest$"):
            client.call("ListVersions", value)
        if not isinstance(value, str):
            with pytest.raises(ArgumentError, match=r"^run_id is "):
                next(client.watch(value))
