"""The questions by which indexes are measured are those that retrievers ask."""

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import unit_rows
from tests.unit.trainer.index import cases
from tests.unit.trainer.publishing.test_publish import source
from trainer.fitting.embeddings import UserFeatureVectors
from trainer.index import measure
from trainer.publishing import questions
from trainer.publishing.questions import other_ways

FEATURES = ["age:1", "age:2", "age:3", "sex:f", "sex:m"]
ALL = {"with_seen", "session", "session_with_seen", "features", "filtered"}


def with_features():
    of = source()
    vectors = cases.vectors(len(FEATURES), of.embeddings.components + 1, seed=5)
    return replace(of, user_features=UserFeatureVectors(FEATURES, vectors))


def folding(of):
    own = of.embeddings
    return FoldIn.build(own.item_vectors, own.user_vectors, of.seen, seed=1)


@pytest.fixture
def drawn(monkeypatch):
    """What the questions of a way are made of: queries and excluded rows."""
    noted = []

    def noting(self, vectors, queries, space, *, excluded, seed):
        noted.append((queries, [excluded[row].tolist() for row in range(len(excluded))]))

    monkeypatch.setattr(measure.Questions, "__init__", noting)

    def drawn(name, way, of, fold_in=None):
        noted.clear()
        other_ways(name, of, fold_in, seed=3)[way]()
        return noted[0]

    return drawn


def test_only_what_a_version_can_be_asked_is_measured():
    of = with_features()
    fold_in = folding(of)
    for name, content, sessions, ways in (
        ("recommend", of, fold_in, ALL),
        ("recommend", replace(of, user_features=None), fold_in, ALL - {"features"}),
        ("recommend", of, None, {"with_seen", "features", "filtered"}),
        ("recommend", source(users=0), fold_in, {"session", "session_with_seen", "filtered"}),
        ("similar", of, fold_in, {"items", "filtered"}),
    ):
        assert other_ways(name, content, sessions, seed=1).keys() == ways


def test_a_session_is_a_part_of_what_one_user_has_seen_folded_in(drawn):
    of = with_features()
    fold_in = folding(of)
    queries, excluded = drawn("recommend", "session", of, fold_in)
    seen = [set(of.seen[row].tolist()) for row in range(len(of.users))]
    assert len(queries) == sum(map(bool, seen))
    assert {len(rows) for rows in excluded} >= {1, 2, 3}
    for query, rows in zip(queries, excluded, strict=True):
        assert rows == sorted({*rows})
        assert any(own >= {*rows} for own in seen)
        ones = np.ones(len(rows), dtype=np.float32)
        expected = fold_in.parts(of.embeddings.item_embeddings[rows], ones).sum(axis=0)
        assert query.tolist() == [*expected.tolist(), 1.0]
    again, kept = drawn("recommend", "session_with_seen", of, fold_in)
    assert np.array_equal(again, queries)
    assert kept == [[]] * len(queries)


def test_known_users_are_asked_for_with_what_they_have_seen(drawn):
    of = with_features()
    queries, kept = drawn("recommend", "with_seen", of)
    assert np.array_equal(queries, of.embeddings.queries)
    assert kept == [[]] * len(of.users)
    assert drawn("recommend", "filtered", of)[1] == [
        own.tolist() for own in map(of.seen.__getitem__, range(30))
    ]


def test_features_are_asked_alone_and_if_few_as_means_from_different_columns(drawn):
    of = with_features()
    queries, kept = drawn("recommend", "features", of)
    vectors = of.user_features.vectors
    singles = [vectors[row] for row in range(5)]
    pairs = [vectors[[age, sex]].mean(axis=0) for age in range(3) for sex in (3, 4)]
    possible = {tuple(mean[:-1].tolist()) for mean in (*singles, *pairs)}
    assert {tuple(query[:-1].tolist()) for query in queries} == possible
    assert np.array_equal(queries[:5, :-1], vectors[:, :-1])
    assert (queries[:, -1] == 1).all()
    assert kept == [[]] * len(queries)


def test_several_items_are_a_mean_of_directions(drawn):
    of = with_features()
    queries, excluded = drawn("similar", "items", of)
    for query, rows in zip(queries, excluded, strict=True):
        assert len(rows) >= 2
        assert query == pytest.approx(unit_rows(of.embeddings.item_embeddings[rows]).mean(axis=0))


def test_without_seen_items_any_items_make_sessions(drawn):
    of = source(items=20, users=0)
    queries, excluded = drawn("recommend", "session", of, folding(of))
    assert {len(rows) for rows in excluded} == {1}
    assert len(queries) == 20
    assert {len(rows) for rows in drawn("similar", "items", of)[1]} == {2}


def test_a_large_catalogue_is_asked_a_sample(drawn, monkeypatch):
    monkeypatch.setattr(questions, "MOST_QUESTIONS", 7)
    of = with_features()
    for way in ("with_seen", "session", "filtered"):
        queries, excluded = drawn("recommend", way, of, folding(of))
        assert len(queries) == len(excluded) == 7
