from __future__ import annotations

import numpy as np
import pytest

from tests.unit.trainer.report import catalogue
from trainer.index import make_backends, measure
from trainer.index.measure import Questions
from trainer.index.tuning import TuningOptions
from trainer.progress import Silent
from trainer.report import scaling
from trainer.report.scaling import PAIRWISE, FirstBuild, measure_scaling, sizes_up_to
from trainer.report.subject import interpolated, no_rows, repeated

OPTIONS = TuningOptions(seed=1, threads=1, target_recall=0.9)


def test_sizes_grow_to_the_largest_that_is_asked_for():
    assert sizes_up_to(200) == [200]
    assert sizes_up_to(1000) == [1000]
    assert sizes_up_to(1001) == [1000, 1001]
    assert sizes_up_to(1_000_000)[-2:] == [300_000, 1_000_000]
    assert sizes_up_to(2_000_000)[-2:] == [1_000_000, 2_000_000]
    for most in (100, 5000, 10_000_000):
        sizes = sizes_up_to(most)
        assert sizes == sorted({*sizes})
        assert sizes[-1] == most


@pytest.mark.parametrize("name", ["annoy", "exact", "faiss", "nmslib"])
def test_a_first_build_is_the_backends_own_with_its_first_settings_only(name):
    [backend] = make_backends(name)
    first = FirstBuild(backend)
    assert (first.name, first.distribution) == (name, backend.distribution)
    assert first.build == backend.build
    for space in ("cosine", "inner_product"):
        for items in (10, 100_000):
            [[settings]] = first.rounds(items, space)
            assert settings == backend.rounds(items, space)[0][0]


@pytest.fixture(scope="module")
def points(subject):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "_SIZES", (80, 300))
        patch.setattr(measure, "_SECONDS", 0.1)
        return measure_scaling(
            subject,
            make_backends("exact,annoy"),
            max_items=150,
            options=OPTIONS,
            reporter=Silent(),
        )


def test_every_backend_is_measured_on_every_catalogue(points):
    assert [(point.vectors, point.items, point.backend) for point in points] == [
        (kind, size, backend)
        for kind in ("repeated", "interpolated")
        for size in (80, 150)
        for backend in (PAIRWISE, "exact", "annoy")
    ]


def test_points_say_what_is_measured_of_each(points):
    for point in points:
        assert point.query_microseconds > 0
        if point.backend in (PAIRWISE, "exact"):
            assert point.recall_at_10 == 1
            assert point.file_bytes == 0
        else:
            assert point.recall_at_10 >= OPTIONS.target_recall
            # At the least the vectors themselves, with what makes norms the same.
            assert point.file_bytes > point.items * 4 * 10
            assert point.build_seconds > 0
        # Exact search is what the others are compared with.
        assert [one.backend for one in point.trials[:1]] == (
            [] if point.backend == PAIRWISE else ["exact"]
        )
        assert {one.backend for one in point.trials} <= {"exact", point.backend}


def test_what_is_asked_is_who_the_users_are_and_what_is_searched_are_made_up_items(
    monkeypatch, subject
):
    asked = []

    class Recorder(Questions):
        def __init__(self, vectors, queries, space, *, excluded, seed):
            asked.append((vectors, queries, space, excluded))
            super().__init__(vectors, queries, space, excluded=excluded, seed=seed)

    monkeypatch.setattr(scaling, "Questions", Recorder)
    monkeypatch.setattr(measure, "_SECONDS", 0.1)
    measure_scaling(subject, make_backends("exact"), max_items=100, options=OPTIONS, reporter=Silent())
    of = subject.embeddings.item_vectors
    expected = [repeated(of, 100), interpolated(of, 100, seed=OPTIONS.seed)]
    for (vectors, queries, space, excluded), made in zip(asked, expected, strict=True):
        np.testing.assert_array_equal(vectors, made)
        np.testing.assert_array_equal(queries, subject.embeddings.queries)
        assert space == "inner_product"
        assert len(excluded) == catalogue.USERS
        assert len(excluded.values) == len(no_rows(1).values) == 0


def test_the_notebooks_way_is_given_up_where_it_takes_too_long(monkeypatch, subject):
    queries = []
    pairwise = scaling.pairwise_distances

    def counting(query, *of, **options):
        queries.append(query)
        return pairwise(query, *of, **options)

    monkeypatch.setattr(scaling, "pairwise_distances", counting)
    vectors = subject.embeddings.item_vectors
    scaling._pairwise("repeated", vectors, subject.embeddings.queries)
    assert len(queries) == scaling._PAIRWISE_QUERIES
    queries.clear()
    monkeypatch.setattr(scaling, "_PAIRWISE_SECONDS", 0)
    point = scaling._pairwise("repeated", vectors, subject.embeddings.queries)
    assert len(queries) == 1
    assert point.query_microseconds > 0
