"""A candidate is valued by its NDCG@10 among unseen items, at its best epoch, and by fold-in."""

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication.vectors.fold_in import FoldIn
from tests import datasets
from tests.unit.trainer.models.blocks import planted
from tests.unit.trainer.selection.planned import Plan, PlannedScores, PlannedSettings, dataset, register
from trainer import models
from trainer.errors import TrainerError
from trainer.fitting.folding import folded_users
from trainer.fitting.scores import SameScores, VectorScores
from trainer.models.als import Als, AlsSettings
from trainer.models.protocol import Fitting
from trainer.selection import trial
from trainer.selection.trial import Trying, Validation, shown, try_out


def tried(family, settings, of=None, **how):
    validation = Validation.of(of or dataset(), seed=1)
    ticks = iter([10.0, 12.5])
    how = Trying(clock=lambda: next(ticks), **how)
    return try_out(family, settings, validation, Fitting(seed=1), how)


def by_hand(of, scores, users):
    """NDCG@10 from its definition."""
    values = []
    for user, own in zip(users, np.concatenate(list(scores.chunks(users))), strict=True):
        unseen = np.setdiff1d(np.arange(len(of.items)), of.seen()[user])
        ranked = sorted(unseen, key=lambda item: (-own[item], item))[:10]
        wanted = {*of.held_out()[user].tolist()}
        gain = sum(1 / np.log2(2 + place) for place, item in enumerate(ranked) if item in wanted)
        values.append(gain / sum(1 / np.log2(2 + place) for place in range(min(10, len(wanted)))))
    return np.mean(values)


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_ndcg_is_by_its_definition_and_over_users_with_a_held_out_positive(share):
    rows = [*datasets.rows(), ("alone", "i1", 1.0), ("cold", "i2", -1.0), ("cold", "i3", -1.0)]
    of = datasets.dataset(rows, split="random", split_share=share)
    validation = Validation.of(of, seed=1)
    held_out = of.held_out()
    assert validation.users.tolist() == [own for own in range(len(of.users)) if len(held_out[own])]
    random = np.random.default_rng(2)
    items, users = (
        random.normal(size=(len(own), 4)).astype(np.float32) for own in (of.items, of.users)
    )
    popular = of.popularity().astype(np.float32)
    for scores in (SameScores(popular), VectorScores(items, users)):
        assert validation.ndcg(scores) == pytest.approx(by_hand(of, scores, validation.users))


def test_the_best_scores_have_ndcg_1():
    of = dataset()
    assert Validation.of(of, seed=1).ndcg(PlannedScores(of, 1.0)) == 1.0
    assert Validation.of(of, seed=1).ndcg(PlannedScores(of, 0.0)) == 0.0


def test_of_many_users_the_seed_draws_some(monkeypatch):
    monkeypatch.setattr(trial, "MAX_USERS", 4)
    first, again, other = (Validation.of(dataset(), seed=seed).users.tolist() for seed in (1, 1, 2))
    assert len(first) == 4
    assert first == again != other


def test_without_a_held_out_positive_there_is_nothing_to_choose_by():
    with pytest.raises(TrainerError, match="name one with --model, or give more interactions"):
        Validation.of(planted(), seed=1)


def test_a_fit_ends_when_it_is_no_longer_better_and_its_best_epoch_counts(monkeypatch):
    seen = []
    values = [0.1, 0.3, 0.6, 0.5, 0.4, 0.9, 0.9]
    register(monkeypatch, one=Plan([values], on_fit=lambda: seen.append("fit")))
    family = models.family("one")
    found = tried(family, PlannedSettings(epochs=7))
    # After two validations without a better value, the last one isn't reached.
    assert found.settings == {"step": 0, "epochs": 3}
    assert (found.state, found.ndcg_at_10, found.seconds) == ("complete", pytest.approx(0.6), 2.5)
    assert (found.trained_ndcg_at_10, found.folded_ndcg_at_10, found.folded_in) == (None, None, False)


