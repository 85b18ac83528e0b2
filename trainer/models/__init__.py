"""Fit models of several families; docs/how-to/add-a-model-family.md says how to add one.

A family has one file here, and a line in the registry.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.options import Declared, declared
from lightfm_retriever.publication.manifest import Scalar
from trainer.errors import ExtraMissingError, OptionError
from trainer.models.given import COMMON, GivenHyperparameters
from trainer.models.protocol import Family

# Name: module and class. Their libraries are imported when a model is fitted.
FAMILIES = {
    "lightfm": ("trainer.models.lightfm", "LightFm"),
    "als": ("trainer.models.als", "Als"),
    "bpr": ("trainer.models.bpr", "Bpr"),
    "ease": ("trainer.models.ease", "Ease"),
    "item-knn": ("trainer.models.item_knn", "ItemKnn"),
}
NAMES = tuple(FAMILIES)
LIGHTFM = "lightfm"
AUTO = "auto"

# The types of a setting, in plain words; a setting of another type can't be given by a text.
_NOUNS: dict[Any, str] = {int: "a whole number", float: "a number", str: "", bool: "true or false"}
_SWITCH = {"true": True, "false": False}


def family(name: str) -> Family:
    """Return a family by its name, one of NAMES."""
    module, of = FAMILIES[name]
    return cast("Family", getattr(importlib.import_module(module), of)())


def check_installed(name: str) -> None:
    """Raise ExtraMissingError if the package of a family isn't installed."""
    # A search leaves such families out.
    if name == AUTO:
        return
    own = family(name)
    if not own.is_installed():
        raise ExtraMissingError(f"--model {name}", own.extra, own.package)


def settings_of(
    chosen: Family, hyperparameters: GivenHyperparameters, settings: Mapping[str, str]
) -> dict[str, Scalar]:
    """Return the settings that a user gave to a family, by name.

    Args:
        chosen: the family.
        hyperparameters: those with a flag.
        settings: texts of `--set`, by name.

    Raises:
        OptionError: the family doesn't have one of them, or a value is out of range.
    """
    of: Any = chosen.settings
    known = {name: one for name, one in declared(of).items() if name not in COMMON}
    given = hyperparameters.own()
    for name, value in given.items():
        if name not in known:
            raise OptionError(
                f"--{name.replace('_', '-')}", value, f"left out with --model {chosen.name}"
            )
    for name, text in settings.items():
        if (one := known.get(name)) is None:
            hint = words.meant(name, known)
            expected = f"one of {', '.join(known)} with --model {chosen.name}"
            raise OptionError("--set", f"{name}={text}", expected + f"; {hint}" * bool(hint))
        if name in given:
            raise OptionError("--set", f"{name}={text}", f"left out, since {one.flag} is given")
        given[name] = _value(one, text)
    if hyperparameters.sample_weights and not chosen.uses_weights:
        raise OptionError("--sample-weights", True, f"left out with --model {chosen.name}")
    # The dataclass checks the ranges.
    chosen.settings(**given)
    return given


def _value(one: Declared, text: str) -> Scalar:
    """Convert the text of a setting. Raises OptionError."""
    value: Scalar
    noun = _NOUNS[one.kind]
    try:
        value = _SWITCH[text] if one.kind is bool else one.kind(text)
    except (KeyError, ValueError) as error:
        expected = f"{noun} {one.option.told()}".strip()
        raise OptionError("--set", f"{one.name}={text}", f"{one.name} {expected}") from error
    if (problem := one.option.problem(value)) is not None:
        raise OptionError("--set", f"{one.name}={text}", f"{one.name} {problem}")
    return value
