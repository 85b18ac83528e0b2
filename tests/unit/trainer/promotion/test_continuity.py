"""What is kept of a version, by what is published of small data and made of others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.storage.id_map import IdMap
from tests.retrievable import ragged
from trainer.promotion.content import Content, names_by_column
from trainer.promotion.continuity import check
from trainer.promotion.gates import Gates

VERSION = "20261124T120000Z-3fa9c1"
USERS = [f"u{number}" for number in range(40)]
ITEMS = [f"i{number}" for number in range(20)]


def price_and_genres(name, item_id):
    """A number of each item, and two genres."""
    return 5.0 + ITEMS.index(item_id) if name == "price" else ["Drama", f"of {item_id}"]


def content(
    users=USERS,
    items=ITEMS,
    *,
    seen=None,
    titles="Title of {}".format,
    value=price_and_genres,
    **changes,
):
    """Everyone has seen two items that depend on the number in their id, but for what is said."""
    user_map, item_map = IdMap.build(users), IdMap.build(items)

    def of_row(row):
        number = sum(map(ord, user_map.external_id(row)))
        return sorted({number % len(items), (number * 7 + 3) % len(items)})

    rows = [of_row(row) for row in range(len(user_map))] if seen is None else seen
    made = Content(
        items=item_map,
        users=user_map,
        seen=ragged(map(sorted, rows)),
        interactions=200,
        weight=500.0,
        attributes={"price": "number", "genres": "text"},
        value=lambda name, row: value(name, item_map.external_id(row)),
        title=lambda row: titles(item_map.external_id(row)),
        columns=["items.genres", "users.age"],
        names={"items.genres": frozenset({"Drama", "War"}), "users.age": frozenset({"30", "40", "50"})},
    )
    return replace(made, **changes)


def failed(now, before=None, *, gates=Gates(), max_shrinkage=None):  # noqa: B008 - frozen
    results, _ = check(
        before or content(), now, gates, version=VERSION, max_shrinkage=max_shrinkage, seed=1
    )
    return {own.name: own.text for own in results if not own.passed}


def test_the_same_again_keeps_everything_and_all_of_it_is_told():
    results, warnings = check(content(), content(), Gates(), version=VERSION, max_shrinkage=0.0, seed=1)
    assert [own.name for own in results] == [
        "min_users_kept",
        "min_items_kept",
        "interactions",
        "weight",
        "min_pairs_kept",
        "attributes",
        "titles",
        "features",
    ]
    assert all(own.passed and VERSION in own.text for own in results)
    assert warnings == []


@pytest.mark.parametrize(
    ("write", "why"),
    [
        ("{}.0".format, "whole numbers became decimals"),
        ("shop:{}".format, "prefix 'shop:' was added"),
        (str.upper, "upper case"),
    ],
)
def test_ids_of_another_form_fail_with_both_forms(write, why):
    found = failed(content(users=map(write, USERS)))
    assert found.keys() == {"min_users_kept"}
    assert (
        f"0 of 40 users of version {VERSION} are kept by id (0.0%), at least 50% required"
        in (found["min_users_kept"])
    )
    assert why in found["min_users_kept"]
    assert "min_items_kept" in failed(content(items=[write(own) for own in ITEMS]))


@given(st.integers(0, len(USERS)), st.floats(0, 1))
def test_as_many_users_have_to_be_kept_as_asked_for(kept, least):
    now = content(users=[*USERS[:kept], *(f"new{number}" for number in range(5))])
    assert ("min_users_kept" in failed(now)) == (kept / len(USERS) < 0.5)
    assert ("min_users_kept" in failed(now, gates=Gates(min_users_kept=least))) == (
        kept / len(USERS) < least
    )


@pytest.mark.parametrize(
    ("changes", "max_shrinkage", "names"),
    [
        ({"interactions": 100}, None, set()),
        ({"interactions": 99}, None, {"interactions"}),
        ({"interactions": 99}, 0.6, set()),
        ({"interactions": 190}, 0.04, {"interactions"}),
        ({"interactions": 400, "weight": 1e9}, 0.0, set()),
        # Other event weights or another half-life may be meant.
        ({"weight": 1.0}, None, set()),
        ({"weight": 1.0}, 0.5, {"weight"}),
        ({"weight": None}, 0.0, set()),
    ],
)
def test_interactions_and_their_weight_may_shrink_so_much(changes, max_shrinkage, names):
    assert failed(content(**changes), max_shrinkage=max_shrinkage).keys() == names


def test_kinds_of_attributes_are_kept_and_others_may_come():
    now = content(attributes={"price": "text", "year": "number"})
    text = failed(now)["attributes"]
    assert "'price' was number and is text now" in text
    assert "'genres' is gone" in text
    more = {"genres": "text", "price": "number", "year": "number"}
    assert failed(content(attributes=more)) == {}


def test_titles_are_kept_by_most_items():
    assert "titles" in failed(content(title=None))
    assert failed(content(), content(title=None)) == {}
    numbered = {own: ITEMS[(place + 1) % 20] for place, own in enumerate(ITEMS)}
    other = failed(content(titles=lambda own: f"Title of {numbered[own]}"))["titles"]
    assert "0 of 20 items have the title that they have" in other
    assert "numbered anew" in other
    assert "0 of 20" in failed(content(titles=lambda _: ""))["titles"]
    some = content(
        titles=lambda own: f"Title of {numbered[own]}" if own in ITEMS[:8] else f"Title of {own}"
    )
    [warning] = warned(some)
    assert "12 of 20 items" in warning
    assert "a title of another item" in warning
    # Words that are added to all titles are no other titles.
    [sale] = warned(content(titles="Sale! Title of {}".format))
    assert "numbered anew" not in sale


def test_features_keep_their_columns_and_names():
    names = content().names
    gone = failed(content(columns=["items.genres"]))
    assert "column 'users.age' is gone" in gone["features"]
    decimals = {**names, "users.age": frozenset({"30.0", "40.0", "50.0"})}
    text = failed(content(names=decimals))["features"]
    assert "3 of 3 values of 'users.age' are gone: '30' before is '30.0' now" in text
    more = {**names, "users.age": frozenset({"30", "40", "60"})}
    assert failed(content(names=more)) == {}


def test_different_data_can_be_allowed_and_the_results_still_tell():
    now = content(users=["nobody"], items=["nothing"], seen=[[0]], interactions=1, attributes={})
    results, warnings = check(
        content(), now, Gates(allow_different_data=True), version=VERSION, max_shrinkage=0.0, seed=1
    )
    assert all(own.passed for own in results)
    assert any("0 of 40 users" in own.text and "--allow-different-data" in own.text for own in results)
    assert isinstance(warnings, list)


def test_ids_that_were_numbered_anew_fail():
    before = content(seen=[[row % 20, (row + 1) % 20] for row in range(len(USERS))])
    now = content(seen=[[(row + 5) % 20, (row + 11) % 20] for row in range(len(USERS))])
    text = failed(now, before)["min_pairs_kept"]
    assert text.startswith("users have 0 of 80 of the items that they had seen in version")
    assert text.endswith(
        "(0%; 10% would be chance): were ids numbered anew, or are interactions missing?"
    )
    # A window that moved has left behind what they had seen.
    assert failed(now, before, gates=Gates(min_pairs_kept=0.0)).keys() == {"min_pairs_kept"}
    assert failed(before, before, gates=Gates(min_pairs_kept=1.0)) == {}


def test_of_a_large_catalogue_some_are_drawn(monkeypatch):
    monkeypatch.setattr("trainer.promotion.continuity._DRAWN", 10)
    results, _ = check(content(), content(), Gates(), version=VERSION, max_shrinkage=None, seed=1)
    assert results[0].text.startswith("10 of 10 drawn users of version")


def test_names_belong_to_the_longest_column_that_fits():
    names = ["a:b:c", "a:x", "a:b:d", "z:1"]
    assert names_by_column("items", ["a", "a:b", "empty"], names) == {
        "items.a": frozenset({"x"}),
        "items.a:b": frozenset({"c", "d"}),
    }


def warned(now, before=None):
    _, warnings = check(before or content(), now, Gates(), version=VERSION, max_shrinkage=None, seed=1)
    return warnings


def test_what_passes_but_is_little_is_warned_of_with_both_forms():
    [users] = warned(content(users=[*USERS[:30], *(f"{own}.0" for own in USERS[30:])]))
    assert "30 of 40 users" in users
    assert "whole numbers became decimals" in users
    [amount] = warned(content(interactions=150))
    assert amount.startswith("150 interactions, version")
    [amount] = warned(content(interactions=320))
    assert amount.endswith("(+60.0%)")
    for some in (185, 280):
        assert warned(content(interactions=some)) == []


def test_ids_of_a_second_form_beside_the_first_are_warned_of():
    [warning] = warned(content(users=[*USERS, *(f"shop-{own}" for own in USERS[:30])]))
    assert warning.startswith("some users are there twice, under ids of two forms: 'u")
    assert warning.endswith("too: prefix 'shop-' was added")
    # Numbers that begin like others are no such forms.
    numbers = [str(number) for number in range(100)]
    more = [*numbers, *(f"1{number}" for number in numbers)]
    assert warned(content(users=more), content(users=numbers)) == []


def test_ids_that_were_numbered_anew_are_told_from_chance():
    """Where everybody has most items, next to nothing is kept by those that are someone else's."""
    most = [[item for item in range(20) if (item * 7 + row * 3) % 5] for row in range(40)]
    assert warned(content(seen=most), content(seen=most)) == []
    text = failed(content(seen=[*most[1:], most[0]]), content(seen=most))["min_pairs_kept"]
    assert "80% would be chance" in text


