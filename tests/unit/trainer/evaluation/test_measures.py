"""Each measure equals its definition, computed one user and one item at a time."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer.index import cases
from trainer.evaluation import measures

ITEMS = 12


def slowly(answers, positives, k):
    """The measures of one user by their definitions, from sets."""
    own = [item in positives for item in answers[:k]]
    n = len(positives)
    if not n:
        return dict.fromkeys(measures.RANKED, math.nan)
    dcg = sum(1 / math.log2(place + 2) for place, hit in enumerate(own) if hit)
    ideal = sum(1 / math.log2(place + 2) for place in range(min(k, n)))
    precise = [sum(own[: place + 1]) / (place + 1) for place, hit in enumerate(own) if hit]
    return {
        "precision": sum(own) / k,
        "recall": sum(own) / n,
        "ndcg": dcg / ideal,
        "map": sum(precise) / n,
        "mrr": 1 / (own.index(True) + 1) if any(own) else 0.0,
        "hit_rate": float(any(own)),
    }


answers = st.lists(st.integers(0, ITEMS - 1), unique=True, max_size=ITEMS)
tests = st.lists(st.tuples(answers, st.sets(st.integers(0, ITEMS - 1))), min_size=1, max_size=6)


def matrix_of(lists, width):
    return np.array([[*own, *[-1] * width][:width] for own in lists], dtype=np.int64)


@given(tests, st.integers(1, 15), st.integers(0, 4))
def test_the_measures_of_hits_are_their_definitions(users, k, more):
    top = matrix_of([own for own, _ in users], k + more)
    positives = cases.rows([sorted(own) for _, own in users])
    hits = measures.find_hits(top, positives, ITEMS)
    found = measures.of_hits(hits, np.diff(positives.offsets), k)
    assert tuple(found) == measures.RANKED
    for place, (own, wanted) in enumerate(users):
        expected = slowly(own[: k + more], wanted, k)
        assert {name: float(found[name][place]) for name in found} == pytest.approx(
            expected, nan_ok=True
        )


@given(tests, st.integers(1, 15))
def test_a_measure_is_a_share_and_grows_with_a_better_place(users, k):
    top = matrix_of([own for own, _ in users], k)
    positives = cases.rows([sorted({*own, 0}) for _, own in users])
    hits = measures.find_hits(top, positives, ITEMS)
    counts = np.diff(positives.offsets)
    found = measures.of_hits(hits, counts, k)
    assert all(((own >= 0) & (own <= 1 + 1e-12)).all() for own in found.values())
    better = measures.of_hits(-np.sort(-hits.astype(int), axis=1) > 0, counts, k)
    assert all((better[name] >= found[name] - 1e-12).all() for name in found)
    # The ideal list has 1, but for what counts all positives or all places.
    ideal = np.arange(k) < counts[:, None]
    best = measures.of_hits(ideal, counts, k)
    assert all(best[name] == pytest.approx(1) for name in ("ndcg", "mrr", "hit_rate"))
    assert best["map"] == pytest.approx(best["recall"])
    assert best["recall"] == pytest.approx(np.minimum(counts, k) / counts)


@given(st.lists(answers, min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_the_measures_of_lists_are_their_definitions(lists, seed):
    random = np.random.default_rng(seed)
    users = 9
    has = random.random((users, ITEMS)) < 0.4
    top = matrix_of(lists, ITEMS + 1)
    popularity = has.sum(axis=0)
    found = measures.of_lists(top, popularity, users)
    diverse = measures.diversity(top, sp.csr_matrix(has.astype(np.float32) * 3))
    assert measures.coverage(top, ITEMS) == pytest.approx(
        len({item for own in lists for item in own}) / ITEMS
    )
    head = {int(np.argmax(popularity))}
    for place, own in enumerate(lists):
        expected = {
            "novelty": [-math.log2(max(popularity[item], 1) / users) for item in own],
            "popularity": [popularity[item] / users for item in own],
            "head_share": [item in head for item in own],
        }
        means = {name: np.mean(values) if own else math.nan for name, values in expected.items()}
        assert {name: float(found[name][place]) for name in found} == pytest.approx(means, nan_ok=True)
        pairs = []
        for one, other in itertools.combinations(own, 2):
            norms = math.sqrt(popularity[one] * popularity[other])
            both = (has[:, one] & has[:, other]).sum()
            pairs.append(1 - (both / norms if norms else 0.0))
        expected_diversity = np.mean(pairs) if pairs else math.nan
        assert diverse[place] == pytest.approx(expected_diversity, nan_ok=True, abs=1e-9)


def test_places_without_an_item_hold_no_hit_not_even_of_the_last_item():
    # -1 would be the last item of the user before.
    positives = cases.rows([[ITEMS - 1], [0]])
    top = np.array([[-1, -1], [-1, -1]])
    assert not measures.find_hits(top, positives, ITEMS).any()
    assert np.isnan(measures.of_lists(top, np.arange(ITEMS), 9)["novelty"]).all()
