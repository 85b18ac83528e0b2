"""Labels and their history in a store: objects that are moved only if they are what was read.

So two that move one at the same time don't undo each other, without a lock. Where a store has no such
write, a move in between is lost.
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

# Each time one of those at it has had its way, so it is more than there will ever be.
_ATTEMPTS = 30
# A label with some words of somebody's; it is replaced all the same.
_MAX_LABEL_BYTES = 4096
# So much of the history is kept, some thousand moves, and so much is read.
_HISTORY_BYTES = 1 << 16
_MAX_HISTORY_BYTES = 1 << 22


def read_label(store: Store, label: str) -> str:
    """The version that a label names; LabelError, StoreError: as publication.labels.read_label."""
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
    """The labels of one store; `has_version` tells whether it has a version. Safe for threads."""

    def __init__(self, store: Store, has_version: Callable[[str], bool]) -> None:
        self._store = store
        self._has_version = has_version

    def read_label(self, label: str) -> str:
        """The version that a label names; raises as the function `read_label`."""
        return read_label(self._store, label)

    def list_labels(self, *, strict: bool = False) -> dict[str, str]:  # noqa: ARG002 - it always is
        """All labels whose text is a version's name, sorted, and what they name; raises StoreError."""
        found = {}
        for key in sorted(self._store.objects(layout.LABELS)):
            name = key.removeprefix(f"{layout.LABELS}/")
            if layout.is_label_name(name):
                with contextlib.suppress(LabelError):
                    found[name] = self.read_label(name)
        return found

    def promote(self, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
        """Make a label name a version, and return what it named before."""
        return self._move_over(version, label, "promote")

    def swap(self, version: str, *, label: str, expected: str | None, verb: Verb) -> None:
        """Make a label name a version if it still names the expected one, or raise LabelMovedError."""
        self._move_over(version, label, verb, expected)

    def rollback_target(self, *, label: str = layout.DEFAULT_LABEL) -> str:
        """The version that a label named before; raises as publication.labels.rollback_target."""
        labels.check_name(label)
        try:
            history, _ = self._store.read(_history_key(label), at_most=_MAX_HISTORY_BYTES)
        except ObjectMissingError:
            history = b""
        current, _ = self._look(label)
        return labels.earlier(label, history, current, self._has_version)

    def _move_over(self, version: str, label: str, verb: Verb, *expected: str | None) -> str | None:
        """Move a label, from what is expected if anything is; returns what it named."""
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
        raise StoreError(where, f"others moved it {_ATTEMPTS} times meanwhile: try again")

    def _look(self, label: str) -> tuple[str | None, Mark | None]:
        """What a label names, if anything, and the object's mark, if there is one."""
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
        """Move a label that has this mark; returns whether that was so."""
        try:
            self._store.write_if(_label_key(label), version.encode() + b"\n", mark)
        except ConflictError:
            # The answer to a write that succeeded may have got lost, and then it was tried again.
            if self._look(label)[0] != version:
                return False
        # Who deletes a version takes its manifest away and then looks at the labels once more, so one
        # of the two notices the other.
        if not self._has_version(version):
            found, mark = self._look(label)
            # With nothing before it stays: nothing can be removed only if it is what was read.
            if found == version and previous is not None:
                with contextlib.suppress(ConflictError):
                    self._store.write_if(_label_key(label), previous.encode() + b"\n", mark)
            raise VersionNotFoundError(version, str(self._store))
        self._note(label, verb, version)
        return True

    def _note(self, label: str, verb: Verb, version: str) -> None:
        """Add a move to the history; the label has moved, so whatever happens here is only told."""
        key, problem = _history_key(label), "others write it all the time"
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
        _log.warning("label %r names %s, but its history doesn't say so: %s", label, version, problem)


def _latest(history: bytes) -> bytes:
    if len(history) <= _HISTORY_BYTES:
        return history
    return history[history.find(b"\n", len(history) - _HISTORY_BYTES) :]


def _label_key(label: str) -> str:
    return f"{layout.LABELS}/{label}"


def _history_key(label: str) -> str:
    return f"{layout.LABEL_HISTORY}/{label}"
