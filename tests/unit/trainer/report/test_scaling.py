import itertools
from unittest import mock

import numpy as np

from tests.unit.trainer.report import catalogue
from trainer.index import make_backends, measure
from trainer.index.measure import Questions
from trainer.index.tuning import TuningOptions
from trainer.progress import Silent
from trainer.report import scaling
from trainer.report.scaling import PAIRWISE, FirstBuild, measure_scaling
from trainer.report.subject import ReportOptions, embeddings_of, interpolated, repeated

OPTIONS = TuningOptions(seed=1, threads=1, target_recall=0.9)


def test_a_first_build_is_the_backends_own_with_its_first_settings_only():
    [backend] = make_backends("annoy")
    first = FirstBuild(backend)
    assert (first.name, first.distribution) == ("annoy", backend.distribution)
    assert first.build == backend.build
    assert first.rounds(10_000, "cosine") == [backend.rounds(10_000, "cosine")[0][:1]]


def test_every_backend_is_asked_the_users_questions_of_every_made_up_catalogue(monkeypatch, subject):
    monkeypatch.setattr(scaling, "_SIZES", (80, 150, 300))
    monkeypatch.setattr(scaling, "Questions", asked := mock.Mock(wraps=Questions))
    monkeypatch.setattr(measure, "_SECONDS", 0.1)
    backends = make_backends("exact,annoy")
    options = ReportOptions(backends=backends, max_items=150, tuning=OPTIONS)
    points = measure_scaling(subject, options, Silent())
    asked_of = itertools.product(["repeated", "interpolated"], [80, 150], [PAIRWISE, "exact", "annoy"])
    assert [(point.vectors, point.items, point.backend) for point in points] == [*asked_of]
    for point in points:
        assert point.query_microseconds > 0
        if point.backend in (PAIRWISE, "exact"):
            assert (point.recall_at_10, point.file_bytes) == (1, 0)
        else:
            assert point.recall_at_10 >= OPTIONS.target_recall
            # At the least the vectors themselves, with what makes norms the same.
            assert point.file_bytes > point.items * 4 * 10
            assert point.build_seconds > 0
        tried = set() if point.backend == PAIRWISE else {"exact", point.backend}
        assert {one.backend for one in point.trials} == tried
    of = subject.item_vectors
    made = [repeated(of, size) for size in (80, 150)]
    made += [interpolated(of, size, seed=OPTIONS.seed) for size in (80, 150)]
    for call, expected in zip(asked.call_args_list, made, strict=True):
        (vectors, queries, space), excluded = call.args, call.kwargs["excluded"]
        np.testing.assert_array_equal(vectors, expected)
        np.testing.assert_array_equal(queries, embeddings_of(subject).queries)
        assert space == "inner_product"
        assert (len(excluded), len(excluded.values)) == (catalogue.USERS, 0)


def test_the_notebooks_way_is_given_up_where_it_takes_too_long(monkeypatch, subject):
    asked = mock.Mock(wraps=scaling.pairwise_distances)
    monkeypatch.setattr(scaling, "pairwise_distances", asked)
    monkeypatch.setattr(scaling, "_PAIRWISE_SECONDS", 0)
    point = scaling._pairwise("repeated", subject.item_vectors, embeddings_of(subject).queries)
    assert asked.call_count == 1
    assert point.query_microseconds > 0
