from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.errors import (
    LabelError,
    LabelMovedError,
    NothingToRollBackToError,
    VersionNotFoundError,
    VolumeError,
)
from lightfm_retriever.publication.labels import (
    last_named,
    list_labels,
    promote,
    read_label,
    rollback_target,
    swap,
)
from tests import publications

A, B, C, D = (layout.version_name(publications.NOON + timedelta(days=i), "3fa9c1") for i in range(4))


def make_volume(volume):
    for version in (A, B, C, D):
        layout.version_dir(volume, version).mkdir(parents=True)
    return volume


@pytest.fixture
def volume(tmp_path):
    return make_volume(tmp_path / "volume")


# ---- reading


@pytest.mark.parametrize("content", [f"{A}", f"  {A}\r\n\n", A + " " * 177])
def test_white_space_around_the_name_is_ignored(volume, content):
    promote(volume, A)
    assert layout.label_file(volume, "current").read_bytes() == f"{A}\n".encode()
    promote(volume, B)
    layout.label_file(volume, "current").write_text(content)
    assert read_label(volume, "current") == labels.read_label_or_none(volume, "current") == A


@pytest.mark.parametrize(
    "content",
    [
        *(b"", A[:-1].encode(), f"{A}\n{B}\n".encode(), b"../" + A.encode(), A.encode("utf-16")),
        *(A.encode() + b"\n" * 178, b"x" * 100_000),
    ],
    ids=lambda content: ascii(content)[:30],
)
def test_a_label_that_holds_no_name_is_refused_and_listed_nowhere(volume, content):
    promote(volume, A, label="canary")
    promote(volume, A)
    layout.label_file(volume, "current").write_bytes(content)
    with pytest.raises(LabelError, match="should hold a version's name") as caught:
        read_label(volume, "current")
    assert len(str(caught.value)) < 500
    assert labels.read_label_or_none(volume, "current") is None
    assert list_labels(volume, strict=True) == {"canary": A}


def test_a_label_that_is_not_there_or_cannot_be_read_is_refused_by_name(volume):
    assert list_labels(volume) == {}
    with pytest.raises(LabelError, match=r"'canary'.*nothing is published under it"):
        read_label(volume, "canary")
    assert labels.read_label_or_none(volume, "canary") is None
    layout.label_file(volume, "odd").mkdir(parents=True)
    with pytest.raises(LabelError, match="Is a directory"):
        read_label(volume, "odd")
    # Which is told only where it matters.
    promote(volume, A)
    assert list_labels(volume) == {"current": A}
    with pytest.raises(VolumeError, match="labels/odd: Is a directory"):
        list_labels(volume, strict=True)
    layout.label_file(volume, "odd").rmdir()
    layout.label_file(volume, "loop").symlink_to("loop")
    layout.label_file(volume, "dangling").symlink_to("nothing")
    assert list_labels(volume, strict=True) == {"current": A}
    (volume / "labels").rename(volume / "before")
    (volume / "labels").write_bytes(b"")
    with pytest.raises(VolumeError, match="labels: Not a directory"):
        list_labels(volume)


@pytest.mark.parametrize("label", ["", "Current", "../current"])
def test_no_file_is_touched_under_a_name_that_is_no_label(volume, label):
    before = publications.tree(volume)
    for act in (
        lambda: read_label(volume, label),
        lambda: promote(volume, A, label=label),
        lambda: publications.roll_back(volume, label=label),
        lambda: rollback_target(volume, label=label),
        lambda: swap(volume, A, label=label, expected=None, verb="promote"),
    ):
        with pytest.raises(LabelError, match="should be 1 to 64"):
            act()
    assert publications.tree(volume) == before


# ---- moving


def test_a_promotion_tells_what_the_label_named_before_and_moves_no_other(volume):
    assert promote(volume, A) is None
    assert promote(volume, B) == A
    layout.label_file(volume, "current").write_text("nonsense")
    assert promote(volume, C) is None
    assert promote(volume, B, label="canary") is None
    assert list_labels(volume) == {"canary": B, "current": C}
    for version in ("", "20250101T000000Z-000000", f"../versions/{A}"):
        with pytest.raises(VersionNotFoundError):
            promote(volume, version)
    # Nor does a history that can't be written stop it.
    layout.history_file(volume, "current").unlink()
    layout.history_file(volume, "current").mkdir()
    promote(volume, B)
    assert read_label(volume, "current") == B
    assert last_named(volume, "current") is None


def test_a_label_that_cannot_be_written_stays_and_leaves_nothing(volume, monkeypatch):
    promote(volume, A)

    def refuse(source, target):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        with pytest.raises(VolumeError, match=r"labels/current: can't be written: Permission denied"):
            promote(volume, B)
    assert list(layout.staging_dir(volume).iterdir()) == []
    layout.staging_dir(volume).rmdir()
    layout.staging_dir(volume).write_bytes(b"")
    with pytest.raises(VolumeError, match=r"labels/current: can't be written"):
        promote(volume, B)
    assert read_label(volume, "current") == A


