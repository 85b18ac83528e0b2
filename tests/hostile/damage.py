"""Kinds of damage, and the grammar of cases: one or two damages to a good input, written somehow.

A kind is a function that changes a draft and returns a pattern of the cause: one of its words has to be
in the error or the warning by which the trainer refuses or tells of the damage. Words that any message
could hold by chance are no pattern.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from random import Random
from typing import Any

from tests.hostile.draft import ALL, LOG, Draft
from tests.hostile.good import IDS
from tests.hostile.writing import TABLES

KINDS: dict[str, Kind] = {}
"""All kinds by name; `grammar` fills it."""


@dataclass(frozen=True)
class Kind:
    """A kind of damage.

    Attributes:
        name: in words.
        apply: changes a draft by the parameters, and returns the pattern of the cause.
        sources: in which it can be, the plainest first; see writing.SOURCES.
        styles: of ids that it can happen to.
        recipes: by which it tells; see good.RECIPES.
        parameters: values that may be drawn, by name, the plainest first.
        accepted: whether the input is still good, so that a run that refuses it is wrong.
        told: what it says of the parameters for which the run has to fail or warn though users might
            notice nothing: by name the values, all of them.
    """

    name: str
    apply: Callable[..., str]
    sources: Sequence[str]
    styles: Sequence[str]
    recipes: Sequence[str]
    parameters: Mapping[str, Sequence[Any]]
    accepted: bool
    told: Mapping[str, Collection[Any]] | None


def kind(
    name: str,
    *,
    sources: Sequence[str] = TABLES,
    styles: Sequence[str] = tuple(IDS),
    recipes: Sequence[str] = ("plain",),
    accepted: bool = False,
    told: Mapping[str, Collection[Any]] | None = None,
    **parameters: Sequence[Any],
) -> Callable[[Callable[..., str]], Callable[..., str]]:
    def register(apply: Callable[..., str]) -> Callable[..., str]:
        KINDS[name] = Kind(name, apply, sources, styles, recipes, parameters, accepted, told)
        return apply

    return register


def changes(
    column: str, name: str, change: Callable[..., Any], cause: str, *, table: str = LOG, **options: Any
) -> None:
    """Register a kind that changes values of a column, or of its `side`, in its `share` of the rows."""

    def apply(draft: Draft, *, share: str = ALL, side: str = column, **parameters: Any) -> str:
        for own in ("user_id", "item_id") if side == "both" else (side,):
            draft.change(own, share, partial(change, **parameters), table=table)
        return cause

    kind(name, **options)(apply)


def rewrites(
    name: str, rewrite: Callable[..., bytes], cause: str, *, table: str = LOG, **options: Any
) -> None:
    """Register a kind that changes the bytes of a table's first file."""

    def apply(draft: Draft, **parameters: Any) -> str:
        draft.as_bytes(partial(rewrite, **parameters), table=table)
        return cause

    kind(name, **options)(apply)


@dataclass(frozen=True)
class Damage:
    """A kind with its parameters."""

    kind: str
    parameters: Mapping[str, Any]
    recipe: str = "plain"


@dataclass(frozen=True)
class Case:
    """One input: plain data, so that what is printed is enough to repeat it."""

    source: str
    style: str
    damages: tuple[Damage, ...]
    seed: int = 0

    def text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def parse(cls, text: str) -> Case:
        content = json.loads(text)
        damages = tuple(Damage(**own) for own in content.pop("damages"))
        return cls(**content, damages=damages)

    @property
    def kinds(self) -> list[Kind]:
        return [KINDS[own.kind] for own in self.damages]

    @property
    def accepted(self) -> bool:
        # What is good alone may not go together, such as ids as text and as integers.
        return len(self.kinds) == 1 and self.kinds[0].accepted

    @property
    def told(self) -> bool:
        if len(self.damages) != 1 or self.kinds[0].told is None:
            return False
        given = self.damages[0].parameters
        return all(given[name] in values for name, values in self.kinds[0].told.items())


def apply(case: Case, draft: Draft) -> list[str]:
    draft.recipes = list(dict.fromkeys(own.recipe for own in case.damages if own.recipe != "plain"))
    return [KINDS[own.kind].apply(draft, **own.parameters) for own in case.damages]


def plainest(own: Kind) -> Case:
    """The case of a kind that tells most, always the same."""
    parameters = {name: values[0] for name, values in own.parameters.items()}
    return Case(own.sources[0], own.styles[0], (Damage(own.name, parameters, own.recipes[0]),))


def drawn(random: Random, kinds: Sequence[Kind]) -> Case:
    """A case of one kind, or of two that go together."""
    chosen = [random.choice(kinds)]
    one = chosen[0]
    fit = [own for own in kinds if _common([one.sources, own.sources])]
    others = [own for own in fit if own is not one and _common([one.styles, own.styles])]
    if others and random.random() < 0.5:
        chosen.append(random.choice(others))
    source = random.choice(_common([own.sources for own in chosen]))
    style = random.choice(_common([own.styles for own in chosen]))
    damages = []
    for own in chosen:
        parameters = {name: random.choice(values) for name, values in own.parameters.items()}
        damages.append(Damage(own.name, parameters, random.choice(own.recipes)))
    return Case(source, style, tuple(damages), random.randrange(10))


def _common(lists: Sequence[Sequence[str]]) -> list[str]:
    return [value for value in lists[0] if all(value in others for others in lists)]
