from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from trainer.fitting.defaults import default_settings
from trainer.fitting.lightfm_model import Hyperparameters

shapes = st.builds(
    dict,
    users=st.integers(0, 10**9),
    items=st.integers(0, 10**9),
    interactions=st.integers(0, 10**12),
)


@given(shapes)
def test_any_shape_has_settings_that_the_trainer_accepts(shape):
    Hyperparameters(**asdict(default_settings(**shape)))


@given(shapes, st.integers(2, 1000))
def test_a_larger_side_has_a_smaller_penalty_and_the_other_side_stays(shape, times):
    small = default_settings(**shape)
    items = default_settings(**{**shape, "items": shape["items"] * times})
    users = default_settings(**{**shape, "users": shape["users"] * times})
    assert items.item_alpha <= small.item_alpha
    assert items.user_alpha == small.user_alpha
    assert users.user_alpha <= small.user_alpha
    assert users.item_alpha == small.item_alpha


def test_more_interactions_take_fewer_epochs_but_never_none():
    large = {"users": 10_000, "items": 1_000}
    epochs = [default_settings(**large, interactions=10**power).epochs for power in range(5, 11)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] > epochs[-1] >= 1


def test_users_with_hardly_any_history_take_fewer_epochs():
    large = {"users": 10_000, "items": 1_000}
    short, long = (default_settings(**large, interactions=own) for own in (20_000, 200_000))
    assert short.epochs < long.epochs


def test_settings_of_movielens_100k_are_as_documented():
    assert asdict(default_settings(users=943, items=1682, interactions=100_000)) == {
        "components": 64,
        "learning_rate": 0.02,
        "item_alpha": 0.00059,
        "user_alpha": 0.00032,
        "epochs": 60,
    }
