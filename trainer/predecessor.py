"""The version that a new one is to replace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from publication import labels, layout, reader
from publication.errors import LabelError, PublicationError
from publication.reader import Publication


@dataclass(frozen=True, kw_only=True)
class Predecessor:
    """What a label names before it is moved.

    Attributes:
        label: that names it.
        version: its name; empty when the label can't be read.
        publication: opened, every byte verified; None when it can't be used.
        problem: why it can't be used; empty when it can.
    """

    label: str
    version: str
    publication: Publication | None = None
    problem: str = ""


def labels_of(label: str | None) -> list[str]:
    """The labels that may name it, in the order in which they are asked; none for no label."""
    return [] if label is None else [*dict.fromkeys([label, layout.DEFAULT_LABEL])]


def find(volume: Path, label: str | None) -> Predecessor | None:
    """Open what a label names or, where it names nothing yet, what the default label names.

    A canary's first version is held against what everybody gets, since it is meant to replace that.

    Args:
        volume: the volume.
        label: that is to be moved; None when none is.

    Returns:
        None when there is nothing to replace.
    """
    for name in labels_of(label):
        try:
            version = labels.read_label(volume, name)
        except LabelError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                continue
            return Predecessor(label=name, version="", problem=str(error))
        try:
            # A damaged id map may crash the process that asks it.
            reader.verify(volume, version)
            opened = reader.open_publication(volume, version)
        except PublicationError as error:
            return Predecessor(label=name, version=version, problem=str(error))
        return Predecessor(label=name, version=version, publication=opened)
    return None
