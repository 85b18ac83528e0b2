"""What has to hold before a label is moved to a version, for whatever made the version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from publication.volume import Volume
from trainer import continuity, gates
from trainer.content import Content, content_of
from trainer.errors import DiscontinuityError
from trainer.gates import GateResult, Gates
from trainer.measurement import measure
from trainer.predecessor import Predecessor
from trainer.publishing import Published


@dataclass(frozen=True)
class Checked(Published):
    """What was published, and how it did at the gates."""

    gates: list[GateResult]

    @property
    def passed(self) -> bool:
        """Whether it passed every gate."""
        return all(gate.passed for gate in self.gates)


_Checked = TypeVar("_Checked", bound=Checked)


def check_content(
    now: Content,
    before: Predecessor | None,
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
        before: what the label names; None for nothing.
        wanted: what is asked for, and allowed.
        label: that is to be moved.
        warnings: of the input, which tell why too little is kept.
        max_shrinkage: see continuity.check.
        seed: of what is drawn.

    Returns:
        The results, all passed, and further warnings.

    Raises:
        DiscontinuityError: too little is kept.
    """
    if before is None:
        return [], []
    if before.publication is None:
        problem = f"nothing is compared with what label {before.label!r} names: {before.problem}"
        return [], [problem]
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
    volume.promote(result.manifest.version, label=label)
    return replace(result, label=label)
