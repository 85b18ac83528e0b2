"""The promises of every family of models, also of one that somebody adds."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from lightfm_retriever.hosting.options import declared
from tests import datasets
from tests.new_family.random_walk import RandomWalk
from tests.unit.trainer.models.blocks import arrays, planted, share_in_block
from trainer import models
from trainer.fitting.scores import top
from trainer.models.given import COMMON
from trainer.models.protocol import EnoughError, Fitting, Shape

FAMILIES = [*map(models.family, models.NAMES), RandomWalk()]
QUICK = {"components": 8, "epochs": 30, "l2": 5.0, "shrinkage": 1.0, "learning_rate": 0.05}
SHAPES = [
    Shape(users=1, items=1, positives=1, squares=1),
    Shape(users=10_000, items=3_000, positives=200_000, squares=10**7),
    Shape(users=10**7, items=10**6, positives=10**9, squares=10**12),
]

each = pytest.mark.parametrize("family", FAMILIES, ids=lambda own: own.name)


def quick(family, shape=SHAPES[0], **changes):
    made = family.default(shape)
    names = {own.name for own in fields(made)}
    return replace(made, **{name: value for name, value in (QUICK | changes).items() if name in names})


def fit(family, dataset, fitting=None, **changes):
    fitting = fitting or Fitting(seed=1)
    return family.fit(dataset, quick(family, Shape.of(dataset), **changes), fitting)


@each
def test_a_family_describes_itself(family):
    assert family.name == family.name.lower()
    assert family.told
    assert is_dataclass(family.settings)
    assert {own.name for own in fields(family.settings)} == {*declared(family.settings)}
    assert bool(family.package) == bool(family.extra)


@each
@pytest.mark.parametrize("shape", SHAPES, ids=lambda own: f"{own.items} items")
def test_settings_and_estimates_exist_for_any_shape(family, shape):
    candidates = family.candidates(shape)
    assert candidates[0] == family.default(shape)
    assert all(isinstance(one, family.settings) for one in candidates)
    assert len({*map(repr, candidates)}) == len(candidates)
    for one in candidates:
        assert 0 < family.seconds(shape, one) < np.inf
        assert family.epochs(one) >= 1
        assert all(isinstance(own, family.settings) for own in family.around(one))
    larger = replace(shape, positives=shape.positives * 10, items=shape.items * 10)
    assert family.seconds(larger, candidates[0]) > family.seconds(shape, candidates[0])


@each
def test_a_model_recommends_what_like_minded_users_like(family):
    dataset = planted()
    fitted = fit(family, dataset)
    assert (fitted.embeddings is not None) == family.has_vectors
    assert (fitted.neighbours is not None) == (not family.has_vectors)
    assert share_in_block(fitted, dataset) > 0.9


@each
def test_equal_seeds_make_equal_models(family):
    first, again = (arrays(fit(family, planted())) for _ in range(2))
    assert all(map(np.array_equal, first, again))


@each
def test_the_best_items_are_those_with_the_largest_scores(family):
    dataset = planted()
    scores = fit(family, dataset).scores
    users = np.array([3, 0, 21])
    every = np.concatenate(list(scores.chunks(users)))
    assert every.shape == (3, scores.items) == (3, len(dataset.items))
    seen = dataset.seen()
    for user, own, found in zip(users, every, top(scores, users, seen, 4), strict=True):
        own[seen[user]] = -np.inf
        assert own[found].tolist() == np.sort(own)[::-1][:4].tolist()


@each
def test_disliked_items_are_seen_but_teach_nothing(family):
    dataset = planted()
    fitted = fit(family, dataset)
    without = replace(dataset, train=dataset.train.multiply(dataset.train > 0).tocsr())
    without.train.eliminate_zeros()
    if family.name != "lightfm":
        # LightFM's loss draws its negatives among all that isn't liked, in the order of the matrix.
        assert all(map(np.array_equal, arrays(fitted), arrays(fit(family, without))))
    if fitted.profiles is not None:
        assert fitted.profiles.values.tolist() == without.profiles().values.tolist()


@each
def test_who_likes_nothing_and_what_nobody_likes_have_numbers_that_mean_little(family):
    dataset = planted(more=[("u0", "unloved", 0.0), ("nobody", "i1", 0.0)])
    fitted = fit(family, dataset)
    assert all(np.isfinite(own).all() for own in arrays(fitted))
    unloved, users = dataset.items.row("unloved"), np.arange(len(dataset.users))
    assert (top(fitted.scores, users[:-1], dataset.seen(), 3) == unloved).mean() < 0.01
    assert share_in_block(fitted, dataset) > 0.9
    nobody = np.array([dataset.users.row("nobody")])
    assert np.isfinite(np.concatenate(list(fitted.scores.chunks(nobody)))).all()


@each
@pytest.mark.parametrize(
    "rows",
    [
        [("u", "i", 1.0)],
        [("u", "i", 1.0), ("u", "j", 2.0)],
        [("u", "i", 1.0), ("v", "i", 1.0)],
    ],
    ids=["one pair", "one user", "one item"],
)
def test_the_smallest_data_can_be_fitted(family, rows):
    dataset = datasets.dataset(rows)
    fitted = fit(family, dataset)
    assert all(np.isfinite(own).all() for own in arrays(fitted))
    assert fitted.scores.items == len(dataset.items)


@each
def test_epochs_are_told_and_a_fit_can_end_early(family):
    dataset, told = planted(), []

    def after(epoch, scores):
        told.append(epoch)
        assert scores().items == len(dataset.items)
        if epoch == 3:
            raise EnoughError

    settings = quick(family)
    fitted = family.fit(dataset, settings, Fitting(seed=1, after_epoch=after))
    assert told == list(range(1, min(3, family.epochs(settings)) + 1))
    if family.epochs(settings) > 3 and family.name != "lightfm":
        shorter = family.fit(dataset, replace(settings, epochs=3), Fitting(seed=1))
        assert all(map(np.array_equal, arrays(fitted), arrays(shorter)))


@each
def test_weights_count_when_they_are_asked_for(family):
    if not family.uses_weights:
        return
    plain = planted()
    weighed = plain.train.copy()
    weighed.data = np.where(weighed.data > 0, np.arange(len(weighed.data)) % 5 + 1.0, weighed.data)
    weighed = replace(plain, train=weighed.astype(np.float32))
    ask = Fitting(seed=1, sample_weights=True)
    assert not all(
        map(np.array_equal, arrays(fit(family, weighed, ask)), arrays(fit(family, plain, ask)))
    )
    if family.name != "lightfm":
        assert all(map(np.array_equal, arrays(fit(family, weighed)), arrays(fit(family, plain))))


def test_a_shape_counts_positives_only():
    shape = Shape.of(planted(each=6))
    assert (shape.users, shape.items) == (40, 20)
    assert (shape.positives, shape.squares) == (40 * 6, 40 * 36)
    assert (shape.per_user, shape.per_item) == (6.0, 12.0)
    assert {*COMMON} == {"sample_weights", "seed", "threads"}
