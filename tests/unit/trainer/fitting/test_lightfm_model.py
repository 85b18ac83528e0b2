from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests import datasets
from trainer.errors import DivergedError, OptionError
from trainer.fitting.lightfm_model import LOSSES, Hyperparameters, train

NAN = float("nan")


def fit(dataset=None, *, start=None, **options):
    return train(
        dataset or datasets.dataset(),
        replace(datasets.QUICK, **options),
        on_epoch=lambda: None,
        start=start,
    )


def parameters(model):
    return np.concatenate(
        [
            part.ravel()
            for part in (
                model.item_embeddings,
                model.item_biases,
                model.user_embeddings,
                model.user_biases,
            )
        ]
    )


def test_the_defaults_are_the_notebooks():
    assert Hyperparameters() == Hyperparameters(
        loss="warp",
        components=64,
        learning_rate=0.05,
        item_alpha=0.001,
        user_alpha=0.0,
        epochs=20,
        sample_weights=False,
        seed=42,
        threads=1,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", "mse"),
        *(("components", value) for value in (0, 4097)),
        *(("epochs", value) for value in (0, 10_001)),
        *(("threads", value) for value in (0, 1025)),
        *(("seed", value) for value in (-1, 2**31)),
        *(("learning_rate", value) for value in (0.0, 10.5, NAN)),
        *((f"{side}_alpha", value) for side in ("item", "user") for value in (-0.1, 1.1, NAN)),
    ],
)
def test_a_value_out_of_range_is_named_by_its_flag(name, value):
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(OptionError, match=f"{flag} is {value!r}, but should be ") as caught:
        Hyperparameters(**{name: value})
    assert (caught.value.option, caught.value.value) == (flag, value)


def test_the_outermost_values_are_in_range():
    Hyperparameters(components=1, epochs=1, threads=1, seed=0, learning_rate=1e-9, item_alpha=0)
    Hyperparameters(
        components=4096, epochs=10_000, threads=1024, seed=2**31 - 1, learning_rate=10, user_alpha=1
    )


def test_weights_cannot_be_used_with_a_loss_that_ignores_them():
    with pytest.raises(OptionError, match="--loss is 'warp-kos', but should be another one with"):
        Hyperparameters(loss="warp-kos", sample_weights=True)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_seed_makes_training_reproducible_to_the_last_bit(loss):
    model = fit(loss=loss)
    assert model.loss == loss
    np.testing.assert_array_equal(parameters(model), parameters(fit(loss=loss)))
    assert not np.array_equal(parameters(model), parameters(fit(loss=loss, seed=2)))


@pytest.mark.parametrize(
    "other",
    [
        {"loss": "bpr"},
        {"learning_rate": 0.1},
        {"item_alpha": 0.1},
        {"user_alpha": 0.1},
        {"epochs": 3},
        {"sample_weights": True},
    ],
)
def test_every_option_reaches_the_model(other):
    assert not np.array_equal(parameters(fit()), parameters(fit(**other)))


def test_each_epoch_is_told_of_and_they_are_the_same_as_all_at_once():
    """Telling of each epoch doesn't change the model that LightFM's own `fit` gives."""
    dataset, told = datasets.dataset(), []
    model = train(dataset, replace(datasets.QUICK, epochs=4), on_epoch=lambda: told.append(1))
    assert len(told) == 4
    direct = type(model)(
        no_components=4,
        loss="warp",
        learning_rate=0.05,
        item_alpha=0.001,
        random_state=np.random.RandomState(1),
    )
    direct.fit(
        dataset.train.tocoo(),
        user_features=dataset.user_features,
        item_features=dataset.item_features,
        epochs=4,
        num_threads=1,
    )
    np.testing.assert_array_equal(parameters(model), parameters(direct))


@pytest.mark.parametrize("loss", LOSSES)
def test_going_on_with_a_model_is_the_same_as_all_epochs_at_once(loss):
    dataset = datasets.dataset(items=datasets.genres())
    start = fit(dataset, loss=loss, epochs=3)
    model = fit(dataset, loss=loss, epochs=2, start=start)
    assert model is start
    np.testing.assert_array_equal(parameters(model), parameters(fit(dataset, loss=loss, epochs=5)))


def test_a_model_to_go_on_with_keeps_its_own_options():
    dataset = datasets.dataset()
    model = fit(dataset, epochs=2, start=fit(dataset, loss="bpr"), loss="warp", learning_rate=1.0)
    assert (model.loss, model.learning_rate) == ("bpr", 0.05)
    np.testing.assert_array_equal(parameters(model), parameters(fit(dataset, loss="bpr", epochs=4)))


def test_features_change_what_is_predicted():
    def predictions(items):
        dataset = datasets.dataset(items=items)
        users, rows = np.divmod(np.arange(datasets.USERS * datasets.ITEMS), datasets.ITEMS)
        model = fit(dataset, epochs=10, components=7)
        assert model.item_embeddings.shape == (dataset.item_features.shape[1], 7)
        assert model.user_embeddings.shape == (datasets.USERS, 7)
        return model.predict(
            users, rows, item_features=dataset.item_features, user_features=dataset.user_features
        )

    plain, hybrid = predictions(None), predictions(datasets.genres())
    assert np.abs(plain - hybrid).max() > 0.01


@pytest.mark.parametrize("weight", [0.0, -1.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_weight_of_0_or_less_is_no_positive(loss, weight):
    liked = [(f"u{user}", f"i{item}", 1.0) for user in range(20) for item in range(4)]
    disliked = [(f"u{user}", f"i{item}", weight) for user in range(20) for item in range(4, 8)]
    # What WARP draws as negatives is what a user has no interaction with.
    others = [(f"v{user}", f"i{item}", 1.0) for user in range(20) for item in range(8, 12)]
    dataset = datasets.dataset(liked + disliked + others)
    user = dataset.users.row("u0")
    model = fit(dataset, loss=loss, epochs=20)
    likes, dislikes = (
        np.mean(
            [
                model.predict(user, [dataset.items.row(f"i{item}")], dataset.item_features)
                for item in items
            ]
        )
        for items in (range(4), range(4, 8))
    )
    assert likes > dislikes + 0.5


def test_numbers_that_are_not_finite_end_the_training():
    told = []
    dataset = datasets.dataset([(user, item, 1e9) for user, item, _ in datasets.rows()])
    options = replace(datasets.QUICK, sample_weights=True, learning_rate=10, epochs=50, loss="bpr")
    with pytest.raises(
        DivergedError, match=r"training diverged in epoch \d+: .* --learning-rate"
    ) as caught:
        train(dataset, options, on_epoch=lambda: told.append(1))
    assert caught.value.epoch == len(told) + 1


def test_a_loss_that_needs_more_items_says_so():
    """LightFM's own goes astray with ten items, in the logarithm of 0."""
    rows = [
        (f"u{user}", f"i{item}", 1.0) for user in range(30) for item in range(11) if (user + item) % 4
    ]
    assert np.isfinite(parameters(fit(datasets.dataset(rows), loss="warp-kos", epochs=50))).all()
    few = [row for row in rows if row[1] != "i10"]
    with pytest.raises(
        OptionError, match="--loss is 'warp-kos', but should be another one for 10 items: it"
    ):
        fit(datasets.dataset(few), loss="warp-kos")
    assert np.isfinite(parameters(fit(datasets.dataset(few), loss="warp", epochs=50))).all()