def test_what_half_of_the_users_lost_is_warned_of():
    before = [[row % 20, (row + 1) % 20] for row in range(40)]
    half = [own if row % 2 else [(row + 7) % 20] for row, own in enumerate(before)]
    [warning] = warned(content(seen=half), content(seen=before))
    assert "users have 40 of 80" in warning
    assert "are interactions missing?" in warning


def test_attributes_are_kept_by_the_items_that_had_them():
    def some(share):
        def value(name, item_id):
            if name == "price" and ITEMS.index(item_id) >= share * len(ITEMS):
                return None
            return price_and_genres(name, item_id)

        return value

    few = failed(content(value=some(0.4)))["attributes"]
    assert "only 8 of 20 items that had 'price' have it now" in few
    [warning] = warned(content(value=some(0.7)))
    assert "only 14 of 20 items that have attribute 'price'" in warning
    assert warned(content(value=some(0.95))) == []


def test_values_of_text_that_are_gone_are_warned_of_and_fail_where_hardly_any_is_left():
    def others(name, item_id):
        return 5.0 + ITEMS.index(item_id) if name == "price" else ["Drama", "others"]

    [warning] = warned(content(value=others))
    assert "only 20 of 40 values of attribute 'genres'" in warning

    def joined(name, item_id):
        own = price_and_genres(name, item_id)
        return own if name == "price" else [";".join(own)]

    text = failed(content(value=joined))["attributes"]
    assert "only 0 of 40 values of 'genres' are still there, and items have one where they had" in text
    assert "Drama;of i" in text


