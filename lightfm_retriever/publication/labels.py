"""Labels: small text files, each with the name of a version.

To move a label, the writer replaces its file, so that a reader sees either the old name or the new one.
A second file records the moves, one line each, for rollbacks. A writer holds a lock that all labels of
a volume share; readers need no lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from lightfm_retriever.files.durable import make_directory, write_durably
from lightfm_retriever.files.regular_files import open_descriptor, read_regular
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import (
    LabelError,
    LabelMovedError,
    NothingToRollBackToError,
    VolumeError,
)
from lightfm_retriever.publication.reader import directory_of, has_version

MAX_BYTES = 200
"""Longer than any version name with white space around it."""

Verb = Literal["promote", "rollback"]


def read_label(volume: Path, label: str) -> str:
    """Return the version that a label names. The version needn't exist.

    White space around the name is ignored, so that a label may be edited by hand.

    Raises:
        LabelError: the label is missing or unreadable, or doesn't contain a version name.
    """
    check_name(label)
    path = layout.label_file(volume, label)
    try:
        content = read_regular(path, max_bytes=MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise LabelError(label, f"nothing is published under it: {path} doesn't exist") from error
    except OSError as error:
        raise LabelError(label, f"{path}: {error.strerror or error}") from error
    return parse(label, content, where=path)


def parse(label: str, content: bytes, *, where: Path | str) -> str:
    """Parse the content of a label. Raises LabelError, which says `where` it was read."""
    version = content.decode("ascii", "replace").strip()
    shown = content[:40].decode("utf-8", "replace")
    if len(content) > MAX_BYTES or not layout.is_version_name(version):
        raise LabelError(label, f"{where} should contain a version name, but contains {shown!r}")
    return version


def read_label_or_none(volume: Path, label: str) -> str | None:
    """Return the version that a label names; None if `read_label` fails."""
    try:
        return read_label(volume, label)
    except LabelError:
        return None


def list_labels(volume: Path, *, strict: bool = False) -> dict[str, str]:
    """Return all readable labels, sorted by name, and the versions that they name.

    With `strict`, an existing label that can't be read is an error. A label that doesn't contain a
    version name is always left out.

    Raises:
        VolumeError: the labels, or with `strict` one of them, can't be read.
    """
    try:
        names = sorted(os.listdir(volume / layout.LABELS))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise VolumeError(volume / layout.LABELS, error.strerror or str(error)) from error
    labels = {}
    for name in filter(layout.is_label_name, names):
        try:
            labels[name] = read_label(volume, name)
        except LabelError as error:
            cause = error.__cause__
            # A link to nothing, or to itself, names no version.
            if strict and isinstance(cause, OSError) and cause.errno not in (errno.ENOENT, errno.ELOOP):
                raise VolumeError(layout.label_file(volume, name), error.reason) from error
    return labels


@contextlib.contextmanager
def exclusive(volume: Path, wanted: Path) -> Iterator[None]:
    """Hold the lock for moving labels and deleting versions. Waits for other processes and threads.

    The lock is released when the process ends, in any way. It isn't reentrant. Raises VolumeError with
    path `wanted` if the volume can't be written.
    """
    path = layout.labels_lock(volume)
    with contextlib.ExitStack() as stack:
        try:
            make_directory(path.parent)
            descriptor = open_descriptor(path, os.O_CREAT | os.O_RDWR)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise VolumeError(wanted, f"can't be written: {error.strerror or error}: {path}") from error
        # Unlock explicitly: a child that was forked meanwhile may still have the file open.
        stack.callback(fcntl.flock, descriptor, fcntl.LOCK_UN)
        yield


def promote(volume: Path, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
    """Move a label to a version, and return the version that it named before, None for none.

    The caller must have verified the version.

    Raises:
        LabelError: the label's name isn't valid.
        VersionNotFoundError: the volume has no such version.
        VolumeError: the label can't be written. It still names the same version as before.
    """
    return _move(volume, label, version, "promote")


def swap(volume: Path, version: str, *, label: str, expected: str | None, verb: Verb) -> None:
    """Move a label to a version if it still names the expected version.

    Use this after a long check of the version: it doesn't undo a move of another process in between.
    `expected` is the result of `read_label_or_none` before the check. The history records `verb`:
    "rollback" to a version from `rollback_target`, else "promote".

    Raises:
        LabelMovedError: the label names another version by now.
        LabelError, VersionNotFoundError, VolumeError: as `promote`.
    """
    _move(volume, label, version, verb, expected)


def rollback_target(volume: Path, *, label: str = layout.DEFAULT_LABEL) -> str:
    """Return the version to roll back to: the one that a label named before its last promotion.

    After a rollback it is the version of one promotion earlier. Deleted versions are skipped.

    Raises:
        NothingToRollBackToError: the label never named another version that still exists.
        LabelError: the label's name isn't valid.
    """
    check_name(label)
    try:
        history = read_regular(layout.history_file(volume, label))
    except OSError:
        history = b""
    current = read_label_or_none(volume, label)
    return earlier(label, history, current, lambda version: has_version(volume, version))


def earlier(label: str, history: bytes, current: str | None, exists: Callable[[str], bool]) -> str:
    """Find the version to roll back to in a history. Raises NothingToRollBackToError."""
    named = _stack(history)
    # After a crash between replacing the label and recording the move, the history lacks that move. The
    # move may have been a rollback. So never return to a version that was promoted after the current
    # one.
    if current in named:
        del named[len(named) - 1 - named[::-1].index(current) :]
    for version in reversed(named):
        if version != current and exists(version):
            return version
    raise NothingToRollBackToError(label, is_known=current is not None or bool(history.strip()))


def note(verb: Verb, version: str) -> bytes:
    """Return the text that a move adds to the history.

    It begins with a line break, because a crash or a full disk may have truncated the line before.
    """
    return f"\n{verb} {version}\n".encode()


def _stack(history: bytes) -> list[str]:
    """Return the versions that were promoted and not rolled back since, oldest first."""
    stack: list[str] = []
    for line in history.decode("ascii", "replace").splitlines():
        verb, _, version = line.partition(" ")
        if not layout.is_version_name(version):
            continue
        if verb == "rollback":
            while stack and stack[-1] != version:
                stack.pop()
        if not stack or stack[-1] != version:
            stack.append(version)
    return stack


def _move(volume: Path, label: str, version: str, verb: Verb, *expected: str | None) -> str | None:
    """Move a label, from the expected version if one is given; returns the version it named."""
    check_name(label)
    directory_of(volume, version)
    path = layout.label_file(volume, label)
    with exclusive(volume, path):
        found = read_label_or_none(volume, label)
        if expected and found != expected[0]:
            raise LabelMovedError(label, expected=expected[0], found=found)
        # Check again: the version may have been deleted before the lock was taken.
        directory_of(volume, version)
        history = layout.history_file(volume, label)
        # In the staging directory, so that a listing of labels never contains a half-written one.
        temporary = layout.staging_dir(volume) / f"label-{label}-{secrets.token_hex(8)}"
        try:
            for parent in (path.parent, history.parent, temporary.parent):
                make_directory(parent)
            write_durably(temporary, version.encode() + b"\n", path, mode=0o644)
        except OSError as error:
            raise VolumeError(path, f"can't be written: {error.strerror or error}") from error
        # The label has moved, so an error in the history must not fail the call.
        with contextlib.suppress(OSError):
            descriptor = open_descriptor(history, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            with os.fdopen(descriptor, "ab") as file:
                file.write(note(verb, version))
                file.flush()
                os.fsync(file.fileno())
        return found


def last_named(volume: Path, label: str) -> str | None:
    """Return the version that a deleted label named last, from its history; None for none."""
    try:
        named = _stack(read_regular(layout.history_file(volume, label)))
    except OSError:
        return None
    return named[-1] if named else None


def check_name(label: str) -> None:
    """Raise LabelError unless a label may have this name."""
    if not layout.is_label_name(label):
        raise LabelError(label, "should be 1 to 64 of a-z, 0-9, - and _, starting with a letter")
