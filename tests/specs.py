"""Training specs for tests: small ones, and arbitrary ones."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests import datasets
from trainer.fitting.lightfm_model import LOSSES, Hyperparameters
from trainer.promotion.gates import Gates
from trainer.spec import DataSpec, TrainingSpec

_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
# No flag takes an empty one.
_paths = _texts.filter(bool)
_shares = st.floats(0, 1)


def spec(**changes: Any) -> TrainingSpec:
    """One that would train quickly, if its file were there."""
    return TrainingSpec(
        **{
            "data": DataSpec(interactions="/data/a.csv"),
            "hyperparameters": datasets.QUICK,
            "index_threads": 1,
            **changes,
        }
    )


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """None, or one of the values."""
    return st.none() | values


@st.composite
def data_specs(draw: st.DrawFn) -> DataSpec:
    """Any DataSpec that can be made."""
    source = draw(
        st.one_of(
            st.fixed_dictionaries({"dataset": _texts}),
            st.fixed_dictionaries({"interactions": _paths}),
            st.fixed_dictionaries({"interactions_sql": _texts, "database_url": _texts}),
            st.just({"event_log": True}),
        )
    )
    days = st.floats(min_value=1e-3, max_value=1e6)
    rest = {
        "event_log": st.just(True) if "event_log" in source else st.booleans(),
        "items": optional(_paths),
        "users": optional(_paths),
        "item_features": st.lists(_texts, max_size=3),
        "user_features": st.lists(_texts, max_size=3),
        "feature_separator": _texts,
        "event_weights": st.dictionaries(_texts, st.floats(-1e9, 1e9), max_size=4),
        "half_life_days": optional(days),
        "last_days": optional(days),
        "split": optional(st.sampled_from(["first-10", "random", "time", "leave-last-k", "none"])),
        "split_count": st.integers(1, 2**31 - 1),
        "split_share": st.floats(0, 1, exclude_min=True, exclude_max=True),
    }
    return DataSpec(**{**source, **{name: draw(values) for name, values in rest.items()}})


@st.composite
def training_specs(draw: st.DrawFn) -> TrainingSpec:
    """Any TrainingSpec that can be made."""
    loss = draw(st.sampled_from(LOSSES))
    hyperparameters = Hyperparameters(
        loss=loss,
        components=draw(st.integers(1, 4096)),
        learning_rate=draw(st.floats(0, 10, exclude_min=True)),
        item_alpha=draw(_shares),
        user_alpha=draw(_shares),
        epochs=draw(st.integers(1, 10_000)),
        sample_weights=draw(st.booleans()) and loss != "warp-kos",
        seed=draw(st.integers(0, 2**31 - 1)),
        threads=draw(st.integers(1, 1024)),
    )
    gates = Gates(
        min_precision_at_10=draw(optional(_shares)),
        min_auc=draw(optional(_shares)),
        min_recall=draw(optional(_shares)),
        min_coverage=draw(optional(_shares)),
        max_relative_loss=draw(optional(st.floats(0, 1, exclude_max=True))),
        min_users_kept=draw(optional(_shares)),
        min_items_kept=draw(optional(_shares)),
        min_pairs_kept=draw(optional(_shares)),
        allow_different_data=draw(st.booleans()),
        allow_unevaluated=draw(st.booleans()),
    )
    label = draw(optional(st.from_regex(r"[a-z][a-z0-9_-]{0,63}", fullmatch=True)))
    return TrainingSpec(
        data=draw(data_specs()),
        hyperparameters=hyperparameters,
        backend=draw(_texts),
        trees=draw(optional(st.integers(1, 10_000))),
        target_recall=draw(st.floats(0, 1, exclude_min=True)),
        strict_recall=draw(st.booleans()),
        index_threads=draw(optional(st.integers(1, 1024))),
        label=label,
        gates=gates,
        warm_start=draw(st.booleans()) and label is not None,
        max_shrinkage=draw(optional(_shares)),
    )
