"""What has to hold before a label is moved to a version, for whatever made the version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from publication.errors import LabelMovedError
from publication.volume import Volume
from trainer import continuity, gates
from trainer.content import Content, content_of
from trainer.errors import DiscontinuityError
from trainer.gates import GateResult, Gates
from trainer.measurement import measure
from trainer.predecessor import Predecessor
from trainer.publishing import Published


@dataclass(frozen=True)
class Expected:
    """What a label named when a version was compared with it; None for nothing."""

    version: str | None


@dataclass(frozen=True)
class Checked(Published):
    """What was published, and how it did at the gates.

    `expected` is what the label has to name still when it is moved; None where nothing was compared.
    """

    gates: list[GateResult]
    expected: Expected | None = field(default=None, kw_only=True)

    @property
    def passed(self) -> bool:
        """Whether it passed every gate."""
        return all(gate.passed for gate in self.gates)


_Checked = TypeVar("_Checked", bound=Checked)


def check_content(
    now: Content,
    before: Predecessor,
    wanted: Gates,
    *,
    label: str | None = None,
    warnings: Sequence[str] = (),
    max_shrinkage: float | None = None,
    seed: int = 0,
) -> tuple[list[GateResult], list[str]]:
    """Hold what a version is to be made of against the one that it is to replace.

    Args:
        now: of the new version.
        before: what the label names.
        wanted: what is asked for, and allowed.
        label: that is to be moved.
        warnings: of the input, which tell why too little is kept.
        max_shrinkage: see continuity.check.
        seed: of what is drawn.

    Returns:
        The results, and further warnings. All have passed, unless the version can't be read.

    Raises:
        DiscontinuityError: too little is kept.
    """
    if before.publication is None:
        text = (
            f"nothing tells what is kept of version {before.version or '(unknown)'}, which label "
            f"{before.label!r} names: {before.problem}"
        )
        if wanted.allow_different_data:
            text += ", which --allow-different-data allows"
        return [GateResult("predecessor", wanted.allow_different_data, None, 1.0, text)], []
    results, odd = continuity.check(
        content_of(before.publication),
        now,
        wanted,
        version=before.version,
        max_shrinkage=max_shrinkage,
        seed=seed,
    )
    if failed := [own for own in results if not own.passed]:
        raise DiscontinuityError(before.label, before.version, failed, wanted=label, warnings=warnings)
    return results, odd


def check_version(
    volume: Path, version: str, before: Predecessor | None, wanted: Gates, *, seed: int
) -> tuple[list[GateResult], list[str]]:
    """Hold a published version against the gates, and warn of what passes but is worse for certain.

    Raises:
        PublicationError: it can't be read.
    """
    measured = measure(volume, version, gates=wanted, before=before, seed=seed)
    return gates.check(wanted, measured), gates.doubts(measured)


def promote_if_passed(volume: Volume, result: _Checked, *, label: str | None) -> _Checked:
    """Move the label if every gate passed; raises PublicationError."""
    if label is None or not result.passed:
        return result
    if (moved := move_label(volume, result.manifest.version, label, result.expected)) is not None:
        return replace(result, gates=[*result.gates, moved])
    return replace(result, label=label)


def move_label(
    volume: Volume, version: str, label: str, expected: Expected | None
) -> GateResult | None:
    """Move a label to a version that passed, unless another one has come in between.

    Returns:
        None when it is moved; else a gate that failed.

    Raises:
        PublicationError: it can't be moved.
    """
    if expected is None:
        volume.promote(version, label=label)
        return None
    try:
        volume.swap(version, label=label, expected=expected.version, verb="promote")
    except LabelMovedError as error:
        text = (
            f"{error}: this version was compared with another one; train again, or promote it by hand"
        )
        return GateResult("label", False, None, 1.0, text)
    return None


def expected_of(before: Predecessor | None) -> Expected:
    """What the label named when it was looked at."""
    return Expected(None if before is None else before.expected)
