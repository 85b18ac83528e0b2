"""Check a version before a label moves to it, whether it was trained or made of own vectors."""

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
    """The version that the label named when the new version was compared; None if it named none."""

    version: str | None


@dataclass(frozen=True)
class Checked(Published):
    """A published version and its results at the gates.

    Attributes:
        gates: the result of each gate.
        expected: the version that the label must still name when it moves; None without a comparison.
        label: the label that moved to the version; None if none did.
    """

    gates: list[GateResult]
    expected: Expected | None = field(default=None, kw_only=True)
    label: str | None = field(default=None, kw_only=True)

    @property
    def passed(self) -> bool:
        """Whether the version passed every gate."""
        return all(gate.passed for gate in self.gates)


_Checked = TypeVar("_Checked", bound=Checked)


class Checks:
    """The checks of one new version, and their results so far."""

    def __init__(
        self, volume: Volume, label: str | None, wanted: Gates, max_shrinkage: float | None, seed: int
    ) -> None:
        """Open the version that `label` names; without a label (None) nothing is compared.

        `max_shrinkage` and `seed` are those of continuity.check.
        """
        self.volume = volume
        self.results: list[GateResult] = []
        self.warnings: list[str] = []
        self._label = label
        self._wanted = wanted
        self._max_shrinkage = max_shrinkage
        self._seed = seed
        self._before = predecessor.find(volume.folder, label)

    def before_training(self, content: Callable[[], Content], warnings: Sequence[str]) -> None:
        """Compare the content of a new version with the version that the label names, if any.

        `content` is called only for a comparison, since it takes memory for a moment. An error also
        shows the `warnings` of the input, since they often name the cause.

        Raises:
            DiscontinuityError: the input keeps too little of the version that the label names.
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
        """Check a published version at the gates, and upload it if the volume is an object store.

        Raises:
            PublicationError: the version can't be read or uploaded.
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
            f"the new version can't be compared with version {before.version or '(unknown)'}, which "
            f"label {before.label!r} names: {before.problem}"
        )
        allowed = self._wanted.allow_different_data
        if allowed:
            text += "; --allow-different-data allows it"
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
    """Move a label to a version that passed, unless the label has moved since the comparison.

    Returns:
        None if the label moved; else the failed gate `label`.

    Raises:
        PublicationError: the label can't be written.
    """
    if expected is None:
        volume.promote(version, label=label)
        return None
    try:
        volume.swap(version, label=label, expected=expected.version, verb="promote")
    except LabelMovedError as error:
        todo = "this version was compared with another version; train again, or promote it by hand"
        return GateResult("label", False, None, 1.0, f"{error}: {todo}")
    return None
