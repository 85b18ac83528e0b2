"""What keeps a version from being published."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.errors import TrainerError
from trainer.promotion.gates import GateResult


class DiscontinuityError(TrainerError):
    """An input that keeps too little of the version that a label names; `failed` says of what.

    `warnings` are those of the input, which may name the cause.
    """

    def __init__(
        self,
        label: str,
        version: str,
        failed: Sequence[GateResult],
        *,
        wanted: str | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        names = f"label {label!r} names"
        if wanted not in (None, label):
            names += f" and label {wanted!r} is held against"
        todo = "mend the input; for another catalogue, use another volume or --allow-different-data"
        lines = [
            f"nothing was published: too little is kept of version {version}, which {names}",
            *(own.text for own in failed),
            *(f"odd about the input: {warning}" for warning in warnings),
            todo,
        ]
        super().__init__("\n  ".join(lines))
        self.label = label
        self.version = version
        self.failed = list(failed)
