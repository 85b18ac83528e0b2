"""What is kept of a version, by what is published of small data and made of others."""

import re
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


def content(users=USERS, items=ITEMS, titles="Title of {}".format, value=price_and_genres, **changes):
    """Everyone has seen two items that depend on the number in their id, but for what is said."""
    user_map, item_map = IdMap.build(users), IdMap.build(items)

    def of_row(row):
        number = sum(map(ord, user_map.external_id(row)))
        return sorted({number % len(items), (number * 7 + 3) % len(items)})

    rows = changes.pop("seen", None) or [of_row(row) for row in range(len(user_map))]
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


def test_all_that_is_kept_of_the_same_again_or_may_be_lost_is_told(monkeypatch):
    results, warnings = compared(content(), max_shrinkage=0.0)
    kept = f"{BOTH_KEPT} interactions weight min_pairs_kept attributes titles features"
    assert [own.name for own in results] == kept.split()
    assert all(own.passed and VERSION in own.text for own in results)
    assert warnings == []
    # Different data can be allowed, and the results still tell.
    now = content(users=["nobody"], items=["nothing"], seen=[[0]], interactions=1, attributes={})
    results, _ = compared(now, gates=Gates(allow_different_data=True), max_shrinkage=0.0)
    assert all(own.passed for own in results)
    assert any("0 of 40 users" in own.text and "--allow-different-data" in own.text for own in results)
    # Of a large catalogue some are drawn.
    monkeypatch.setattr("trainer.promotion.continuity._DRAWN", 10)
    assert compared(content())[0][0].text.startswith("10 of 10 drawn users of version")


@given(st.integers(0, len(USERS)), st.floats(0, 1))
def test_as_many_users_have_to_be_kept_as_asked_for(kept, least):
    now = content(users=[*USERS[:kept], *(f"new{number}" for number in range(5))])
    for gates, asked in ((Gates(), 0.5), (Gates(min_users_kept=least), least)):
        assert ("min_users_kept" in failed(now, gates=gates)) == (kept / len(USERS) < asked)


def two_of_each(first, second):
    return [[(row + first) % 20, (row + second) % 20] for row in range(len(USERS))]


def test_ids_that_were_numbered_anew_fail_and_are_told_from_chance():
    before, now = content(seen=two_of_each(0, 1)), content(seen=two_of_each(5, 11))
    text = failed(now, before)["min_pairs_kept"]
    assert text.startswith("users of both versions keep 0 of 80 seen items of version")
    assert text.endswith(
        "chance alone would keep 10%): were ids renumbered, or are interactions missing?"
    )
    # A window that moved has left behind what they had seen.
    assert failed(now, before, gates=Gates(min_pairs_kept=0.0)).keys() == {"min_pairs_kept"}
    assert failed(before, before, gates=Gates(min_pairs_kept=1.0)) == {}
    half = [own if row % 2 else [(row + 7) % 20] for row, own in enumerate(two_of_each(0, 1))]
    _, [warning] = compared(content(seen=half), before)
    assert re.search("users of both versions keep 40 of 80.* are interactions missing[?]", warning)
    # Where everybody has most items, next to nothing is kept by those that are someone else's.
    most = [[item for item in range(20) if (item * 7 + row * 3) % 5] for row in range(40)]
    assert compared(content(seen=most), content(seen=most))[1] == []
    text = failed(content(seen=[*most[1:], most[0]]), content(seen=most))["min_pairs_kept"]
    assert "chance alone would keep 80%" in text


def valued(name, change):
    """Items that have another value of an attribute."""

    def value(own, item_id):
        old = price_and_genres(own, item_id)
        return change(old, item_id) if own == name else old

    return {"value": value}


def of_the_first(count):
    return valued("price", lambda own, item_id: own if ITEMS.index(item_id) < count else None)


def wrong_titles(count):
    numbered = dict(zip(ITEMS[:count], [*ITEMS[1:], ITEMS[0]], strict=False))
    return {"titles": lambda own: f"Title of {numbered.get(own, own)}"}


def aged(*values):
    return {"names": {**NAMES, "users.age": frozenset(values)}}


