from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication.storage.id_map import IdMap
from tests.unit.trainer.index import cases
from tests.unit.trainer.report import catalogue
from trainer.evaluation.of_vectors import evaluate_vectors
from trainer.fitting.embeddings import Embeddings
from trainer.index import make_backends, measure
from trainer.index.tuning import TuningOptions
from trainer.progress import Silent
from trainer.report.accuracy import _sample_items, measure_accuracy

OPTIONS = TuningOptions(seed=1, threads=1)


def measured(subject, backends="exact,annoy", **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_SECONDS", 0.1)
        return measure_accuracy(
            subject, make_backends(backends), options=replace(OPTIONS, **options), reporter=Silent()
        )


@pytest.fixture(scope="module")
def accuracy(subject):
    return measured(subject)


def test_precision_of_exact_search_is_that_of_the_vectors(subject, accuracy):
    exact = accuracy.precision[0]
    assert [row.backend for row in accuracy.precision] == ["exact", "annoy"]
    of = {"seen": subject.seen, "held_out": subject.held_out}
    with_biases = evaluate_vectors(subject.embeddings, **of)
    without = evaluate_vectors(subject.without_item_biases(), **of)
    assert exact.all_items == pytest.approx(with_biases["test_precision_at_10"])
    assert exact.unseen == pytest.approx(with_biases["test_precision_at_10_unseen"])
    assert exact.all_items_without_biases == pytest.approx(without["test_precision_at_10"])
    assert exact.unseen_without_biases == pytest.approx(without["test_precision_at_10_unseen"])
    # They tell different things.
    four = [exact.all_items, exact.unseen, exact.all_items_without_biases, exact.unseen_without_biases]
    assert len({*four}) == 4
    assert all(0 < value < 1 for value in four)


def test_an_index_that_finds_everything_is_as_precise_as_exact_search(subject):
    found = measured(subject, target_recall=1.0)
    exact, annoy = found.precision
    assert found.chosen["recommend"][1].recall_at_10 == 1
    # It is tuned for what users get, which is what they haven't seen.
    assert annoy.unseen == exact.unseen


def test_a_publication_without_held_out_items_has_no_precision(subject, accuracy):
    found = measured(replace(subject, held_out=None), "exact")
    assert found.precision == []
    assert len(found.users) == len(found.items) == 10
    # They are the same for a seed.
    assert [one.subject for one in found.items] == [one.subject for one in accuracy.items]


def test_every_setting_is_kept_once_and_the_chosen_one_of_each_backend(accuracy):
    assert accuracy.trials.keys() == accuracy.chosen.keys() == {"similar", "recommend"}
    for name, trials in accuracy.trials.items():
        settings = [repr((one.backend, one.build, one.query)) for one in trials]
        assert len({*settings}) == len(settings)
        assert [one.backend for one in trials].count("exact") == 1
        assert {one.backend for one in trials} == {"exact", "annoy"}
        chosen = accuracy.chosen[name]
        assert [one.backend for one in chosen] == ["exact", "annoy"]
        assert chosen[1] in trials
        assert chosen[1].recall_at_10 >= OPTIONS.target_recall


def assert_in_order(answer, names):
    """Three of them, which needn't be the first ones since an index may miss some."""
    assert len({*answer}) == 3
    places = [names.index(one) for one in answer]
    assert places == sorted(places)


def test_samples_of_users_are_the_best_of_what_they_have_seen_and_of_what_they_have_not(
    subject, accuracy
):
    assert len(accuracy.users) == 10
    rows = {f"user {subject.users.external_id(row)}": row for row in range(catalogue.USERS)}
    for sample in accuracy.users:
        row = rows.pop(sample.subject)  # nobody is there twice
        assert len(subject.held_out[row])
        scores = subject.embeddings.item_vectors @ subject.embeddings.queries[row]
        seen = subject.seen[row].tolist()
        by_score = np.argsort(-scores).tolist()
        liked = [subject.name_of(item) for item in by_score if item in seen][:3]
        others = [subject.name_of(item) for item in by_score if item not in seen][:3]
        assert sample.known == liked
        assert sample.answers.keys() == {"exact", "annoy"}
        assert sample.answers["exact"] == others
        names = [subject.name_of(item) for item in by_score if item not in seen]
        assert_in_order(sample.answers["annoy"], names)


def test_samples_of_items_are_popular_ones_and_their_nearest_but_themselves(subject, accuracy):
    vectors = subject.embeddings.item_embeddings.astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = {subject.name_of(row): row for row in range(catalogue.ITEMS)}
    assert len(accuracy.items) == 10
    for sample in accuracy.items:
        row = rows.pop(sample.subject)
        nearest = np.argsort(-(vectors @ vectors[row])).tolist()
        assert nearest.pop(0) == row
        names = [subject.name_of(item) for item in nearest]
        assert sample.known == []
        assert sample.answers.keys() == {"exact", "annoy"}
        assert sample.answers["exact"] == names[:3]
        assert_in_order(sample.answers["annoy"], names)


def test_of_many_items_the_ones_that_most_users_know_are_shown(subject):
    """Of the others no reader could tell whether an answer is good."""
    known = np.random.default_rng(1).permutation(2000)[:200]
    many = replace(
        subject,
        items=IdMap.build(map(str, range(2000))),
        embeddings=Embeddings(cases.vectors(2000), subject.embeddings.user_vectors),
        seen=cases.rows([np.sort(known), known[:1]]),
        titles=None,
    )
    samples = _sample_items(many, {}, 1)
    assert len({sample.subject for sample in samples}) == 10
    assert {sample.subject for sample in samples} <= {many.name_of(row) for row in known.tolist()}
