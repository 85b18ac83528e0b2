"""Labels: small text files, each holding the name of the version that it points to.

A label is moved by replacing its file, so that a reader sees the old name or the new one. A second
file keeps the moves, one line each, for rolling back. Who moves one holds a lock that all of a volume's
labels share; readers need none.
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
"""Longer than any version's name with stray white space around it."""

Verb = Literal["promote", "rollback"]


def read_label(volume: Path, label: str) -> str:
    """The version that a label names, whether or not that version exists.

    White space around the name is ignored, so a label may be written with an editor.

    Raises:
        LabelError: it is missing, unreadable, or its text isn't a version's name.
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
    """The version that a label's content names; raises LabelError, which says `where` it was read."""
    version = content.decode("ascii", "replace").strip()
    shown = content[:40].decode("utf-8", "replace")
    if len(content) > MAX_BYTES or not layout.is_version_name(version):
        raise LabelError(label, f"{where} should hold a version's name, but holds {shown!r}")
    return version


def read_label_or_none(volume: Path, label: str) -> str | None:
    """The version that a label names; None when `read_label` can't tell."""
    try:
        return read_label(volume, label)
    except LabelError:
        return None


def list_labels(volume: Path, *, strict: bool = False) -> dict[str, str]:
    """All labels that can be read, sorted by name, and the versions that they name.

    With `strict`, one that is there and can't be read is an error. One whose text isn't a version's
    name is left out either way: it names none.

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
            # A link to nothing, or to itself, names no version whoever reads it.
            if strict and isinstance(cause, OSError) and cause.errno not in (errno.ENOENT, errno.ELOOP):
                raise VolumeError(layout.label_file(volume, name), error.reason) from error
    return labels


@contextlib.contextmanager
def exclusive(volume: Path, wanted: Path) -> Iterator[None]:
    """Let no other process or thread move a label or delete a version meanwhile; it waits for them.

    The lock ends with the process, however that ends. It isn't reentrant. A VolumeError, which says
    that the volume can't be written, names what is `wanted`.
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
        # A child that was forked meanwhile may still have the file open.
        stack.callback(fcntl.flock, descriptor, fcntl.LOCK_UN)
        yield


def promote(volume: Path, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
    """Make a label name a version, and return what it named before, None when nothing.

    The caller has verified the version.

    Raises:
        LabelError: the label's name isn't valid.
        VersionNotFoundError: the volume has no such version.
        VolumeError: the label can't be written; it names what it named before.
    """
    return _move(volume, label, version, "promote")


def swap(volume: Path, version: str, *, label: str, expected: str | None, verb: Verb) -> None:
    """Make a label name a version if it still names the expected one.

    For who has looked at what the label names, as `read_label_or_none` gave it, and then at length at
    the version: nobody else's move in between is undone. The history notes `verb`: "rollback" to what
    was `rollback_target`, else "promote".

    Raises:
        LabelMovedError: it names another version by now.
        LabelError, VersionNotFoundError, VolumeError: as `promote`.
    """
    _move(volume, label, version, verb, expected)


def rollback_target(volume: Path, *, label: str = layout.DEFAULT_LABEL) -> str:
    """The version that a label named before its last promotion; a rollback makes it name that again.

    After a rollback it is what was named one promotion before that. Versions that are gone are skipped.

    Raises:
        NothingToRollBackToError: it never named another version that still exists.
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
    """The version that a label named before, or NothingToRollBackToError; by its history's content."""
    named = _stack(history)
    # A crash between replacing the label and noting the move leaves the label ahead of the notes. What
    # was promoted after it may be what someone has just rolled back from: never go there again.
    if current in named:
        del named[len(named) - 1 - named[::-1].index(current) :]
    for version in reversed(named):
        if version != current and exists(version):
            return version
    raise NothingToRollBackToError(label, is_known=current is not None or bool(history.strip()))


def note(verb: Verb, version: str) -> bytes:
    """What a move adds to the history.

    It begins with a line break because a crash or a full disk may have cut the line before it short.
    """
    return f"\n{verb} {version}\n".encode()


def _stack(history: bytes) -> list[str]:
    """The versions promoted and not rolled back since, oldest first."""
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
    """Move a label, from what is expected if anything is; returns what it named."""
    check_name(label)
    directory_of(volume, version)
    path = layout.label_file(volume, label)
    with exclusive(volume, path):
        found = read_label_or_none(volume, label)
        if expected and found != expected[0]:
            raise LabelMovedError(label, expected=expected[0], found=found)
        # Again, since it may have been deleted before the lock was there.
        directory_of(volume, version)
        history = layout.history_file(volume, label)
        # Staged elsewhere, so that a listing of the labels never meets a half-written one.
        temporary = layout.staging_dir(volume) / f"label-{label}-{secrets.token_hex(8)}"
        try:
            for parent in (path.parent, history.parent, temporary.parent):
                make_directory(parent)
            write_durably(temporary, version.encode() + b"\n", path, mode=0o644)
        except OSError as error:
            raise VolumeError(path, f"can't be written: {error.strerror or error}") from error
        # The label has moved, so what follows must not fail the call.
        with contextlib.suppress(OSError):
            descriptor = open_descriptor(history, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            with os.fdopen(descriptor, "ab") as file:
                file.write(note(verb, version))
                file.flush()
                os.fsync(file.fileno())
        return found


def last_named(volume: Path, label: str) -> str | None:
    """What a label's history says that it named last, for one that is gone; None for nothing."""
    try:
        named = _stack(read_regular(layout.history_file(volume, label)))
    except OSError:
        return None
    return named[-1] if named else None


def check_name(label: str) -> None:
    """Raise LabelError unless a label may have this name."""
    if not layout.is_label_name(label):
        raise LabelError(label, "should be 1 to 64 of a-z, 0-9, - and _, starting with a letter")
