"""Define the options that choose a family of models, and refuse what the family doesn't have."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Mapping

from lightfm_retriever.hosting.options import Option
from trainer.durations import parse_duration
from trainer.errors import OptionError
from trainer.models import AUTO, NAMES, family, settings_of
from trainer.models.given import GivenHyperparameters

_GROUP = "hyperparameters"


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
    f"{', '.join(NAMES)}, or {AUTO} to search for the best",
    choices=(*NAMES, AUTO),
    metavar="NAME",
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
    f"longest search of --model {AUTO} (default: 5m)",
    flag="budget",
    gt=0,
    le=7 * 86400,
    group=_GROUP,
    metavar="DURATION",
    read=_duration,
)


def refuse_what_it_lacks(
    model: str,
    hyperparameters: GivenHyperparameters,
    settings: Mapping[str, str],
    budget_seconds: float | None,
    learning: Mapping[str, str | bool],
) -> None:
    """Raise OptionError for an option that has no effect with a family.

    Args:
        model, hyperparameters, settings, budget_seconds: as in TrainingSpec.
        learning: the values of --item-features, --user-features and --warm-start, by flag.
    """
    if model == AUTO:
        own = {f"--{name.replace('_', '-')}": value for name, value in hyperparameters.own().items()}
        if settings:
            own["--set"] = ",".join(f"{name}={value}" for name, value in settings.items())
        if learning["--warm-start"]:
            own["--warm-start"] = True
        for flag, value in own.items():
            raise OptionError(flag, value, f"left out with --model {AUTO}, which searches")
        return
    chosen = family(model)
    settings_of(chosen, hyperparameters, settings)
    if budget_seconds is not None:
        raise OptionError("--budget", f"{budget_seconds:g}s", f"used with --model {AUTO}")
    if chosen.uses_features:
        return
    for flag, value in learning.items():
        if value:
            noun = "can't continue a training" if value is True else "doesn't learn from features"
            raise OptionError(flag, value, f"left out with --model {model}, which {noun}")
