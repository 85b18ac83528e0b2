"""The result of a publication: the version, its gates and the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightfm_workbench.frame import Frame
from lightfm_workbench.volume import Version, Volume

if TYPE_CHECKING:
    from lightfm_retriever.publication.manifest import Manifest
    from trainer.promotion.checks import Checked
    from trainer.promotion.gates import GateResult


@dataclass(frozen=True)
class PublishResult:
    """The result of a publication.

    Attributes:
        volume: where it was published.
        checked: the result of `lightfm-trainer train`: manifest, gates, warnings and seconds by stage.
    """

    volume: Volume
    checked: Checked

    @property
    def version(self) -> str:
        """Return the name of the version."""
        return self.checked.manifest.version

    @property
    def manifest(self) -> Manifest:
        """Return all facts about the version."""
        return self.checked.manifest

    @property
    def passed(self) -> bool:
        """Return whether the version passed every gate."""
        return self.checked.passed

    @property
    def label_moved(self) -> str | None:
        """Return the label that names the version now; None if none moved."""
        return self.checked.label

    @property
    def warnings(self) -> list[str]:
        """Return what looks wrong, one sentence each."""
        return [*self.checked.warnings]

    def gates(self) -> Frame:
        """Return a row for each gate: name, passed, measured, required and text."""
        import pyarrow as pa

        types = {
            "name": pa.string(),
            "passed": pa.bool_(),
            "measured": pa.float64(),
            "required": pa.float64(),
            "text": pa.string(),
        }
        own: list[GateResult] = self.checked.gates
        return Frame.of_rows([{name: vars(gate)[name] for name in types} for gate in own], types)

    def open(self) -> Version:
        """Open the version in this process."""
        return self.volume.version(self.version)

    def __repr__(self) -> str:
        """Name the version and the failed gates."""
        failed = [gate.name for gate in self.checked.gates if not gate.passed]
        told = f"label {self.label_moved!r} moved" if self.label_moved else "no label moved"
        told += f"; failed gates: {', '.join(failed)}" if failed else ""
        return f"<published {self.version}: {told}>"
