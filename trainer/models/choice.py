"""Define the options that choose a family of models, and refuse options that it lacks."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Mapping
from typing import Protocol, get_args

from lightfm_retriever.hosting.options import Option
from trainer.durations import parse_duration
from trainer.errors import OptionError
from trainer.models import AUTO, LIGHTFM, NAMES, family, settings_of
from trainer.models.given import GivenHyperparameters, UsersBy

_GROUP = "hyperparameters"

SEARCH, UNASKED_SEARCH = 300.0, 60.0
"""The defaults of --budget in seconds: of --model auto, and of a search that nobody asked for."""


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ArgumentTypeError(f"{text!r} should be NAME=VALUE, such as l2=500")
    return name.strip(), value.strip()


def _duration(text: str) -> float:
    try:
        return parse_duration(text, option="--budget").total_seconds()
    except OptionError as error:
        raise ArgumentTypeError(f"{text!r} should be {error.expected}") from error


MODEL = Option(
    f"{', '.join(NAMES)}, or {AUTO} to search for the best (default: {AUTO}; {LIGHTFM} with features "
    "or its own options)",
    choices=(*NAMES, AUTO),
    metavar="NAME",
    group=_GROUP,
)
USERS_BY = Option(
    "vectors of users: trained, by fold-in of their items, or the better on a validation split",
    choices=get_args(UsersBy),
    group=_GROUP,
)
SETTINGS = Option(
    "a setting of the model; repeatable; see 'models'",
    flag="set",
    group=_GROUP,
    metavar="NAME=VALUE",
    read=_pair,
    repeated=True,
)
BUDGET = Option(
    f"time to search and fit with --model {AUTO} (default: 5m; 1m without --model)",
    flag="budget",
    gt=0,
    le=7 * 86400,
    group=_GROUP,
    metavar="DURATION",
    read=_duration,
)


class ModelOptions(Protocol):
    """The options of a spec that choose a model; see TrainingSpec."""

    @property
    def model(self) -> str | None:
        """Return the name of a family, or "auto"; None if nobody asked for one."""

    @property
    def hyperparameters(self) -> GivenHyperparameters:
        """Return the hyperparameters with a flag."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Return the settings of the family."""

    @property
    def budget_seconds(self) -> float | None:
        """Return the time of a search."""

    @property
    def users_by(self) -> str:
        """Return how users are represented."""


def family_of(choice: ModelOptions, learning: Mapping[str, str | bool]) -> str:
    """Return the family of models, or "auto".

    If nobody asked for one, it is LightFM if something is given that LightFM has, as before there were
    others.

    Args:
        choice: the options.
        learning: the values of --item-features, --user-features and --warm-start, by flag.
    """
    if choice.model is not None:
        return choice.model
    given = choice.settings or choice.hyperparameters.own() or any(learning.values())
    return LIGHTFM if given else AUTO


def refuse_what_it_lacks(choice: ModelOptions, learning: Mapping[str, str | bool]) -> None:
    """Raise OptionError for an option that has no effect with the family; see family_of."""
    model = family_of(choice, learning)
    if model == AUTO:
        given = choice.hyperparameters.own()
        own: dict[str, object] = {f"--{name.replace('_', '-')}": value for name, value in given.items()}
        if choice.settings:
            own["--set"] = ",".join(f"{name}={value}" for name, value in choice.settings.items())
        if learning["--warm-start"]:
            own["--warm-start"] = True
        for flag, value in own.items():
            raise OptionError(flag, value, f"left out with --model {AUTO}, which searches")
        return
    chosen = family(model)
    settings_of(chosen, choice.hyperparameters, choice.settings)
    if choice.budget_seconds is not None:
        raise OptionError("--budget", f"{choice.budget_seconds:g}s", f"used with --model {AUTO}")
    if choice.users_by != "auto" and not chosen.has_vectors:
        raise OptionError("--users-by", choice.users_by, f"left out with --model {model}")
    if chosen.uses_features:
        return
    for flag, value in learning.items():
        if value:
            noun = "can't continue a training" if value is True else "doesn't learn from features"
            raise OptionError(flag, value, f"left out with --model {model}, which {noun}")