def test_a_fit_that_is_not_to_end_early_is_validated_at_its_end(monkeypatch):
    register(monkeypatch, one=Plan([[0.1, 0.6, 0.5, 0.4, 0.3]]))
    found = tried(models.family("one"), PlannedSettings(epochs=5), ends_early=False)
    assert found.settings["epochs"] == 5
    assert found.ndcg_at_10 == pytest.approx(0.3)


def test_a_fit_of_many_epochs_is_validated_ten_times(monkeypatch):
    asked = []
    own = Validation.ndcg
    monkeypatch.setattr(Validation, "ndcg", lambda *given: asked.append(1) or own(*given))
    register(monkeypatch, one=Plan([[epoch / 100 for epoch in range(100)]]))
    found = tried(models.family("one"), PlannedSettings(epochs=100))
    assert found.settings["epochs"] == 100
    # And once more at its end.
    assert len(asked) == 11


def test_an_error_of_the_data_or_the_settings_is_a_failed_candidate(monkeypatch):
    register(monkeypatch, one=Plan([None]))
    found = tried(models.family("one"), PlannedSettings())
    assert (found.state, found.ndcg_at_10, found.seconds) == ("failed", None, 2.5)
    assert "training diverged in epoch 3" in found.reason
    # A mistake in the program isn't.
    register(monkeypatch, one=Plan([0.5], on_fit=lambda: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        tried(models.family("one"), PlannedSettings())


class NoisyAls(Als):
    """ALS that knows items well, and users hardly: only their items say what they like."""

    def fit(self, dataset, settings, fitting):
        fitted = super().fit(dataset, settings, replace(fitting, after_epoch=lambda *_: None))
        users = fitted.embeddings.user_vectors.copy()
        noise = np.random.default_rng(1).normal(size=users.shape) * 3 * users.std()
        users[:, :-1] += noise[:, :-1]
        return replace(fitted, embeddings=replace(fitted.embeddings, user_vectors=users))


@pytest.mark.parametrize("family", [Als(), NoisyAls()])
def test_fold_in_is_chosen_if_it_is_better_than_the_trained_vectors(family):
    of = planted(split="random", split_share=0.3)
    settings = AlsSettings(components=8, epochs=5, regularization=1.0)
    found = tried(family, settings, of)
    assert found.folded_in == (found.folded_ndcg_at_10 > found.trained_ndcg_at_10)
    assert found.ndcg_at_10 == max(found.folded_ndcg_at_10, found.trained_ndcg_at_10)
    if isinstance(family, NoisyAls):
        assert found.folded_in
        # The value is that of the vectors which would be published.
        made = family.fit(of, settings, Fitting(seed=1)).embeddings
        fold_in = FoldIn.build(made.item_vectors, made.user_vectors, of.profiles(), seed=1)
        users = folded_users(fold_in, made, of.profiles())
        expected = Validation.of(of, seed=1).ndcg(VectorScores(made.item_vectors, users))
        assert found.ndcg_at_10 == pytest.approx(expected)


@pytest.mark.parametrize("users_by", ["trained", "fold-in"])
def test_the_vectors_of_users_can_be_asked_for(users_by):
    of = planted(split="random", split_share=0.3)
    settings = AlsSettings(components=8, epochs=5, regularization=1.0)
    found = [tried(family, settings, of, users_by=users_by) for family in (Als(), NoisyAls())]
    assert [one.folded_in for one in found] == [users_by == "fold-in"] * 2
    for one in found:
        own = one.trained_ndcg_at_10 if users_by == "trained" else one.folded_ndcg_at_10
        assert one.ndcg_at_10 == own


def test_settings_are_shown_without_those_that_all_families_have():
    for name in models.NAMES:
        family = models.family(name)
        assert not {*shown(family.settings())} & {"seed", "threads", "sample_weights"}
        assert family.settings(**shown(family.settings())) == family.settings()
