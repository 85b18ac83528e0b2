"""Folding sessions in: the formula, what it must not depend on, and input that is hardly any."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.layout import FILES, FOLD_IN
from lightfm_retriever.publication.vectors import fold_in
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import split_biases
from tests.publications import ragged

LARGEST = float(np.finfo(np.float32).max)


def vectors(count, components, *, seed=1):
    return np.random.default_rng(seed).normal(size=(count, components + 1)).astype(np.float32)


def community(*, users=60, items=80, components=4, seed=3, most=12):
    """Users whose vectors are an affine map of the mean of what draws them, and what they saw."""
    random = np.random.default_rng(seed)
    item_vectors = vectors(items, components, seed=seed)
    tastes = random.normal(size=(users, components))
    scores = tastes @ item_vectors[:, :-1].T + random.normal(size=(users, items))
    counts = random.integers(1, most + 1, users)
    seen = ragged(
        [np.sort(np.argsort(-own)[:count]) for own, count in zip(scores, counts, strict=True)]
    )
    turned = tastes @ random.normal(size=(components, components)) + 2
    user_vectors = np.concatenate([turned, np.zeros((users, 1))], axis=1).astype(np.float32)
    return item_vectors, user_vectors, seen


def built(item_vectors, user_vectors, seen, *, seed=42):
    made = FoldIn.build(item_vectors, user_vectors, seen, seed=seed)
    assert made is not None
    return made


def folded(made, embeddings):
    return made.parts(embeddings, np.ones(len(embeddings), dtype=np.float32)).sum(axis=0)


def by_formula(item_vectors, user_vectors, seen, session):
    """The module's formula, as it is written there, user by user."""
    items, users = split_biases(item_vectors)[0], split_biases(user_vectors)[0]
    items, users = items.astype(np.float64), users.astype(np.float64)
    d = items.shape[1]
    rows = [row for row in range(len(seen)) if len(seen[row])]
    means = np.array([items[seen[row]].mean(axis=0) for row in rows])
    spread, freedom = np.zeros((d, d)), 0
    for row, mean in zip(rows, means, strict=True):
        for item in items[seen[row]]:
            spread += np.outer(item - mean, item - mean)
        freedom += len(seen[row]) - 1
    within = spread / freedom
    error = within * np.mean([1 / len(seen[row]) for row in rows])
    values, axes = np.linalg.eigh(np.cov(means.T, bias=True) - error)
    values = values.clip(0)
    power = values.sum() + (means.mean(axis=0) ** 2).sum()
    ridge = (0.1 + 10 / len(rows)) * power / d
    between = axes @ np.diag(values + ridge) @ axes.T
    length = np.sqrt((users[rows] ** 2).sum(axis=1).mean() / (items**2).sum(axis=1).mean())
    own = users[rows]
    centred = means - means.mean(axis=0)
    covariance = centred.T @ (own - own.mean(axis=0)) / len(rows) + ridge * length * np.eye(d)
    x = items[session].mean(axis=0) - means.mean(axis=0)
    return own.mean(axis=0) + x @ np.linalg.solve(between + within / len(session), covariance)


@pytest.mark.parametrize("chunk", [1, fold_in._CHUNK])
@pytest.mark.parametrize("session", [[0], [3, 9], list(range(20)), list(range(80))])
def test_a_session_is_folded_in_as_the_formula_says(monkeypatch, session, chunk):
    monkeypatch.setattr(fold_in, "_CHUNK", chunk)
    made = community()
    found = folded(built(*made), made[0][session, :-1])
    assert found.dtype == np.float32
    assert found == pytest.approx(by_formula(*made, session), rel=1e-3, abs=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_many_users_at_once_are_the_sums_of_their_parts(seed, most):
    made = built(*community(seed=3))
    embeddings = community(seed=3)[0][:, :-1]
    random = np.random.default_rng(seed)
    sessions = [random.choice(len(embeddings), random.integers(1, most + 1), False) for _ in range(4)]
    means = np.array([embeddings[own].mean(axis=0) for own in sessions], dtype=np.float32)
    found = made.of_means(means, np.array([len(own) for own in sessions]))
    assert found.dtype == np.float32
    expected = [folded(made, embeddings[own]) for own in sessions]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_many_users_at_once_are_finite_too():
    made = built(*community())
    found = made.of_means(np.full((2, 4), LARGEST, dtype=np.float32), np.array([1, 10**9]))
    assert np.isfinite(found).all()


def test_users_and_items_of_other_lengths_give_embeddings_of_other_lengths():
    items, users, seen = community()
    embeddings = items[:7, :-1]
    expected = pytest.approx(folded(built(items, users, seen), embeddings), rel=1e-3, abs=1e-4)
    for factor in (np.float32(1e-15), np.float32(1e15)):
        assert folded(built(items, users * factor, seen), embeddings) / factor == expected
        assert folded(built(items * factor, users, seen), embeddings * factor) == expected


def test_where_nothing_was_seen_a_session_is_the_mean_of_its_items_as_long_as_users_are():
    items, users = vectors(20, 5), 3 * vectors(20, 5)
    for own, factor in ((users[:0], 1), (users, 3)):
        made = built(items, own, ragged([[]] * len(own)))
        expected = factor * items[:4, :-1].mean(axis=0)
        assert folded(made, items[:4, :-1]) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@st.composite
def sessions(draw):
    """Item vectors, what was made of them, rows of a session, and weights."""
    components = draw(st.integers(1, 6))
    users = draw(st.sampled_from([0, 1, 3, 40]))
    items, user_vectors, seen = community(
        users=max(users, 1), items=30, components=components, seed=draw(st.integers(0, 5)), most=6
    )
    made = built(items, *((user_vectors, seen) if users else (user_vectors[:0], ragged([]))))
    rows = draw(st.lists(st.integers(0, 29), min_size=1, max_size=12, unique=True))
    weight = st.floats(0.015625, 100, width=32)
    weights = draw(st.lists(weight, min_size=len(rows), max_size=len(rows)))
    return items[:, :-1], made, np.array(rows), np.array(weights, dtype=np.float32)


@given(sessions(), st.floats(1e-30, 1e30), st.integers(0, 100), st.floats(0.125, 0.875))
def test_a_session_is_a_sum_of_its_items_by_their_shares(session, factor, place, share):
    items, made, rows, weights = session
    parts = made.parts(items[rows], weights)
    assert parts.shape == (len(rows), items.shape[1])

    def alike(found, expected=parts):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)

    order = np.random.default_rng(0).permutation(len(rows))
    alike(made.parts(items[rows[order]], weights[order]), parts[order])
    # Only the ratios of the weights matter.
    alike(made.parts(items[rows], (weights.astype(np.float64) * factor).astype(np.float32)))
    # An item that comes twice is one with both weights.
    place %= len(rows)
    divided = np.append(weights, weights[place] * np.float32(1 - share))
    divided[place] = weights[place] - divided[-1]
    twice = made.parts(items[np.append(rows, rows[place])], divided)
    twice[place] += twice[-1]
    alike(twice[:-1])


