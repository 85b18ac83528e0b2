"""Describe the families of models and their settings, for people and programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lightfm_retriever.hosting.extras import DISTRIBUTION
from lightfm_retriever.hosting.options import declared
from lightfm_retriever.publication.manifest import Scalar
from trainer import models
from trainer.models.given import COMMON, GivenHyperparameters
from trainer.models.protocol import Family, Shape

# A default that differs between these depends on the data.
_SHAPES = (
    Shape(users=50, items=20, positives=200, squares=1_000),
    Shape(users=5_000, items=2_000, positives=20_000, squares=100_000),
    Shape(users=5_000, items=2_000, positives=1_000_000, squares=300_000_000),
    Shape(users=5_000_000, items=1_000_000, positives=100_000_000, squares=5_000_000_000),
)
_TYPES: dict[Any, str] = {int: "integer", float: "number", str: "text", bool: "switch"}


@dataclass(frozen=True, kw_only=True)
class SettingFacts:
    """A setting of a family.

    Attributes:
        type: "integer", "number", "text" or "switch".
        range: the allowed values, in words; "" for any.
        default: None if the family chooses it by the data.
        flag: the way to give it on the command line.
    """

    name: str
    help: str
    type: str
    range: str
    default: Scalar | None
    flag: str


@dataclass(frozen=True, kw_only=True)
class FamilyFacts:
    """A family; see trainer.models.protocol for its properties."""

    name: str
    told: str
    installed: bool
    has_vectors: bool
    uses_features: bool
    uses_weights: bool
    extra: str
    settings: list[SettingFacts]


def described() -> list[FamilyFacts]:
    """Describe all families, in the order of the registry."""
    return [_family(models.family(name)) for name in models.NAMES]


def table(families: list[FamilyFacts]) -> str:
    """Write the families for people."""
    blocks = []
    for own in families:
        traits = [
            "vectors" if own.has_vectors else "neighbours",
            *(["features"] * own.uses_features),
            *(["weights"] * own.uses_weights),
        ]
        lines = [f"{own.name}: {own.told}", f"  has: {', '.join(traits)}"]
        if not own.installed:
            lines.append(f"  isn't installed: pip install '{DISTRIBUTION}[{own.extra}]'")
        flags = [f"{one.flag} {_expected(one)}".rstrip() for one in own.settings]
        widest = max(map(len, flags), default=0)
        for one, flag in zip(own.settings, flags, strict=True):
            default = "by the data" if one.default is None else str(one.default)
            lines.append(f"  {flag:<{widest}}  {one.help} (default: {default})")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def as_json(families: list[FamilyFacts]) -> dict[str, Any]:
    """Return the families for programs."""
    return {"models": [asdict(own) for own in families], "default": models.AUTO}


def _family(own: Family) -> FamilyFacts:
    defaults = [own.default(shape) for shape in _SHAPES]
    with_flag = declared(GivenHyperparameters)
    kind: Any = own.settings
    settings = []
    for name, one in declared(kind).items():
        if name in COMMON:
            continue
        values = {getattr(made, name) for made in defaults}
        settings.append(
            SettingFacts(
                name=name,
                help=one.option.help.partition(" (default: ")[0],
                type=_TYPES[one.kind],
                range=one.option.told(),
                default=values.pop() if len(values) == 1 else None,
                flag=with_flag[name].flag if name in with_flag else f"--set {name}",
            )
        )
    return FamilyFacts(
        name=own.name,
        told=own.told,
        installed=own.is_installed(),
        has_vectors=own.has_vectors,
        uses_features=own.uses_features,
        uses_weights=own.uses_weights,
        extra=own.extra,
        settings=settings,
    )


def _expected(one: SettingFacts) -> str:
    return one.range.removeprefix("one of ").removeprefix("in ") or one.type
