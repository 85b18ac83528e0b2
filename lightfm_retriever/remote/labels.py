"""Labels and their histories in a store, replaced only if they are still as they were read.

So two processes that move a label at the same time don't undo each other's move, without a lock. If a
store doesn't support such a write, one of two simultaneous moves may be lost.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.errors import LabelError, LabelMovedError, VersionNotFoundError
from lightfm_retriever.publication.labels import Verb
from lightfm_retriever.remote.errors import ConflictError, ObjectMissingError, StoreError
from lightfm_retriever.remote.store import Mark, Store

_log = logging.getLogger(__name__)

# In each attempt one of the competing writers succeeds, so this is enough for many writers.
_ATTEMPTS = 30
# A label object that was edited by hand may be larger than a name; it is replaced all the same.
_MAX_LABEL_BYTES = 4096
# The bytes of history to keep, for some thousand moves, and to read.
_HISTORY_BYTES = 1 << 16
_MAX_HISTORY_BYTES = 1 << 22


def read_label(store: Store, label: str) -> str:
    """Return the version that a label names. Raises LabelError and StoreError."""
    labels.check_name(label)
    key = _label_key(label)
    try:
        content, _ = store.read(key, at_most=_MAX_LABEL_BYTES)
    except ObjectMissingError as error:
        raise LabelError(
            label, f"nothing is published under it: {store.where(key)} doesn't exist"
        ) from error
    return labels.parse(label, content, where=store.where(key))


class StoreLabels:
    """The labels of one store. `has_version` says whether it has a version. Threads may share it."""

    def __init__(self, store: Store, has_version: Callable[[str], bool]) -> None:
        self._store = store
        self._has_version = has_version

    def read_label(self, label: str) -> str:
        """Return the version that a label names. Raises the errors of the function `read_label`."""
        return read_label(self._store, label)

    def list_labels(self, *, strict: bool = False) -> dict[str, str]:  # noqa: ARG002 - it always is
        """Return all labels that contain a version name, sorted, and their versions."""
        found = {}
        for key in sorted(self._store.objects(layout.LABELS)):
            name = key.removeprefix(f"{layout.LABELS}/")
            if layout.is_label_name(name):
                with contextlib.suppress(LabelError):
                    found[name] = self.read_label(name)
        return found

    def promote(self, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
        """Move a label to a version, and return the version that it named before."""
        return self._move_over(version, label, "promote")

    def swap(self, version: str, *, label: str, expected: str | None, verb: Verb) -> None:
        """Move a label to a version if it still names the expected one; else raise LabelMovedError."""
        self._move_over(version, label, verb, expected)

    def rollback_target(self, *, label: str = layout.DEFAULT_LABEL) -> str:
        """Return the version to roll back to; see publication.labels.rollback_target."""
        labels.check_name(label)
        try:
            history, _ = self._store.read(_history_key(label), at_most=_MAX_HISTORY_BYTES)
        except ObjectMissingError:
            history = b""
        current, _ = self._look(label)
        return labels.earlier(label, history, current, self._has_version)

    def _move_over(self, version: str, label: str, verb: Verb, *expected: str | None) -> str | None:
        """Move a label, from the expected version if one is given; returns the version it named."""
        labels.check_name(label)
        for _ in range(_ATTEMPTS):
            if not self._has_version(version):
                raise VersionNotFoundError(version, str(self._store))
            found, mark = self._look(label)
            if expected and found != expected[0]:
                raise LabelMovedError(label, expected=expected[0], found=found)
            if self._move(label, found, mark, version, verb):
                return found
        where = self._store.where(_label_key(label))
        raise StoreError(where, f"other processes moved it {_ATTEMPTS} times meanwhile: try again")

    def _look(self, label: str) -> tuple[str | None, Mark | None]:
        """Return the version that a label names and the mark of its object, each None for none."""
        key = _label_key(label)
        try:
            content, mark = self._store.read(key, at_most=_MAX_LABEL_BYTES)
        except ObjectMissingError:
            return None, None
        try:
            return labels.parse(label, content, where=self._store.where(key)), mark
        except LabelError:
            return None, mark

    def _move(
        self, label: str, previous: str | None, mark: Mark | None, version: str, verb: Verb
    ) -> bool:
        """Move a label if its object still has this mark, and return whether it had."""
        try:
            self._store.write_if(_label_key(label), version.encode() + b"\n", mark)
        except ConflictError:
            # The write may have succeeded, but its answer got lost, and the write was retried.
            if self._look(label)[0] != version:
                return False
        # Deleting a version removes its manifest and then checks the labels again. So one of the two
        # processes notices the other.
        if not self._has_version(version):
            found, mark = self._look(label)
            # If the label didn't exist before, it stays: stores have no conditional delete.
            if found == version and previous is not None:
                with contextlib.suppress(ConflictError):
                    self._store.write_if(_label_key(label), previous.encode() + b"\n", mark)
            raise VersionNotFoundError(version, str(self._store))
        self._note(label, verb, version)
        return True

    def _note(self, label: str, verb: Verb, version: str) -> None:
        """Add a move to the history. The label has moved already, so an error is only logged."""
        key, problem = _history_key(label), "other processes keep changing it"
        try:
            for _ in range(_ATTEMPTS):
                try:
                    history, mark = self._store.read(key, at_most=_MAX_HISTORY_BYTES)
                except ObjectMissingError:
                    history, mark = b"", None
                with contextlib.suppress(ConflictError):
                    self._store.write_if(key, _latest(history) + labels.note(verb, version), mark)
                    return
        except StoreError as error:
            problem = str(error)
        _log.warning(
            "label %r names version %s, but the move isn't in its history: %s", label, version, problem
        )


def _latest(history: bytes) -> bytes:
    if len(history) <= _HISTORY_BYTES:
        return history
    return history[history.find(b"\n", len(history) - _HISTORY_BYTES) :]


def _label_key(label: str) -> str:
    return f"{layout.LABELS}/{label}"


def _history_key(label: str) -> str:
    return f"{layout.LABEL_HISTORY}/{label}"
