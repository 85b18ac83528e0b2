"""EASE is the closed form of its paper, and says what it can't do."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import datasets
from tests.unit.trainer.models.blocks import arrays, dense, planted
from trainer.errors import DivergedError, OptionError
from trainer.models import ease
from trainer.models.ease import MAX_ROWS, Ease, EaseSettings
from trainer.models.factors import positives_of
from trainer.models.protocol import Fitting, Shape


def fit(dataset, fitting=None, **own):
    return Ease().fit(dataset, EaseSettings(**own), fitting or Fitting())


def naive(matrix, l2):
    """The formula of Steck 2019, by a dense inverse."""
    inverse = np.linalg.inv(matrix.T @ matrix + l2 * np.eye(matrix.shape[1]))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def some_rows(seed, users=9, items=7):
    random = np.random.default_rng(seed)
    weights = random.integers(-1, 4, (users, items))
    rows = [(f"u{u}", f"i{i}", float(weights[u, i])) for u, i in np.argwhere(weights)]
    return [*rows, ("u0", "liked", 1.0)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 1000), st.booleans())
def test_the_weights_are_those_of_the_formula(seed, l2, weighted):
    dataset = datasets.dataset(some_rows(seed))
    matrix = positives_of(dataset, weighted=weighted).toarray().astype(np.float64)
    found = dense(fit(dataset, Fitting(sample_weights=weighted), l2=l2))
    np.testing.assert_allclose(found, naive(matrix, l2), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 60, 1 << 24])
@pytest.mark.parametrize("double", [0, 10**6])
def test_neither_the_size_of_parts_nor_of_numbers_matters(monkeypatch, chunk, double):
    expected = dense(fit(planted(), l2=3.0))
    monkeypatch.setattr(ease, "_CHUNK", chunk)
    monkeypatch.setattr(ease, "_DOUBLE_ROWS", double)
    np.testing.assert_allclose(dense(fit(planted(), l2=3.0)), expected, rtol=1e-3, atol=1e-5)


def test_the_neighbours_with_the_largest_weights_are_kept():
    whole, kept = (dense(fit(planted(), l2=3.0, neighbours=count)) for count in (100, 4))
    for every, own in zip(whole, kept, strict=True):
        rows = np.flatnonzero(own)
        assert len(rows) == 4
        np.testing.assert_array_equal(own[rows], every[rows])
        assert np.abs(own[rows]).min() >= np.abs(np.delete(every, rows)).max()


def test_a_catalogue_that_is_too_large_is_refused_with_the_limit_and_a_way_out():
    shape = Shape(users=60_000, items=40_000, positives=100, squares=1000)
    problem = Ease().problem(shape)
    for part in ("40,000 x 40,000", "6.4 GB", f"limit is {MAX_ROWS:,} items", "item-knn and als"):
        assert part in problem
    assert Ease().problem(replace(shape, items=MAX_ROWS)) is None


def test_few_users_make_a_large_catalogue_possible():
    shape = Shape(users=5000, items=150_000, positives=100, squares=1000)
    assert Ease().problem(shape) is None
    assert "5,000 x 900,000" in Ease().problem(replace(shape, items=900_000))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 1000))
def test_few_users_have_the_weights_of_the_formula_too(seed, l2):
    dataset = datasets.dataset(some_rows(seed, users=4, items=11))
    matrix = positives_of(dataset, weighted=False).toarray().astype(np.float64)
    np.testing.assert_allclose(dense(fit(dataset, l2=l2)), naive(matrix, l2), rtol=1e-4, atol=1e-6)


def test_without_an_inverse_the_penalty_is_named(monkeypatch):
    monkeypatch.setattr(ease, "_DOUBLE_ROWS", 0)
    rows = [(f"u{u}", f"i{i}", 3e4) for u in range(30) for i in range(8)]
    with pytest.raises(DivergedError, match="no solution with l2=1e-30; set a larger one by --set l2"):
        fit(datasets.dataset(rows), Fitting(sample_weights=True), l2=1e-30)


def test_a_penalty_out_of_range_is_refused():
    with pytest.raises(OptionError, match=r"--l2 is 0\.0, but should be above 0"):
        EaseSettings(l2=0.0)


def test_the_penalties_around_the_best_are_tried():
    assert [one.l2 for one in Ease().around(EaseSettings(l2=100.0))] == [50.0, 200.0]


def test_threads_do_not_change_the_numbers():
    one, two = (arrays(fit(planted(), Fitting(threads=threads))) for threads in (1, 2))
    assert all(map(np.array_equal, one, two))


def test_a_penalty_that_leaves_no_weight_is_told():
    assert "all scores are 0" in "".join(fit(planted(), l2=1e300).warnings)
    assert not fit(planted()).warnings
