"""What can go wrong with the log of appended interactions."""

from __future__ import annotations

from pathlib import Path

from trainer.errors import TrainerError


class EventLogError(TrainerError):
    """The log can't be written or read: a full disk, another writer, a damaged file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class InvalidEventError(TrainerError):
    """An event that can't be kept. `position` counts from 0 in its batch, `field` is one of Event's."""

    def __init__(self, position: int, field: str, reason: str) -> None:
        super().__init__(f"events[{position}].{field}: {reason}; nothing of this batch was kept")
        self.position = position
        self.field = field
        self.reason = reason


class InvalidSelectionError(TrainerError):
    """A selection of events that can't be meant. `field` is one of Selection's."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
