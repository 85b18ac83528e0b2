"""Labels: small text files, each holding the name of the version that it points to.

A label is moved by replacing its file, so that a reader sees the old name or the new one. A second
file keeps the moves, one line each, for rolling back.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Literal

from publication import layout
from publication.durable import fsync_directory, make_directory
from publication.errors import (
    LabelError,
    NothingToRollBackToError,
    VersionNotFoundError,
    VolumeError,
)
from publication.reader import has_version

# Longer than any version name with stray white space around it.
_MAX_BYTES = 200

Verb = Literal["promote", "rollback"]


def read_label(volume: Path, label: str) -> str:
    """The version that a label names, whether or not that version exists.

    White space around the name is ignored, so a label may be written with an editor.

    Raises:
        LabelError: it is missing, unreadable, or its text isn't a version's name.
    """
    _check_name(label)
    path = layout.label_file(volume, label)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise LabelError(label, f"nothing is published under it: {path} doesn't exist") from error
    except OSError as error:
        raise LabelError(label, f"{path}: {error.strerror or error}") from error
    version = content.decode("ascii", "replace").strip()
    if len(content) > _MAX_BYTES or not layout.is_version_name(version):
        raise LabelError(label, f"{path} should hold a version's name, but holds {content[:40]!r}")
    return version


def list_labels(volume: Path) -> dict[str, str]:
    """All labels that can be read, sorted by name, and the versions that they name."""
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
        except LabelError:
            continue
    return labels


def promote(volume: Path, version: str, *, label: str = layout.DEFAULT_LABEL) -> None:
    """Make a label name a version. The caller has verified the version.

    Raises:
        LabelError: the label's name isn't valid.
        VersionNotFoundError: the volume has no such version.
        VolumeError: the label can't be written; it names what it named before.
    """
    _move(volume, label, version, "promote")


def rollback(volume: Path, *, label: str = layout.DEFAULT_LABEL) -> str:
    """Make a label name what it named before its last promotion, and return that version.

    Rolling back again goes one promotion further back. Versions that are gone are skipped.

    Raises:
        NothingToRollBackToError: it never named another version that still exists.
        LabelError: the label's name isn't valid.
        VolumeError: the label can't be written.
    """
    version = rollback_target(volume, label=label)
    _move(volume, label, version, "rollback")
    return version


def rollback_target(volume: Path, *, label: str = layout.DEFAULT_LABEL) -> str:
    """The version that `rollback` would go to; raises as it does."""
    _check_name(label)
    named = _stack(volume, label)
    try:
        current = read_label(volume, label)
    except LabelError:
        current = None
    # A crash between replacing the label and noting the move leaves the label ahead of the notes. What
    # was promoted after it may be what someone has just rolled back from: never go there again.
    if current in named:
        del named[len(named) - 1 - named[::-1].index(current) :]
    for version in reversed(named):
        if version != current and has_version(volume, version):
            return version
    raise NothingToRollBackToError(label)


def _stack(volume: Path, label: str) -> list[str]:
    """The versions promoted and not rolled back since, oldest first."""
    try:
        lines = layout.history_file(volume, label).read_text("ascii", "replace").splitlines()
    except OSError:
        return []
    stack: list[str] = []
    for line in lines:
        verb, _, version = line.partition(" ")
        if not layout.is_version_name(version):
            continue
        if verb == "rollback":
            while stack and stack[-1] != version:
                stack.pop()
        if not stack or stack[-1] != version:
            stack.append(version)
    return stack


def _move(volume: Path, label: str, version: str, verb: Verb) -> None:
    _check_name(label)
    if not has_version(volume, version):
        raise VersionNotFoundError(version, volume)
    path = layout.label_file(volume, label)
    history = layout.history_file(volume, label)
    # Staged elsewhere, so that a listing of the labels never meets a half-written one.
    temporary = layout.staging_dir(volume) / f"label-{label}-{secrets.token_hex(8)}"
    try:
        for parent in (path.parent, history.parent, temporary.parent):
            make_directory(parent)
        try:
            with temporary.open("xb") as file:
                file.write(version.encode() + b"\n")
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_directory(path.parent)
    except OSError as error:
        raise VolumeError(path, f"can't be written: {error.strerror or error}") from error
    # The label has moved, so what follows must not fail the call. The line begins with a line break
    # because a crash or a full disk may have cut the line before it short.
    with contextlib.suppress(OSError), history.open("ab") as file:
        file.write(f"\n{verb} {version}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def _check_name(label: str) -> None:
    if not layout.is_label_name(label):
        raise LabelError(label, "should be 1 to 64 of a-z, 0-9, - and _, starting with a letter")