@pytest.mark.parametrize("expected", [None, B])
def test_a_label_that_was_moved_meanwhile_stays_and_the_error_names_both(volume, expected):
    promote(volume, A)
    with pytest.raises(LabelMovedError, match=f"names {A} now, not {expected or 'none'}") as caught:
        swap(volume, C, label="current", expected=expected, verb="promote")
    assert (caught.value.expected, caught.value.found) == (expected, A)
    assert read_label(volume, "current") == A


# ---- rolling back


def test_where_there_is_nothing_to_roll_back_to_it_is_said(volume):
    with pytest.raises(NothingToRollBackToError, match=r"never named a version.*promote"):
        publications.roll_back(volume)
    assert last_named(volume, "current") is None
    promote(volume, A)
    with pytest.raises(NothingToRollBackToError, match="no earlier version"):
        publications.roll_back(volume)


def test_rolling_back_skips_versions_that_are_gone_and_mends_a_broken_label(volume):
    for version in (A, B, C):
        promote(volume, version)
    layout.version_dir(volume, B).rmdir()
    assert publications.roll_back(volume) == A
    promote(volume, D)
    layout.label_file(volume, "current").write_bytes(b"")
    assert publications.roll_back(volume) == D


@settings(max_examples=25)
@given(st.lists(st.sampled_from([A, B, C, D]) | st.none(), max_size=12))
def test_promotions_and_rollbacks_behave_as_a_stack(no_waiting_for_the_disk, tmp_path_factory, moves):
    """A version promotes itself; None rolls back."""
    volume = make_volume(tmp_path_factory.mktemp("stack"))
    stack = []
    for version in moves:
        if version is not None:
            promote(volume, version)
            if stack[-1:] != [version]:
                stack.append(version)
        elif len(stack) > 1:
            stack.pop()
            assert publications.roll_back(volume) == stack[-1]
        else:
            with pytest.raises(NothingToRollBackToError):
                publications.roll_back(volume)
        if stack:
            assert read_label(volume, "current") == last_named(volume, "current") == stack[-1]
        if len(stack) > 1:
            assert rollback_target(volume) == stack[-2]


def test_a_move_that_a_crash_kept_from_being_noted_is_rolled_back(volume):
    def drop_last_move():
        history = layout.history_file(volume, "current")
        history.write_bytes(history.read_bytes()[:-1].rpartition(b"\n")[0])

    for version in (A, B, C, D):
        promote(volume, version)
    drop_last_move()
    assert publications.roll_back(volume) == C
    publications.roll_back(volume)
    drop_last_move()
    # Never again to what someone has just rolled back from.
    assert publications.roll_back(volume) == A
    # A line that was cut short spoils no other.
    promote(volume, B)
    history = layout.history_file(volume, "current")
    history.write_bytes(history.read_bytes()[:-5])
    promote(volume, C)
    assert publications.roll_back(volume) == A


@given(st.binary(max_size=200) | st.lists(st.sampled_from(["promote", "rollback", A, B, " ", "\n"])))
def test_whatever_the_history_holds_the_target_is_a_version_or_there_is_none(content):
    if isinstance(content, list):
        content = "".join(content).encode()
    with suppress(NothingToRollBackToError):
        assert labels.earlier("current", content, C, {A, B, C}.__contains__) in (A, B)


# ---- several at once


def test_of_many_who_move_a_label_from_the_same_version_one_succeeds(volume):
    swap(volume, A, label="current", expected=None, verb="promote")
    start, moved = threading.Barrier(8), []

    def move(version):
        start.wait()
        try:
            swap(volume, version, label="current", expected=A, verb="promote")
        except LabelMovedError:
            return
        moved.append(version)

    with ThreadPoolExecutor(8) as movers:
        [*movers.map(move, [B, C, D, B, C, D, B, C])]
    assert len(moved) == 1
    assert read_label(volume, "current") == moved[0]
    assert rollback_target(volume) == A


def test_a_version_that_was_deleted_while_the_lock_was_awaited_is_not_promoted(volume, monkeypatch):
    promote(volume, A)
    take = labels.fcntl.flock

    def delete_first(descriptor, operation):
        if layout.version_dir(volume, B).exists():
            layout.version_dir(volume, B).rmdir()
        take(descriptor, operation)

    monkeypatch.setattr(labels.fcntl, "flock", delete_first)
    with pytest.raises(VersionNotFoundError):
        promote(volume, B)
    assert read_label(volume, "current") == A


def test_the_lock_keeps_others_waiting_and_is_no_label(volume):
    promote(volume, A)
    with labels.exclusive(volume, volume):
        mover = threading.Thread(target=promote, args=(volume, B))
        mover.start()
        mover.join(0.05)
        assert mover.is_alive()
        assert read_label(volume, "current") == A
    mover.join()
    assert list_labels(volume) == {"current": B}
    with pytest.raises(ZeroDivisionError), labels.exclusive(volume, volume):
        1 / 0  # noqa: B018
    promote(volume, C)
    layout.labels_lock(volume).unlink()
    layout.labels_lock(volume).mkdir()
    with pytest.raises(VolumeError, match=r"labels/current: can't be written: Is a dir.*\.lock"):
        promote(volume, A)
