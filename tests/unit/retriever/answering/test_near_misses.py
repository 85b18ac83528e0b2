"""What a caller may have meant by a text that isn't there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.storage.id_map import IdMap
from retriever.answering.near_misses import _distance, near_misses, near_names, spelled_otherwise

GENRES = IdMap.build(f"0:{genre}" for genre in ("Drama", "War", "Sci-Fi", "Film-Noir", "Comédie"))


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        *((asked, ["Drama"]) for asked in ("Dramaa", "drama", " Drama ", "Darma", "Xrama")),
        *((asked, ["War"]) for asked in ("WAR", "Wat")),
        ("SciFi", ["Sci-Fi"]),
        ("Come\N{COMBINING ACUTE ACCENT}die", ["Comédie"]),
        *((asked, []) for asked in ("Western", "", "x" * 10**6, "\udcff")),
    ],
)
def test_values_that_may_be_meant_are_found(asked, near):
    assert near_misses(asked, GENRES, prefix="0:") == near


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        *((asked, ["50"]) for asked in ("50.0", " 50")),
        *(("007", ["7"]), ("abc", ["ABC"]), ("gender: f", ["gender:F"])),
        *((asked, []) for asked in ("51", "5", " " * 40 + "50")),
    ],
)
def test_of_ids_only_other_spellings_are_found(asked, near):
    assert spelled_otherwise(asked, IdMap.build(["50", "7", "ABC", "gender:F"])) == near


def test_at_most_three_are_named_the_nearest_first():
    known = IdMap.build(["color", "colors", "colour", "colours", "dolor"])
    assert near_misses("colr", known) == ["color"]
    assert near_misses("colorr", known) == ["color", "colors", "colour"]
    assert near_names("Genre", ["genres", "year", "genre_ids"]) == ["genres"]


@given(st.text("abc", max_size=8), st.text("abc", max_size=8), st.integers(1, 2))
def test_mistakes_are_counted_up_to_a_bound(one, other, most):
    """The same by its definition, in a table without a bound."""
    table = {}
    for i in range(len(one) + 1):
        for j in range(len(other) + 1):
            ways = [i + j] if not (i and j) else [
                table[i - 1, j] + 1,
                table[i, j - 1] + 1,
                table[i - 1, j - 1] + (one[i - 1] != other[j - 1]),
            ]  # fmt: skip
            if i > 1 and j > 1 and one[i - 2 : i] == other[j - 2 : j][::-1]:
                ways.append(table[i - 2, j - 2] + 1)
            table[i, j] = min(ways)
    full = table[len(one), len(other)]
    found = _distance(one, other, most)
    assert found == full if full <= most else found > most
