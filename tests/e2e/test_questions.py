"""All kinds of question, from files of interactions to answers over the wire."""

import numpy as np
import pytest

from lightfm_retriever.publication import reader
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from retriever.client import RetrieverClient, all_of, any_of, in_range, none_of
from tests.service import Service
from trainer.__main__ import main as trainer

ITEMS, USERS = 60, 40
GENRES = ("Action", "Comedy", "Drama", "War")
COUNTRIES = ("DE", "FR", "NL")


def genres(item):
    return [genre for place, genre in enumerate(GENRES) if (item + 1) >> place & 1]


def year(item):
    return "" if item % 10 == 9 else str(1950 + item)


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """A version trained on users who like items of their own country's kind."""
    directory = tmp_path_factory.mktemp("questions")
    random = np.random.default_rng(1)
    interactions = ["user_id,item_id"]
    for user in range(USERS):
        liked = random.choice(range(user % 3, ITEMS, 3), size=8, replace=False)
        interactions += [f"u{user},i{item}" for item in liked]
    items = ["item_id,title,genres,year"]
    items += [f"i{item},Film {item},{'|'.join(genres(item))},{year(item)}" for item in range(ITEMS)]
    users = ["user_id,country", *(f"u{user},{COUNTRIES[user % 3]}" for user in range(USERS))]
    # Two who have done nothing yet.
    users += ["new-DE,DE", "new-FR,FR"]
    volume = directory / "volume"
    arguments = f"train --volume {volume} --epochs 15 --components 8 --split none --allow-unevaluated"
    arguments += " --index-threads 1 --user-features country --item-attributes genres,year"
    for name, lines in (("interactions", interactions), ("items", items), ("users", users)):
        (directory / f"{name}.csv").write_text("\n".join(lines))
        arguments += f" --{name} {directory / name}.csv"
    assert trainer(arguments.split()) == 0
    return volume


@pytest.fixture(scope="module")
def client(volume):
    with (
        Service(volume, volume.parent / "log", workers=1, drain_seconds=0) as service,
        RetrieverClient(service.target) as client,
    ):
        client.wait_until_serving()
        yield client


def ids(answer):
    return [item.item_id for item in answer.items]


def number(item_id):
    return int(item_id[1:])


def test_a_session_is_answered_by_the_vector_that_it_is_folded_into(client, volume):
    [version] = reader.list_versions(volume)
    published = reader.open_publication(volume, version)
    session = {"i0": 2.0, "i3": 1.0, "nowhere": 1.0}
    answer = client.recommend(session=session, limit=1000)
    rows = [published.items.row(item_id) for item_id in ("i0", "i3")]
    parts = FoldIn(published.fold_in).parts(
        published.item_vectors[rows, :-1], np.array([2, 1], dtype=np.float32)
    )
    scores = published.item_vectors.astype(np.float64) @ np.append(parts.sum(axis=0), 1)
    # Equal ones by id.
    order = sorted((-score, published.items.external_id(row)) for row, score in enumerate(scores))
    assert ids(answer) == [item_id for _, item_id in order if item_id not in ("i0", "i3")]
    assert (answer.source, answer.unknown_ids) == ("folded_in", ["nowhere"])
    assert answer.short_reason == "catalogue"
    # Whoever likes items of one kind is shown more of them.
    assert all(number(item_id) % 3 == 0 for item_id in ids(answer)[:5])
    everything = client.recommend(session=["i0", "i3"], exclude_seen=False, limit=1000)
    assert {"i0", "i3"} <= {*ids(everything)}


@pytest.mark.parametrize("country", ["DE", "FR"])
def test_features_are_answered_as_the_user_who_has_nothing_else(client, country):
    by_features = client.recommend(features=[f"country:{country}"], limit=1000)
    as_user = client.recommend(f"new-{country}", limit=1000)
    assert by_features.source == "features"
    assert ids(by_features) == ids(as_user)
    scores, expected = ([item.score for item in own.items] for own in (by_features, as_user))
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_a_filter_keeps_what_matches_and_nothing_else(client):
    everything = ids(client.recommend("u0", exclude_seen=False, limit=1000))

    def old_war(i):
        return "War" in genres(i) and year(i) and int(year(i)) <= 1980

    for conditions, matches in (
        ([all_of("genres", "Drama", "War")], lambda i: {"Drama", "War"} <= {*genres(i)}),
        ([none_of("genres", "Drama")], lambda i: "Drama" not in genres(i)),
        ([any_of("genres", "War"), in_range("year", max=1980)], old_war),
    ):
        answer = client.recommend("u0", exclude_seen=False, limit=1000, filter=conditions)
        assert ids(answer) == [item_id for item_id in everything if matches(number(item_id))]
        assert answer.short_reason == "filter"


def test_attributes_and_reasons_come_with_the_results(client):
    answer = client.recommend(
        session=["i0", "i3"], titles=True, attributes=["genres", "year"], explain=True
    )
    for item in answer.items:
        own = number(item.item_id)
        assert item.title == f"Film {own}"
        assert item.attributes.get("genres", []) == genres(own)
        assert item.attributes.get("year") == (float(year(own)) if year(own) else None)
        parts = item.explanation.contributions
        assert {part.item_id for part in parts} <= {"i0", "i3"}
        if len(parts) == 2:
            total = sum(part.score for part in parts) + item.explanation.bias
            assert total == pytest.approx(item.score, abs=1e-4)
