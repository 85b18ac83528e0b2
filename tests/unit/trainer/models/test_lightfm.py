"""LightFM's settings follow the size of the data, unless there are features or another loss."""

from dataclasses import replace

from tests import datasets
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.models.lightfm import LightFm
from trainer.models.protocol import Shape

LARGE = Shape(users=10_000, items=5_000, positives=100_000, squares=10**7)


def test_a_larger_catalogue_has_a_smaller_penalty():
    small, large = (LightFm().default(own) for own in (replace(LARGE, items=500), LARGE))
    assert 0 < large.item_alpha < small.item_alpha


def test_with_features_and_with_another_loss_the_settings_are_fixed():
    assert LightFm().default(replace(LARGE, has_features=True)) == Hyperparameters()
    assert LightFm().filled(LARGE, {"loss": "bpr"}) == Hyperparameters(loss="bpr")
    assert LightFm().filled(LARGE, {"epochs": 3}) == replace(LightFm().default(LARGE), epochs=3)


def test_features_of_a_dataset_are_noticed():
    assert not Shape.of(datasets.dataset()).has_features
    assert Shape.of(datasets.dataset(items=datasets.genres())).has_features
