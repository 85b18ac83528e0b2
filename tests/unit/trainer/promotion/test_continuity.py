"""What is kept of a version, by what is published of small data and made of others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.storage.id_map import IdMap
from tests import publications
from tests.retrievable import ragged
from trainer.promotion.content import Content, names_by_column
from trainer.promotion.continuity import check
from trainer.promotion.gates import Gates

VERSION = "20261124T120000Z-3fa9c1"
USERS = [f"u{number}" for number in range(40)]
ITEMS = [f"i{number}" for number in range(20)]
FACTS = publications.facts().dataset
NAMES = {"items.genres": frozenset({"Drama", "War"}), "users.age": frozenset({"30", "40", "50"})}


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
        names=NAMES,
    )
    return replace(made, **changes)


def compared(now, before=None, *, gates=Gates(), max_shrinkage=None):  # noqa: B008 - frozen
    before = before or content()
    return check(before, now, gates, version=VERSION, max_shrinkage=max_shrinkage, seed=1)


def failed(now, before=None, **options):
    results, _ = compared(now, before, **options)
    return {own.name: own.text for own in results if not own.passed}


def warned(now, before=None):
    return compared(now, before)[1]


def assert_told(texts, said):
    """One text that has it, or none."""
    assert len(texts) == (said is not None)
    assert said is None or said in texts[0]


def test_the_same_again_keeps_everything_and_all_of_it_is_told(monkeypatch):
    results, warnings = compared(content(), max_shrinkage=0.0)
    assert [own.name for own in results] == [
        *("min_users_kept", "min_items_kept", "interactions", "weight", "min_pairs_kept"),
        *("attributes", "titles", "features"),
    ]
    assert all(own.passed and VERSION in own.text for own in results)
    assert warnings == []
    # Of a large catalogue some are drawn.
    monkeypatch.setattr("trainer.promotion.continuity._DRAWN", 10)
    assert compared(content())[0][0].text.startswith("10 of 10 drawn users of version")


def test_different_data_can_be_allowed_and_the_results_still_tell():
    now = content(users=["nobody"], items=["nothing"], seen=[[0]], interactions=1, attributes={})
    results, _ = compared(now, gates=Gates(allow_different_data=True), max_shrinkage=0.0)
    assert all(own.passed for own in results)
    assert any("0 of 40 users" in own.text and "--allow-different-data" in own.text for own in results)


# ---- users and items


def test_ids_of_another_form_fail_with_both_forms():
    write, why = "shop:{}".format, "prefix 'shop:' was added"
    [(name, text)] = failed(content(users=map(write, USERS))).items()
    assert name == "min_users_kept"
    assert f"0 of 40 users of version {VERSION} are kept by id (0.0%), at least 50% required" in text
    assert why in text
    assert "min_items_kept" in failed(content(items=[write(own) for own in ITEMS]))
    # What passes, but is little, is warned of with both forms.
    [some] = warned(content(users=[*USERS[:30], *map(write, USERS[30:])]))
    assert "30 of 40 users" in some
    assert why in some


@given(st.integers(0, len(USERS)), st.floats(0, 1))
def test_as_many_users_have_to_be_kept_as_asked_for(kept, least):
    now = content(users=[*USERS[:kept], *(f"new{number}" for number in range(5))])
    assert ("min_users_kept" in failed(now)) == (kept / len(USERS) < 0.5)
    asked = failed(now, gates=Gates(min_users_kept=least))
    assert ("min_users_kept" in asked) == (kept / len(USERS) < least)


def test_those_that_are_lost_are_named_and_swapped_columns_told():
    assert "lost are 'u" in failed(content(users=USERS[:10]))["min_users_kept"]
    text = failed(content(users=ITEMS, items=USERS))["min_users_kept"]
    assert text.endswith("are user_id and item_id swapped?")
    # Who has features alone isn't kept, and isn't missed.
    few = content(seen=[[] if row % 10 else [row % 20] for row in range(len(USERS))])
    assert "4 of 40 users" in failed(few)["min_users_kept"]
    assert "4 of 4 users" in compared(few, few)[0][0].text


def test_ids_of_a_second_form_beside_the_first_are_warned_of():
    [warning] = warned(content(users=[*USERS, *(f"shop-{own}" for own in USERS[:30])]))
    assert warning.startswith("some users are there twice, under ids of two forms: 'u")
    assert warning.endswith("too: prefix 'shop-' was added")
    # Numbers that begin like others are no such forms.
    numbers = [str(number) for number in range(100)]
    more = [*numbers, *(f"1{number}" for number in numbers)]
    assert warned(content(users=more), content(users=numbers)) == []


# ---- interactions


@pytest.mark.parametrize(
    ("changes", "max_shrinkage", "names", "said"),
    [
        ({"interactions": 100}, None, set(), "100 interactions, version"),
        ({"interactions": 99}, None, {"interactions"}, None),
        ({"interactions": 99}, 0.6, set(), "99 interactions, version"),
        ({"interactions": 185}, 0.04, {"interactions"}, None),
        ({"interactions": 185}, None, set(), None),
        ({"interactions": 280}, 0.0, set(), None),
        ({"interactions": 320}, 0.0, set(), "(+60.0%)"),
        # Other event weights or another half-life may be meant.
        ({"weight": 0.5}, None, set(), "the weights above 0 sum to"),
        ({"weight": 0.5}, 0.5, {"weight"}, None),
        ({"weight": 1000.0}, 0.0, set(), None),
        ({"weight": 50_000.0}, 0.0, set(), "the weights above 0 sum to"),
        # 200 interactions of a weight of 1 each have no weights.
        ({"weight": 200.0}, None, set(), "the weights above 0 sum to"),
        ({"weight": None}, 0.0, set(), None),
    ],
)
def test_interactions_and_their_weight_may_shrink_so_much_and_much_is_told(
    changes, max_shrinkage, names, said
):
    assert failed(content(**changes), max_shrinkage=max_shrinkage).keys() == names
    assert_told(compared(content(**changes), max_shrinkage=max_shrinkage)[1], said)


def two_of_each(first, second):
    return [[(row + first) % 20, (row + second) % 20] for row in range(len(USERS))]


def test_ids_that_were_numbered_anew_fail_and_are_told_from_chance():
    before, now = content(seen=two_of_each(0, 1)), content(seen=two_of_each(5, 11))
    text = failed(now, before)["min_pairs_kept"]
    assert text.startswith("users have 0 of 80 of the items that they had seen in version")
    assert text.endswith(
        "(0%; 10% would be chance): were ids numbered anew, or are interactions missing?"
    )
    # A window that moved has left behind what they had seen.
    assert failed(now, before, gates=Gates(min_pairs_kept=0.0)).keys() == {"min_pairs_kept"}
    assert failed(before, before, gates=Gates(min_pairs_kept=1.0)) == {}
    half = [own if row % 2 else [(row + 7) % 20] for row, own in enumerate(two_of_each(0, 1))]
    [warning] = warned(content(seen=half), before)
    assert "users have 40 of 80" in warning
    assert "are interactions missing?" in warning
    # Where everybody has most items, next to nothing is kept by those that are someone else's.
    most = [[item for item in range(20) if (item * 7 + row * 3) % 5] for row in range(40)]
    assert warned(content(seen=most), content(seen=most)) == []
    text = failed(content(seen=[*most[1:], most[0]]), content(seen=most))["min_pairs_kept"]
    assert "80% would be chance" in text


# ---- what callers see


def changed(name, change, **others):
    """Content whose items have another value of an attribute."""

    def value(own, item_id):
        old = price_and_genres(own, item_id)
        return change(old, item_id) if own == name else old

    return content(value=value, **others)


def test_kinds_of_attributes_are_kept_and_others_may_come():
    texts = changed(
        "price",
        lambda _, item_id: ["€9.48" if item_id == "i7" else "5"],
        attributes={"price": "text", "year": "number"},
    )
    text = failed(texts)["attributes"]
    assert "'price' was number and is text now, such as '€9.48' of item 'i7'" in text
    assert "'genres' is gone" in text
    more = {"genres": "text", "price": "number", "year": "number"}
    assert failed(content(attributes=more)) == {}


def of_the_first(count):
    return lambda own, item_id: own if ITEMS.index(item_id) < count else None


@pytest.mark.parametrize(
    ("name", "change", "fails", "said"),
    [
        ("price", of_the_first(9), True, "only 9 of 20 items that had 'price' have it now"),
        ("price", of_the_first(10), False, "only 10 of 20 items that have attribute 'price'"),
        ("price", of_the_first(17), False, "only 17 of 20 items that have attribute 'price'"),
        ("price", of_the_first(18), False, None),
        ("genres", lambda *_: ["Drama", "others"], False, "only 20 of 40 values of attribute 'genres'"),
        ("genres", lambda own, _: [";".join(own)], True, "and items have one where they had several"),
        ("price", lambda price, _: price * 1.45, False, None),
        *(
            ("price", change, False, "attribute 'price' of most items differs from that of")
            for change in (
                lambda price, _: price * 1.55,
                lambda price, _: price / 100,
                lambda *_: 0.0,
                lambda price, _: -price,
            )
        ),
    ],
)
def test_values_of_attributes_are_kept_by_the_items_that_had_them(name, change, fails, said):
    now = changed(name, change)
    failures = failed(now)
    assert failures.keys() == ({"attributes"} if fails else set())
    assert_told([*failures.values()] if fails else warned(now), said)


def test_titles_are_kept_by_most_items():
    assert "titles" in failed(content(title=None))
    assert failed(content(), content(title=None)) == {}

    def wrong(count):
        numbered = dict(zip(ITEMS[:count], [*ITEMS[1:], ITEMS[0]], strict=False))
        return content(titles=lambda own: f"Title of {numbered.get(own, own)}")

    for count in (20, 11):
        text = failed(wrong(count))["titles"]
        assert f"{20 - count} of 20 items have the title that they have" in text
        assert "numbered anew" in text
    assert "0 of 20" in failed(content(titles=lambda _: ""))["titles"]
    for count in (10, 3):
        assert failed(wrong(count)) == {}
        [warning] = warned(wrong(count))
        assert f"{20 - count} of 20 items" in warning
        assert "a title of another item" in warning
    assert warned(wrong(2)) == []
    # Words that are added to all titles are no other titles.
    [sale] = warned(content(titles="Sale! Title of {}".format))
    assert "numbered anew" not in sale


def test_features_keep_their_columns_and_names():
    gone = failed(content(names={"items.genres": NAMES["items.genres"]}))
    assert "column 'users.age' is gone" in gone["features"]

    def aged(*values):
        return content(names={**NAMES, "users.age": frozenset(values)})

    text = failed(aged("30.0", "40.0", "50.0"))["features"]
    assert "3 of 3 values of 'users.age' are gone: '30' before is '30.0' now" in text
    assert failed(aged("30", "40", "60")) == {}
    # Seasons end.
    assert failed(aged("young", "old")) == {}
    assert "3 of 3 values of 'users.age' are gone that version" in warned(aged("young", "old"))[0]


def test_names_belong_to_the_longest_column_that_fits():
    facts = replace(FACTS, item_features=["a", "a:b", "empty"], user_features=["a"])
    assert names_by_column(facts, ["a:b:c", "a:x", "a:b:d", "z:1"], ["a:b:c"]) == {
        "items.a": frozenset({"x"}),
        "items.a:b": frozenset({"c", "d"}),
        "items.empty": frozenset(),
        "users.a": frozenset({"b:c"}),
    }
