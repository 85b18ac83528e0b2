"""Find the version that a new version will replace."""

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
    """The version that a label names before it moves.

    Attributes:
        label: the label that names the version.
        expected: the version that the label to be moved names; None if it names none yet.
        version: the name of the version; "" if the label can't be read.
        publication: the opened version, with every byte verified; None if it can't be used.
        problem: why the version can't be used; "" if it can.
    """

    label: str
    expected: str | None
    version: str
    publication: Publication | None = None
    problem: str = ""


def labels_of(label: str | None) -> list[str]:
    """Return the labels to look at for the predecessor, in order; [] without a label.

    A canary is compared with the default label, since it is meant to replace that version.
    """
    if label is None:
        return []
    first = [layout.DEFAULT_LABEL, label] if label == CANARY else [label, layout.DEFAULT_LABEL]
    return [*dict.fromkeys(first)]


@contextlib.contextmanager
def followed(volume: Volume, label: str | None) -> Iterator[None]:
    """Keep the versions of these labels in the local cache of the volume, within the block."""
    with contextlib.ExitStack() as stack:
        for name in labels_of(label):
            # A broken label must not prevent a publication that could replace it.
            with contextlib.suppress(LabelError):
                stack.enter_context(volume.followed(name))
        yield


def find(volume: Path, label: str | None) -> Predecessor | None:
    """Open the version that a label names or, if it names none yet, that of the default label.

    Returns:
        None if no label will move, or no label names a version yet.
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
            # A damaged id map may crash the process that reads it, so verify first.
            verification.verify(volume, version)
            return Predecessor(name, expected, version, reader.open_publication(volume, version))
        except PublicationError as error:
            return Predecessor(name, expected, version, problem=str(error))
    return None
