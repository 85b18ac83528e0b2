"""Errors of the event log."""

from __future__ import annotations

from pathlib import Path

from trainer.errors import TrainerError


class EventLogError(TrainerError):
    """The event log can't be read or written: the disk is full or a file is damaged, for instance."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class InvalidEventError(TrainerError):
    """An event isn't valid. `position` is its place in the batch, from 0; `field` is Event's."""

    def __init__(self, position: int, field: str, reason: str) -> None:
        super().__init__(f"events[{position}].{field}: {reason}; no event of this batch was stored")
        self.position = position
        self.field = field
        self.reason = reason


class InvalidSelectionError(TrainerError):
    """A selection has a wrong value. `field` is the name of the attribute."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