SHOP = [f"shop:{own}" for own in USERS]
AGAIN = [f"shop-{own}" for own in USERS[:30]]
FEW = [[] if row % 10 else [row % 20] for row in range(len(USERS))]
TEXTS = valued("price", lambda _, item_id: ["€9.48" if item_id == "i7" else "5"])
TEXT = {"genres": "text", "price": "text"}
KINDS = {"genres": "text", "price": "number", "year": "number"}
DIFFERS = "attribute 'price' of most items differs from version"
BOTH_KEPT = "min_users_kept min_items_kept"
WEIGHTS = "the weights above 0 sum to"
# What changed, which comparisons fail, and what is told of them, or of what passes and is odd.
CHANGED = [
    (
        {"users": SHOP},
        "min_users_kept",
        "^0 of 40 users .* kept by id .0.0%.; at least 50% are required",
    ),
    ({"users": SHOP}, "min_users_kept", "prefix 'shop:' was added"),
    ({"items": [f"shop:{own}" for own in ITEMS]}, "min_items_kept", "prefix 'shop:' was added"),
    ({"users": [*USERS[:30], *SHOP[30:]]}, "", "^30 of 40 users .*prefix 'shop:' was added"),
    ({"users": USERS[:10]}, "min_users_kept", "lost are 'u"),
    ({"users": ITEMS, "items": USERS}, BOTH_KEPT, "user_id and item_id swapped.$"),
    # Who has features alone isn't kept.
    ({"seen": FEW}, BOTH_KEPT, "^4 of 40 users"),
    ({"users": [*USERS, *AGAIN]}, "", "^some users appear twice, .*: prefix 'shop-' was added$"),
    ({"interactions": 100}, "", "^the input has 100 interactions, version"),
    ({"interactions": 99}, "interactions", "at most 50.0% less is allowed"),
    ({"interactions": 99, "most": 0.6}, "", "^the input has 99 interactions, version"),
    ({"interactions": 185, "most": 0.04}, "interactions", "at most 4.0% less is allowed"),
    *(({"interactions": count}, "", None) for count in (185, 280)),
    ({"interactions": 320, "most": 0.0}, "", "60.0%"),
    # Other event weights or another half-life may be meant.
    ({"weight": 0.5}, "", WEIGHTS),
    ({"weight": 0.5, "most": 0.5}, "weight", WEIGHTS),
    *(({"weight": weight, "most": 0.0}, "", None) for weight in (1000.0, None)),
    ({"weight": 50_000.0, "most": 0.0}, "", WEIGHTS),
    # 200 interactions of a weight of 1 each have no weights.
    ({"weight": 200.0}, "", WEIGHTS),
    ({"attributes": KINDS}, "", None),
    ({"attributes": TEXT, **TEXTS}, "attributes", "is text now, such as '€9.48' of item 'i7'"),
    ({"attributes": {"price": "number"}}, "attributes", "'genres' is gone"),
    (of_the_first(9), "attributes", "only 9 of 20 items that had 'price' have it now"),
    (of_the_first(10), "", "only 10 of 20 items that have attribute 'price'"),
    (of_the_first(17), "", "only 17 of 20 items that have attribute 'price'"),
    (of_the_first(18), "", None),
    (valued("genres", lambda *_: ["Drama", "x"]), "", "only 20 of 40 values of attribute 'genres'"),
    (valued("genres", lambda own, _: [";".join(own)]), "attributes", "several values have one now"),
    (valued("price", lambda price, _: price * 1.45), "", None),
    (valued("price", lambda price, _: price * 1.55), "", DIFFERS),
    (valued("price", lambda price, _: price / 100), "", DIFFERS),
    (valued("price", lambda *_: 0.0), "", DIFFERS),
    (valued("price", lambda price, _: -price), "", DIFFERS),
    ({"title": None}, "titles", "has titles of items, but the input has none"),
    ({"titles": lambda _: ""}, "titles", "^0 of 20 items have the same title as in version"),
    *((wrong_titles(own), "titles", f"^{20 - own} of 20 .*renumbered") for own in (20, 11)),
    *((wrong_titles(own), "", f"^{20 - own} of 20 .*the title of another item") for own in (10, 3)),
    (wrong_titles(2), "", None),
    # Words that are added to all titles are no other titles.
    ({"titles": "Sale! Title of {}".format}, "", "is 'Sale! Title of i[0-9]+' now$"),
    ({"names": {"items.genres": NAMES["items.genres"]}}, "features", "column 'users.age' is gone"),
    (aged("30.0", "40.0", "50.0"), "features", "of 'users.age' are gone: '30' before is '30.0' now"),
    (aged("30", "40", "60"), "", None),
    # Seasons end.
    (aged("young", "old"), "", "3 of 3 values of 'users.age' are gone since version"),
]


@pytest.mark.parametrize(("changes", "fails", "said"), CHANGED)
def test_what_is_kept_too_little_fails_and_what_is_odd_is_told(changes, fails, said):
    changes = dict(changes)
    most = changes.pop("most", None)
    results, warnings = compared(content(**changes), max_shrinkage=most)
    failures = {own.name: own.text for own in results if not own.passed}
    assert failures.keys() == {*fails.split()}
    texts = [*failures.values()] or warnings
    assert bool(texts) == (said is not None)
    assert said is None or re.search(said, texts[0])
    assert fails or len(texts) == (said is not None)


def test_what_was_as_little_before_is_no_loss():
    few = content(seen=FEW)
    assert "4 of 4 users" in compared(few, few)[0][0].text
    assert failed(content(), content(title=None)) == {}
    # Numbers that begin like others are no second form of an id.
    numbers = [str(number) for number in range(100)]
    more = [*numbers, *(f"1{number}" for number in numbers)]
    assert compared(content(users=more), content(users=numbers))[1] == []


def test_names_belong_to_the_longest_column_that_fits():
    facts = replace(FACTS, item_features=["a", "a:b", "empty"], user_features=["a"])
    assert names_by_column(facts, ["a:b:c", "a:x", "a:b:d", "z:1"], ["a:b:c"]) == {
        "items.a": frozenset({"x"}),
        "items.a:b": frozenset({"c", "d"}),
        "items.empty": frozenset(),
        "users.a": frozenset({"b:c"}),
    }
