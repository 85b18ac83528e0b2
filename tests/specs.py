"""Training specs for tests: small ones, and arbitrary ones."""

import math
from collections.abc import Iterator
from dataclasses import is_dataclass, replace
from typing import Any, get_args, get_type_hints

from hypothesis import strategies as st

from lightfm_retriever.hosting.options import Declared, declared
from tests import datasets
from trainer import models
from trainer.data.files.file_form import FileForm
from trainer.models.given import COMMON, GivenHyperparameters
from trainer.promotion.gates import SIMPLE_MODELS, Gates
from trainer.spec import DataSpec, TrainingSpec

_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
# No flag takes an empty one.
_paths = _texts.filter(bool)


def spec(**changes: Any) -> TrainingSpec:
    """One that would train quickly, if its file were there."""
    return TrainingSpec(
        **{
            "data": DataSpec(interactions="/data/a.csv"),
            "hyperparameters": datasets.GIVEN,
            "index_threads": 1,
            **changes,
        }
    )


def options_of(root: Any) -> Iterator[Declared]:
    """The options of a dataclass, and of those that its fields are."""
    yield from declared(root).values()
    for hint in get_type_hints(root).values():
        for kind in (hint, *get_args(hint)):
            if is_dataclass(kind):
                yield from options_of(kind)


def values_of(one: Declared) -> st.SearchStrategy[Any]:
    """Any value that an option takes, less what a flag can't say."""
    option = one.option
    if option.choices:
        values: st.SearchStrategy[Any] = st.sampled_from(option.choices)
    elif one.kind is bool:
        values = st.booleans()
    elif one.kind is int:
        values = st.integers(option.ge, option.le)
    elif one.kind is float:
        low, high = (option.ge if option.gt is None else option.gt), option.le or option.lt
        values = st.floats(
            low,
            1e6 if high == math.inf else high,
            exclude_min=option.gt is not None,
            exclude_max=option.lt == high != math.inf,
        )
    elif one.kind is str:
        values = _paths if option.read else _texts
    else:
        values = {
            list[str]: st.lists(_texts, max_size=3, unique=True),
            dict[str, float]: st.dictionaries(_texts, st.floats(-1e9, 1e9), max_size=4),
            # Those of a family are drawn by `training_specs`.
            dict[str, str]: st.just({}),
        }[one.kind]
    return st.none() | values if one.default is None else values


def any_of(root: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Any values of a dataclass's own options."""
    return st.fixed_dictionaries({name: values_of(one) for name, one in declared(root).items()})


@st.composite
def data_specs(draw: st.DrawFn) -> DataSpec:
    """Any DataSpec that can be made."""
    values = draw(any_of(DataSpec))
    sources = [["dataset"], ["interactions"], ["interactions_sql", "database_url"], ["event_log"]]
    chosen = draw(st.sampled_from(sources))
    for name in {name for source in sources for name in source} - {*chosen, "event_log"}:
        values[name] = None
    for name in chosen:
        values[name] = True if name == "event_log" else draw(_paths)
    if chosen == ["event_log"]:
        values["positive_from"] = None
    # Each has a form of its own.
    return DataSpec(**{**values, "item_attributes": [], "form": draw(forms(values))})


@st.composite
def forms(draw: st.DrawFn, given: dict[str, Any]) -> FileForm:
    """Any FileForm for the files that are given, without a file of skipped rows."""
    known = {
        "date_format": st.sampled_from(["ms", "d/m/Y H:M", "%d.%m.%y"]),
        "skip_invalid": st.booleans(),
    }
    values = {}
    for kind, prefix, name in (
        ("interactions", "", "timestamp"),
        ("items", "item_", "title"),
        ("users", "user_", "user_id"),
    ):
        if given[kind] is not None:
            values |= {
                f"{prefix}columns": st.dictionaries(st.just(name), st.sampled_from(["a", "B-C d"])),
                f"{prefix}header": st.lists(st.sampled_from(["a", "é b", "c"]), unique=True),
                f"{prefix}separator": st.sampled_from([None, ";", "\t", "::"]),
                f"{prefix}encoding": st.sampled_from([None, "latin-1", "utf-16"]),
            }
            values |= known if kind == "interactions" else {"escaped_quotes": st.booleans()}
    return FileForm(**draw(st.fixed_dictionaries(values)))


@st.composite
def some_gates(draw: st.DrawFn) -> Gates:
    """Any Gates that can be made."""
    lifts = st.dictionaries(st.sampled_from(SIMPLE_MODELS), st.floats(1e-6, 1e6))
    return Gates(**{**draw(any_of(Gates)), "min_lift_over": draw(lifts)})


@st.composite
def training_specs(draw: st.DrawFn) -> TrainingSpec:
    """Any TrainingSpec that can be made."""
    values = draw(any_of(TrainingSpec))
    own = draw(any_of(GivenHyperparameters))
    data = draw(data_specs())
    label = draw(st.none() | st.from_regex(r"[a-z][a-z0-9_-]{0,63}", fullmatch=True))
    values["warm_start"] &= label is not None
    if (model := values["model"]) in (None, models.AUTO):
        kept: set[str] = set()
        # A flag has microseconds.
        budgets = st.integers(1, 604_800_000).map(lambda own: own / 1000)
        values |= {"settings": {}, "warm_start": False, "budget_seconds": draw(st.none() | budgets)}
        if model is None:
            # With features, it would be LightFM.
            data = replace(data, item_features=[], user_features=[])
    else:
        family = models.family(model)
        known = {name: one for name, one in declared(family.settings).items() if name not in COMMON}
        kept = {*known}
        rest = {name: values_of(one).filter(bool) for name, one in known.items() if name not in own}
        chosen = draw(st.fixed_dictionaries({}, optional=rest))
        values |= {"settings": {name: str(value) for name, value in chosen.items()}}
        values["budget_seconds"] = None
        if not family.has_vectors:
            values["users_by"] = "auto"
        if not family.uses_features:
            data = replace(data, item_features=[], user_features=[])
            values["warm_start"] = False
        own["sample_weights"] &= family.uses_weights
    own |= {name: None for name in own if name not in {*COMMON, *kept}}
    own["sample_weights"] &= own["loss"] != "warp-kos"
    return TrainingSpec(
        **values,
        data=data,
        hyperparameters=GivenHyperparameters(**own),
        label=label,
        gates=draw(some_gates()),
    )
