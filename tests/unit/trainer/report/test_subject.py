from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication.errors import PublicationError
from tests.unit.trainer.index import cases
from tests.unit.trainer.report import catalogue
from trainer.report import subject as module
from trainer.report.subject import OpenedVersion, interpolated, no_rows, repeated, some_users


def test_a_subject_is_what_was_published(tmp_path, subject):
    of = catalogue.source()
    np.testing.assert_array_equal(subject.embeddings.item_vectors, of.embeddings.item_vectors)
    np.testing.assert_array_equal(subject.embeddings.user_vectors, of.embeddings.user_vectors)
    for found, published in ((subject.seen, of.seen), (subject.held_out, of.held_out)):
        assert [found[row].tolist() for row in range(len(found))] == [
            published[row].tolist() for row in range(len(published))
        ]
    with pytest.raises(PublicationError, match="20261124T120000Z-3fa9c1"):
        OpenedVersion.open(tmp_path, "20261124T120000Z-3fa9c1")


def test_an_item_is_called_by_its_title_or_where_it_has_none_by_its_id(subject):
    names = {subject.items.external_id(row): subject.name_of(row) for row in range(catalogue.ITEMS)}
    assert names.pop(catalogue.UNTITLED) == catalogue.UNTITLED
    [script] = [item for item, name in names.items() if name == catalogue.SCRIPT]
    del names[script]
    assert names == {item: f"Film {item} – 映画" for item in names}
    assert replace(subject, titles=None).name_of(3) == subject.items.external_id(3)


def test_without_item_biases_all_else_stays(subject):
    before = subject.embeddings.item_vectors.copy()
    without = subject.without_item_biases()
    np.testing.assert_array_equal(without.item_vectors[:, -1], 0)
    np.testing.assert_array_equal(without.item_embeddings, before[:, :-1])
    np.testing.assert_array_equal(without.user_vectors, subject.embeddings.user_vectors)
    np.testing.assert_array_equal(subject.embeddings.item_vectors, before)
    assert (before[:, -1] != 0).all()


@pytest.mark.parametrize("count", [1, 7, 8, 29])
def test_repeated_vectors_are_the_same_ones_in_turn(count):
    vectors = cases.vectors(7)
    made = repeated(vectors, count)
    assert made.shape == (count, vectors.shape[1])
    assert made.dtype == np.float32
    for row in range(count):
        np.testing.assert_array_equal(made[row], vectors[row % 7])


@pytest.mark.parametrize("chunk", [1, 64, 100_000])
def test_interpolated_vectors_are_finite_and_no_two_alike(monkeypatch, chunk):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    vectors = cases.vectors(20)
    made = interpolated(vectors, 500, seed=1)
    assert made.shape == (500, vectors.shape[1])
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert len(np.unique(made, axis=0)) == 500
    assert not (made[:, None] == vectors).all(axis=2).any()
    np.testing.assert_array_equal(made, interpolated(vectors, 500, seed=1))
    assert not (made == interpolated(vectors, 500, seed=2)).all(axis=1).any()


def test_interpolated_vectors_lie_near_a_line_between_two():
    """So that the made-up catalogue is as uneven as the real one."""
    vectors = np.array([[0, 0, 100], [10, 0, 100]], dtype=np.float32)
    made = interpolated(vectors, 2000, seed=1)
    stray = 0.05 * 5
    assert made[:, 0].min() > -5 * stray
    assert made[:, 0].max() < 10 + 5 * stray
    # All along the line, those at its ends being between an item and itself.
    between = (made[:, 0] > 1) & (made[:, 0] < 9)
    assert 0.3 < between.mean() < 0.5
    # A coordinate in which items don't differ has nothing to stray in.
    np.testing.assert_array_equal(made[:, 1], 0)
    np.testing.assert_allclose(made[:, 2], 100, rtol=1e-6)


def test_no_rows_are_rows_of_nothing():
    for count in (0, 3):
        rows = no_rows(count)
        assert rows.problem() is None
        assert [rows[row].tolist() for row in range(len(rows))] == [[]] * count


def test_some_users_have_something_held_out_and_are_the_same_for_a_seed(subject):
    with_something = [user for user in range(catalogue.USERS) if len(subject.held_out[user])]
    assert 0 < len(with_something) < catalogue.USERS
    assert some_users(subject, 1000, seed=1).tolist() == with_something
    first, again, other = (some_users(subject, 8, seed=seed).tolist() for seed in (1, 1, 2))
    assert first == again == sorted({*first} & {*with_something})
    assert len(first) == 8
    assert first != other
    # Where nothing is held out any user will do.
    without = replace(subject, held_out=None)
    assert some_users(without, 1000, seed=1).tolist() == list(range(catalogue.USERS))
