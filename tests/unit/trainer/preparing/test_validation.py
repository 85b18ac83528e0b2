"""A model is chosen on interactions that are neither trained on nor tested on."""

import pytest

from tests import datasets
from trainer.data.features import FeatureTable
from trainer.errors import TrainerError
from trainer.preparing.dataset import build_dataset
from trainer.preparing.splits import Splitting
from trainer.preparing.validation import build_validation, validation_split


def split_of(rows, *, timestamps=None, validation=None, **options):
    splitting = Splitting(**options)
    interactions = datasets.interactions(rows, timestamps=timestamps)
    tables = {"items": FeatureTable(), "users": FeatureTable()}
    dataset = build_dataset(interactions, **tables, splitting=splitting)
    inner = build_validation(interactions, **tables, splitting=splitting, validation=validation)
    return dataset, inner


def shown(dataset, matrix):
    return {*datasets.pairs(dataset, matrix)}


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("first-10", "random"),
        ("random", "random"),
        ("none", "random"),
        ("time", "time"),
        ("leave-last-k", "leave-last-k"),
    ],
)
def test_a_split_by_time_is_validated_by_time_and_any_other_at_random(split, expected):
    assert validation_split(split) == expected
    rows = datasets.rows()
    times = list(range(len(rows)))
    dataset, inner = split_of(rows, timestamps=times, split=split, seed=1, count=1, share=0.2)
    assert inner.split == expected
    test, train = shown(dataset, dataset.test), shown(dataset, dataset.train)
    validation, fitted = shown(inner, inner.test), shown(inner, inner.train)
    assert validation
    assert not test & (validation | fitted)
    assert validation | fitted == train
    assert not validation & fitted
    if expected == "time":
        time = {row[:2]: at for row, at in zip(rows, times, strict=True)}
        assert max(map(time.get, fitted)) < min(map(time.get, validation))


def test_another_split_can_be_asked_for_and_the_seed_decides():
    rows = datasets.rows()
    found = [
        shown(inner, inner.test)
        for seed in (1, 1, 2)
        for _, inner in [
            split_of(rows, split="none", seed=seed, count=1, share=0.2, validation="random")
        ]
    ]
    assert found[0] == found[1] != found[2]


def test_nothing_left_to_fit_is_an_error():
    rows = [("u", "i", 0.0), ("u", "j", 1.0), ("u", "k", 1.0)]
    with pytest.raises(TrainerError, match="no positive"):
        split_of(rows, timestamps=[1.0, 2.0, 3.0], split="leave-last-k", seed=1, count=1, share=0.1)
