"""The version that a new one is to replace."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lightfm_retriever.publication import labels, layout, reader, verification
from lightfm_retriever.publication.errors import LabelError, PublicationError
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.volume import Volume

CANARY = "canary"
"""The label that --canary moves."""


@dataclass(frozen=True)
class Predecessor:
    """What a label names before it is moved.

    Attributes:
        label: that names it.
        expected: what the label that is to be moved names itself; None for nothing yet.
        version: its name; empty when the label can't be read.
        publication: opened, every byte verified; None when it can't be used.
        problem: why it can't be used; empty when it can.
    """

    label: str
    expected: str | None
    version: str
    publication: Publication | None = None
    problem: str = ""


def labels_of(label: str | None) -> list[str]:
    """The labels that may name it, in the order in which they are asked; none for no label.

    A canary is held against what everybody gets, since it is meant to replace that.
    """
    if label is None:
        return []
    first = [layout.DEFAULT_LABEL, label] if label == CANARY else [label, layout.DEFAULT_LABEL]
    return [*dict.fromkeys(first)]


@contextlib.contextmanager
def followed(volume: Volume, label: str | None) -> Iterator[None]:
    """Keep here, within the block, what the labels name that may name it."""
    with contextlib.ExitStack() as stack:
        for name in labels_of(label):
            # What is wrong with a label is no reason not to publish what it could name next.
            with contextlib.suppress(LabelError):
                stack.enter_context(volume.followed(name))
        yield


def find(volume: Path, label: str | None) -> Predecessor | None:
    """Open what a label names or, where it names nothing yet, what the default label names.

    None when there is nothing to replace, or no label is to be moved.
    """
    if label is None:
        return None
    expected = labels.read_label_or_none(volume, label)
    for name in labels_of(label):
        try:
            version = labels.read_label(volume, name)
        except LabelError as error:
            version = labels.last_named(volume, name) or ""
            if isinstance(error.__cause__, FileNotFoundError) and not version:
                continue
            return Predecessor(name, expected, version, problem=str(error))
        try:
            # A damaged id map may crash the process that asks it.
            verification.verify(volume, version)
            return Predecessor(name, expected, version, reader.open_publication(volume, version))
        except PublicationError as error:
            return Predecessor(name, expected, version, problem=str(error))
    return None
