"""What has to hold before a label is moved to a version, for whatever made the version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from lightfm_retriever.publication.errors import LabelMovedError
from lightfm_retriever.publication.volume import Volume
from trainer.promotion import continuity, judging, predecessor
from trainer.promotion.content import Content, content_of
from trainer.promotion.gates import DiscontinuityError, GateResult, Gates
from trainer.promotion.measurement import measure
from trainer.promotion.predecessor import Predecessor
from trainer.publishing.publish import Published
from trainer.timings import Timings


@dataclass(frozen=True)
class Expected:
    """What a label named when a version was compared with it; None for nothing."""

    version: str | None


@dataclass(frozen=True)
class Checked(Published):
    """What was published, and how it did at the gates.

    Attributes:
        gates: how it did at each.
        expected: what the label has to name still when it is moved; None where nothing was compared.
        label: that was moved to it; None for none.
    """

    gates: list[GateResult]
    expected: Expected | None = field(default=None, kw_only=True)
    label: str | None = field(default=None, kw_only=True)

    @property
    def passed(self) -> bool:
        """Whether it passed every gate."""
        return all(gate.passed for gate in self.gates)


_Checked = TypeVar("_Checked", bound=Checked)


class Checks:
    """What a version in the making is held against, and how it did so far."""

    def __init__(
        self, volume: Volume, label: str | None, wanted: Gates, max_shrinkage: float | None, seed: int
    ) -> None:
        """Open what the label names that is to be moved, None for none; see continuity.check."""
        self.volume = volume
        self.results: list[GateResult] = []
        self.warnings: list[str] = []
        self._label = label
        self._wanted = wanted
        self._max_shrinkage = max_shrinkage
        self._seed = seed
        self._before = predecessor.find(volume.folder, label)

    def before_training(self, content: Callable[[], Content], warnings: Sequence[str]) -> None:
        """Hold what the version is to be made of against the one that it is to replace, if any.

        `content` is asked for only then, since it takes memory for a moment. The `warnings` of the
        input tell why too little is kept.

        Raises:
            DiscontinuityError: too little is kept.
        """
        if (before := self._before) is None:
            return
        if before.publication is None:
            self.results.append(self._unreadable(before))
            return
        results, odd = continuity.check(
            content_of(before.publication),
            content(),
            self._wanted,
            version=before.version,
            max_shrinkage=self._max_shrinkage,
            seed=self._seed,
        )
        if failed := [own for own in results if not own.passed]:
            raise DiscontinuityError(
                before.label, before.version, failed, wanted=self._label, warnings=warnings
            )
        self.results += results
        self.warnings += odd

    def published(self, published: Published, timings: Timings) -> Checked:
        """Hold a published version against the gates, and upload it where it has to go.

        Raises:
            PublicationError: it can't be read, or not be uploaded.
        """
        version = published.manifest.version
        with timings.stage("gates"):
            measured = measure(
                self.volume.folder, version, gates=self._wanted, before=self._before, seed=self._seed
            )
            self.results += judging.check(self._wanted, measured)
            self.warnings += judging.doubts(measured)
        if self.volume.elsewhere:
            with timings.stage("upload"):
                self.volume.upload(version)
        return Checked(
            manifest=published.manifest,
            seconds=timings.seconds,
            warnings=[*self.warnings, *published.warnings],
            gates=self.results,
            expected=Expected(None if self._before is None else self._before.expected),
        )

    def _unreadable(self, before: Predecessor) -> GateResult:
        text = (
            f"nothing tells what is kept of version {before.version or '(unknown)'}, which label "
            f"{before.label!r} names: {before.problem}"
        )
        allowed = self._wanted.allow_different_data
        if allowed:
            text += ", which --allow-different-data allows"
        return GateResult("predecessor", allowed, None, 1.0, text)


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

    None when it is moved; else a gate that failed. Raises PublicationError when it can't be moved.
    """
    if expected is None:
        volume.promote(version, label=label)
        return None
    try:
        volume.swap(version, label=label, expected=expected.version, verb="promote")
    except LabelMovedError as error:
        todo = "this version was compared with another one; train again, or promote it by hand"
        return GateResult("label", False, None, 1.0, f"{error}: {todo}")
    return None