@pytest.mark.parametrize(
    ("change", "odd"),
    [
        (lambda price: price * 1.05, False),
        (lambda price: price * 100, True),
        (lambda price: price / 100, True),
        (lambda _: 0.0, True),
        (lambda price: -price, True),
    ],
)
def test_numbers_of_another_size_are_warned_of(change, odd):
    def value(name, item_id):
        own = price_and_genres(name, item_id)
        return change(own) if name == "price" else own

    found = warned(content(value=value))
    assert len(found) == odd
    assert not odd or "attribute 'price' of most items differs from that of version" in found[0]


def test_a_kind_that_changed_is_told_with_a_value_that_is_no_number():
    def value(name, item_id):
        if name == "genres":
            return ["Drama", f"of {item_id}"]
        return ["€9.48" if item_id == "i7" else "5"]

    kinds = {"price": "text", "genres": "text"}
    text = failed(content(attributes=kinds, value=value))["attributes"]
    assert "'price' was number and is text now, such as '€9.48' of item 'i7'" in text


@pytest.mark.parametrize(
    ("weight", "odd"), [(500.0, False), (1000.0, False), (0.5, True), (50_000.0, True), (200.0, True)]
)
def test_weights_of_another_size_and_weights_that_are_gone_are_warned_of(weight, odd):
    # 200 interactions of a weight of 1 each have no weights.
    found = warned(content(weight=weight))
    assert len(found) == odd
    assert not odd or found[0].startswith("the weights above 0 sum to")


def test_users_who_have_features_alone_are_not_kept():
    none = [[] if row % 10 else [row % 20] for row in range(len(USERS))]
    assert "4 of 40 users" in failed(content(seen=none))["min_users_kept"]


def test_columns_that_are_swapped_are_told():
    text = failed(content(users=ITEMS, items=USERS))["min_users_kept"]
    assert text.endswith("are user_id and item_id swapped?")


def test_without_new_ids_those_that_are_lost_are_named():
    text = failed(content(users=USERS[:10]))["min_users_kept"]
    assert "lost are 'u" in text
