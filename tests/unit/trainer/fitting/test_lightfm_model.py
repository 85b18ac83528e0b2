from dataclasses import replace

import numpy as np
import pytest

from tests import datasets
from trainer.errors import DivergedError, OptionError
from trainer.fitting.lightfm_model import LOSSES, Hyperparameters, learning_warnings, train

ROWS = datasets.rows()
HEAVY = [*ROWS, ("u1", "i1", 1e4)]


def scaled(factor):
    return [(user, item, weight * factor) for user, item, weight in ROWS]


def fit(dataset=None, *, start=None, told=None, **options):
    told = [] if told is None else told
    options = replace(datasets.QUICK, **options)
    return train(dataset or datasets.dataset(), options, on_epoch=lambda: told.append(1), start=start)


def parameters(model):
    parts = (model.item_embeddings, model.item_biases, model.user_embeddings, model.user_biases)
    return [number for part in parts for number in part.ravel().tolist()]


def test_a_value_that_does_not_fit_is_named_by_its_flag():
    for given, message in (
        ({"loss": "mse"}, "--loss is 'mse', but"),
        ({"epochs": 0}, "--epochs is 0, but"),
        ({"learning_rate": float("nan")}, "--learning-rate is nan, but"),
        # It ignores them.
        ({"sample_weights": True, "loss": "warp-kos"}, "--loss is 'warp-kos', but should be another"),
    ):
        with pytest.raises(OptionError, match=message) as caught:
            Hyperparameters(**given)
        assert caught.value.option == message.partition(" ")[0]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_seed_makes_training_reproducible_to_the_last_bit(loss):
    model = fit(loss=loss)
    assert model.loss == loss
    assert parameters(model) == parameters(fit(loss=loss)) != parameters(fit(loss=loss, seed=2))


def test_every_option_reaches_the_model():
    usual = parameters(fit())
    numbers = {"learning_rate": 0.1, "item_alpha": 0.1, "user_alpha": 0.1}
    for option, value in {"sample_weights": True, **numbers}.items():
        assert usual != parameters(fit(**{option: value})), option


def test_each_epoch_is_told_of_and_they_are_the_same_as_all_at_once():
    """Telling of each epoch doesn't change the model that LightFM's own `fit` gives."""
    dataset, told = datasets.dataset(), []
    model = fit(dataset, epochs=4, told=told)
    assert len(told) == 4
    options = {"no_components": 4, "loss": "warp", "learning_rate": 0.05, "item_alpha": 0.001}
    direct = type(model)(**options, random_state=np.random.RandomState(1))
    features = {"user_features": dataset.user_features, "item_features": dataset.item_features}
    direct.fit(dataset.train.tocoo(), **features, epochs=4, num_threads=1)
    assert parameters(model) == parameters(direct)


@pytest.mark.parametrize("loss", LOSSES)
def test_going_on_with_a_model_is_the_same_as_all_epochs_at_once(loss):
    """It keeps its own options."""
    dataset = datasets.dataset(items=datasets.genres())
    start = fit(dataset, loss=loss, epochs=3)
    model = fit(dataset, loss="warp", learning_rate=1.0, epochs=2, start=start)
    assert model is start
    assert (model.loss, model.learning_rate) == (loss, 0.05)
    assert parameters(model) == parameters(fit(dataset, loss=loss, epochs=5))


@pytest.mark.parametrize("weight", [0.0, -1.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_weight_of_0_or_less_is_no_positive(loss, weight):
    def rows(kind, items, weight):
        return [(f"{kind}{user}", f"i{item}", weight) for user in range(20) for item in items]

    # What WARP draws as negatives is what a user has no interaction with.
    others = rows("v", range(8, 12), 1.0)
    dataset = datasets.dataset(rows("u", range(4), 1.0) + rows("u", range(4, 8), weight) + others)
    model = fit(dataset, loss=loss, epochs=20)

    def score(items):
        rows = [dataset.items.row(f"i{item}") for item in items]
        return model.predict(dataset.users.row("u0"), rows, dataset.item_features).mean()

    assert score(range(4)) > score(range(4, 8)) + 0.5


def test_numbers_that_are_not_finite_end_the_training():
    told, options = [], {"sample_weights": True, "learning_rate": 10, "epochs": 50, "loss": "bpr"}
    message = r"training diverged in epoch \d+: .* --learning-rate"
    with pytest.raises(DivergedError, match=message) as caught:
        fit(datasets.dataset(scaled(1e9)), told=told, **options)
    assert caught.value.epoch == len(told) + 1


def test_a_loss_that_needs_more_items_says_so():
    """LightFM's own goes astray with ten items, in the logarithm of 0."""
    pairs = ((user, item) for user in range(30) for item in range(11) if (user + item) % 4)
    rows = [(f"u{user}", f"i{item}", 1.0) for user, item in pairs]
    few = datasets.dataset([row for row in rows if row[1] != "i10"])
    message = "--loss is 'warp-kos', but should be another one for 10 items: it"
    with pytest.raises(OptionError, match=message):
        fit(few, loss="warp-kos")
    for dataset, loss in ((datasets.dataset(rows), "warp-kos"), (few, "warp")):
        assert np.isfinite(parameters(fit(dataset, loss=loss, epochs=50))).all()


@pytest.mark.parametrize(
    ("rows", "losses", "told"),
    [
        # A common size is no reason to warn.
        (ROWS, "", ""),
        # So small that nothing is learned, and so large that a few ruin a model.
        (scaled(0.001), "warp bpr", "only 0 of {} positives of a.csv weigh 0.02 or more"),
        (HEAVY, "bpr logistic", "1 of {} positives of a.csv weigh more than 50, up to"),
    ],
)
def test_weights_by_which_a_loss_does_not_learn_are_told(rows, losses, told):
    train = datasets.dataset(rows).train
    for loss in ("warp", "bpr", "logistic"):
        warnings = [*learning_warnings(train, name="a.csv", loss=loss)]
        assert len(warnings) == (loss in losses.split())
        assert all(warning.startswith(told.format(train.nnz)) for warning in warnings)