def test_the_seed_decides_which_users_and_items_are_learned_from(monkeypatch):
    monkeypatch.setattr(fold_in, "MOST_USERS", 20)
    monkeypatch.setattr(fold_in, "_MOST_ITEMS", 5)
    made = community()
    first, again, other = (built(*made, seed=seed).array for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.allclose(first[0], other[0])


def test_hardly_any_data_is_enough():
    for items, users, seen in (
        (vectors(1, 3), vectors(1, 3), [[0]]),
        (vectors(2, 8), vectors(1, 8), [[0, 1]]),
        (vectors(9, 16), vectors(3, 16), [[0], [], [3, 4, 8]]),
        (vectors(9, 1), vectors(3, 1), [[0], [1, 2, 3], [3, 4, 8]]),
        # All alike; all users alike; nothing learned of users; what they saw cancels out.
        (np.ones((5, 4), dtype=np.float32), vectors(3, 3), [[0, 1], [2], [3]]),
        (vectors(5, 3), np.ones((3, 4), dtype=np.float32), [[0, 1], [2], [3]]),
        (vectors(5, 3), np.zeros((3, 4), dtype=np.float32), [[0, 1], [2], [3]]),
        (vectors(1, 3) * np.array([[1], [-1]], dtype=np.float32), vectors(2, 3), [[0, 1], [0, 1]]),
    ):
        made = built(items, users, ragged(seen))
        components = {"components": items.shape[1] - 1}
        assert made.array.shape == FILES[FOLD_IN].lengths(components)
        assert made.array.dtype == np.float32
        for count in (1, len(items)):
            found = folded(made, items[:count, :-1])
            assert np.isfinite(found).all()
            assert found.any() or not users.any()


@pytest.mark.parametrize("length", [1e-38, LARGEST / 100])
def test_numbers_near_the_ends_of_float32_are_no_trouble(length):
    items, users, seen = community()
    items, users = (of / np.abs(of).max() * np.float32(length) for of in (items, users))
    made = built(items, users, seen)
    parts = made.parts(items[:9, :-1], np.linspace(1, 2, 9, dtype=np.float32) * np.float32(1e38))
    assert np.isfinite(parts).all()
    assert np.isfinite(parts.sum(axis=0)).all()
    assert parts.any()


def test_what_is_beyond_float32_is_cut_so_that_the_sum_is_finite():
    items = vectors(20, 2)
    long = FoldIn(built(items, items[:0], ragged([])).array * np.float32(1e37))
    parts = long.parts(items[:5, :-1] * np.float32(1e30), np.ones(5, dtype=np.float32))
    assert np.isfinite(parts.sum(axis=0)).all()
    assert np.abs(parts).max() == pytest.approx(LARGEST / 5)


def test_what_could_not_be_read_again_may_not_be_published():
    right = built(*community()).array
    for place, number, published in (
        ((4, 1), 1e15, True),
        ((4, 1), 1.1e15, False),
        ((4, 1), -1.1e15, False),
        ((2, 1), -1e-6, True),
        ((2, 1), -0.6, False),
    ):
        array = right.copy()
        array[place] = number
        assert FoldIn(array).may_be_published is published


def test_nothing_is_made_of_what_is_not_finite_nor_float32_of_no_items_and_of_zero_ones():
    rows = ragged([[0], [1, 29_999], [3]])
    for bad in (np.nan, np.inf, -np.inf):
        for place in (0, 1):
            made = community()
            made[place][0, 0] = bad
            assert FoldIn.build(*made, seed=1) is None
        items, users = vectors(30_000, 30), vectors(3, 30)
        # Among very many items the one is found, since a user has seen it.
        items[29_999, 1] = bad
        for seed in range(4):
            assert FoldIn.build(items, users, rows, seed=seed) is None
    items, users, seen = community()
    assert FoldIn.build(items * np.float32(1e-30), users * np.float32(1e30), seen, seed=1) is None
    for count in (0, 3):
        nothing = np.zeros((count, 4), dtype=np.float32)
        assert FoldIn.build(nothing, nothing[:0], ragged([]), seed=1) is None
