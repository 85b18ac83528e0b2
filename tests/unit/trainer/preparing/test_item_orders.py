"""Orders of items: by id, and by popularity."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lightfm_retriever.publication.storage.id_map import IdMap
from tests import datasets
from tests.unit.trainer.index import cases
from trainer.preparing.item_orders import id_ranks, most_popular, seen_popularity

_IDS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6),
    min_size=1,
    max_size=20,
    unique=True,
)


@settings(max_examples=50)
@given(_IDS)
@example(["b", "a", "é", "z", "10", "9", "aa", "\U0001f600", "\uffff"])
@example([])
@example([f"{number * 7919 % 20_011:x}é" for number in range(20_000)])
def test_ranks_are_the_ids_places_in_byte_order(ids):
    id_map = IdMap.build(ids)
    ranks = id_ranks(id_map)
    assert ranks.dtype == np.int32
    placed = {int(rank): id_map.external_id(row).encode() for row, rank in enumerate(ranks)}
    assert [placed[place] for place in range(len(ids))] == sorted(one.encode() for one in ids)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), max_size=20), st.randoms(use_true_random=False))
def test_the_most_popular_come_first_and_equal_ones_by_id(popularity, random):
    ranks = [*range(len(popularity))]
    random.shuffle(ranks)
    rows = most_popular(np.array(popularity, dtype=np.int32), np.array(ranks, dtype=np.int32))
    assert rows.dtype == np.int32
    expected = sorted(range(len(popularity)), key=lambda row: (-popularity[row], ranks[row]))
    assert rows.tolist() == expected


def test_the_greatest_numbers_and_unsigned_ones_are_ordered_too():
    ranks = np.arange(3, dtype=np.int32)
    for kind, most in ((np.uint32, 2**32 - 1), (np.int32, 2**31 - 1), (np.uint8, 255)):
        assert most_popular(np.array([0, most, 1], dtype=kind), ranks).tolist() == [1, 2, 0]


def test_who_has_seen_an_item_is_counted_and_unseen_items_have_none():
    found = seen_popularity(cases.rows([[0, 2], [2], [], [2, 3]]), 6)
    assert (found.dtype, found.tolist()) == (np.int32, [1, 0, 3, 1, 0, 0])


def test_a_datasets_popularity_counts_users_with_a_positive_and_not_interactions():
    rows = [
        ("u1", "a", 1.0),
        # Twice by one user.
        ("u1", "a", 5.0),
        ("u2", "a", 0.5),
        ("u2", "b", 3.0),
        # No positives, and two that cancel.
        ("u3", "a", -1.0),
        ("u3", "c", 0.0),
        ("u4", "b", 2.0),
        ("u4", "b", -2.0),
    ]
    of = datasets.dataset(rows)
    popularity = of.popularity()
    assert popularity.dtype == np.int32
    counted = {of.items.external_id(row): int(own) for row, own in enumerate(popularity)}
    assert counted == {"a": 2, "b": 1, "c": 0}
    # What is held out makes nothing popular.
    of = datasets.dataset(split="first-10")
    assert of.test.nnz > 0
    assert int(of.popularity().sum()) == of.train.nnz
