from dataclasses import replace

import numpy as np
import pytest

from tests.unit.trainer.index import cases
from tests.unit.trainer.report import catalogue
from trainer.report import subject as module
from trainer.report.subject import embeddings_of, interpolated, name_of, repeated, some_users


def test_items_are_called_by_their_titles_and_are_without_biases_the_same_else(subject):
    names = {subject.items.external_id(row): name_of(subject, row) for row in range(catalogue.ITEMS)}
    assert (names[catalogue.UNTITLED], names["i8"]) == (catalogue.UNTITLED, "Film i8 – 映画")
    assert name_of(replace(subject, titles=None), 3) == subject.items.external_id(3)
    before, without = embeddings_of(subject), embeddings_of(subject, item_biases=False)
    np.testing.assert_array_equal(before.item_vectors, catalogue.source().embeddings.item_vectors)
    assert (before.item_vectors[:, -1] != 0).all()
    np.testing.assert_array_equal(without.item_vectors[:, -1], 0)
    np.testing.assert_array_equal(without.item_embeddings, before.item_embeddings)
    np.testing.assert_array_equal(without.user_vectors, before.user_vectors)


@pytest.mark.parametrize("chunk", [64, 100_000])
def test_made_up_vectors_are_the_same_ones_in_turn_or_no_two_alike(monkeypatch, chunk):
    vectors = cases.vectors(20)
    for count in (1, 90):
        again = repeated(vectors, count)
        assert again.dtype == np.float32
        np.testing.assert_array_equal(again, vectors[np.arange(count) % 20])
    monkeypatch.setattr(module, "_CHUNK", chunk)
    made = interpolated(vectors, 500, seed=1)
    assert (made.shape, made.dtype) == ((500, vectors.shape[1]), np.float32)
    assert np.isfinite(made).all()
    assert len(np.unique(made, axis=0)) == 500
    np.testing.assert_array_equal(made, interpolated(vectors, 500, seed=1))
    assert not (made == interpolated(vectors, 500, seed=2)).all(axis=1).any()


def test_interpolated_vectors_lie_near_a_line_between_two():
    vectors = np.array([[0, 0, 100], [10, 0, 100]], dtype=np.float32)
    made = interpolated(vectors, 2000, seed=1)
    stray = 0.05 * 5
    assert -5 * stray < made[:, 0].min() < made[:, 0].max() < 10 + 5 * stray
    # All along the line, those at its ends being between an item and itself.
    between = (made[:, 0] > 1) & (made[:, 0] < 9)
    assert 0.3 < between.mean() < 0.5
    # A coordinate in which items don't differ has nothing to stray in.
    np.testing.assert_array_equal(made[:, 1], 0)
    np.testing.assert_allclose(made[:, 2], 100, rtol=1e-6)


def test_some_users_have_something_held_out_and_are_the_same_for_a_seed(subject):
    with_something = [user for user in range(catalogue.USERS) if len(subject.held_out[user])]
    assert some_users(subject, 1000, seed=1).tolist() == with_something
    first, again, other = (some_users(subject, 8, seed=seed).tolist() for seed in (1, 1, 2))
    assert other != first == again == sorted({*first} & {*with_something})
    assert len(first) == 8
    # Where nothing is held out any user will do.
    without = replace(subject, held_out=None)
    assert some_users(without, 1000, seed=1).tolist() == list(range(catalogue.USERS))
