from dataclasses import astuple, replace

import numpy as np
import pytest

from lightfm_retriever.publication.storage.id_map import IdMap
from tests.measured_vectors import evaluate_vectors
from tests.unit.trainer.index import cases
from tests.unit.trainer.report import catalogue
from trainer.index import make_backends, measure
from trainer.index.tuning import TuningOptions
from trainer.progress import Silent
from trainer.report.accuracy import _sample_items, measure_accuracy
from trainer.report.subject import ReportOptions, embeddings_of, name_of


def measured(subject, backends="exact,annoy", **tuning):
    options = TuningOptions(seed=1, threads=1, **tuning)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_SECONDS", 0.1)
        of = ReportOptions(backends=make_backends(backends), tuning=options)
        return measure_accuracy(subject, of, Silent())


@pytest.fixture(scope="module")
def accuracy(subject):
    return measured(subject)


def test_precision_of_exact_search_is_that_of_the_vectors(subject, accuracy):
    exact = accuracy.precision[0]
    assert [row.backend for row in accuracy.precision] == ["exact", "annoy"]
    four = astuple(exact)[1:]
    expected = []
    for item_biases in (True, False):
        embeddings = embeddings_of(subject, item_biases=item_biases)
        metrics = evaluate_vectors(embeddings, seen=subject.seen, held_out=subject.held_out)
        expected += [metrics["test_precision_at_10"], metrics["test_precision_at_10_unseen"]]
    assert four == pytest.approx(expected)
    # They tell different things.
    assert len({*four}) == 4
    # An index that finds everything is as precise, of what it is tuned for: what users haven't seen.
    found = measured(subject, target_recall=1.0)
    exact, annoy = found.precision
    assert found.chosen["recommend"][1].recall_at_10 == 1
    assert annoy.unseen == exact.unseen
    # Without held-out items there is none, but the same samples for a seed.
    found = measured(replace(subject, held_out=None), "exact")
    assert (found.precision, len(found.users)) == ([], 10)
    assert [one.subject for one in found.items] == [one.subject for one in accuracy.items]


def test_every_setting_is_kept_once_and_the_chosen_one_of_each_backend(accuracy):
    assert accuracy.trials.keys() == accuracy.chosen.keys() == {"similar", "recommend"}
    for name, trials in accuracy.trials.items():
        settings = [repr((one.backend, one.build, one.query)) for one in trials]
        assert len({*settings}) == len(settings)
        chosen = accuracy.chosen[name]
        assert [one.backend for one in chosen] == ["exact", "annoy"]
        assert chosen[1] in trials
        assert chosen[1].recall_at_10 >= 0.95


def assert_best(answers, best):
    """Annoy's needn't be the first ones, since an index may miss some."""
    assert answers.keys() == {"exact", "annoy"}
    assert answers["exact"] == best[:3]
    assert answers["annoy"] == sorted({*answers["annoy"]}, key=best.index)
    assert len(answers["annoy"]) == 3


def test_samples_of_users_are_the_best_of_what_they_have_seen_and_not(subject, accuracy):
    assert len({sample.subject for sample in accuracy.users}) == 10
    for sample in accuracy.users:
        row = subject.users.row(sample.subject.removeprefix("user "))
        assert len(subject.held_out[row])
        scores = subject.item_vectors @ embeddings_of(subject).queries[row]
        by_score = np.argsort(-scores).tolist()
        seen = {*subject.seen[row].tolist()}
        assert sample.known == [name_of(subject, item) for item in by_score if item in seen][:3]
        assert_best(sample.answers, [name_of(subject, item) for item in by_score if item not in seen])


def test_samples_of_items_are_popular_ones_and_their_nearest_but_themselves(subject, accuracy):
    vectors = embeddings_of(subject).item_embeddings.astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [name_of(subject, row) for row in range(catalogue.ITEMS)]
    assert len({sample.subject for sample in accuracy.items}) == 10
    for sample in accuracy.items:
        row = names.index(sample.subject)
        nearest = np.argsort(-(vectors @ vectors[row])).tolist()
        assert nearest.pop(0) == row
        assert sample.known == []
        assert_best(sample.answers, [names[item] for item in nearest])


def test_of_many_items_the_ones_that_most_users_know_are_shown(subject):
    """Of the others no reader could tell whether an answer is good."""
    known = np.random.default_rng(1).permutation(2000)[:200]
    items, seen = IdMap.build(map(str, range(2000))), cases.rows([np.sort(known), known[:1]])
    many = replace(subject, items=items, item_vectors=cases.vectors(2000), seen=seen, titles=None)
    shown = {sample.subject for sample in _sample_items(many, {}, 1)}
    assert len(shown) == 10
    assert shown <= {name_of(many, row) for row in known.tolist()}
