import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightfm_retriever.publication import errors, labels, layout
from lightfm_retriever.publication.labels import list_labels, promote, read_label, swap
from tests import publications

A, B, C, D = (layout.version_name(publications.NOON + timedelta(days=i), "3fa9c1") for i in range(4))


def make_volume(volume):
    for version in (A, B, C, D):
        layout.version_dir(volume, version).mkdir(parents=True)
    return volume


@pytest.fixture
def volume(tmp_path):
    return make_volume(tmp_path / "volume")


def test_white_space_around_the_name_is_ignored_and_without_a_name_a_label_is_none(volume):
    promote(volume, A, label="canary")
    promote(volume, A)
    path = layout.label_file(volume, "current")
    assert path.read_bytes() == f"{A}\n".encode()
    promote(volume, B)
    for content in (A, f"  {A}\r\n\n", A + " " * 177):
        path.write_text(content)
        assert read_label(volume, "current") == labels.read_label_or_none(volume, "current") == A
    one, two = A.encode(), f"{A}\n{B}\n".encode()
    too_long = (one + b"\n" * 178, b"x" * 100_000)
    for content in (b"", one[:-1], two, b"../" + one, A.encode("utf-16"), *too_long):
        path.write_bytes(content)
        with pytest.raises(errors.LabelError, match="should contain a version name") as caught:
            read_label(volume, "current")
        assert len(str(caught.value)) < 500
        assert labels.read_label_or_none(volume, "current") is None
        assert list_labels(volume, strict=True) == {"canary": A}


def test_a_label_that_is_not_there_or_cannot_be_read_is_refused_by_name(volume):
    assert list_labels(volume) == {}
    with pytest.raises(errors.LabelError, match=r"'canary'.*nothing is published under it"):
        read_label(volume, "canary")
    assert labels.read_label_or_none(volume, "canary") is None
    layout.label_file(volume, "odd").mkdir(parents=True)
    with pytest.raises(errors.LabelError, match="Is a directory"):
        read_label(volume, "odd")
    # Which is told only where it matters.
    promote(volume, A)
    assert list_labels(volume) == {"current": A}
    with pytest.raises(errors.VolumeError, match="labels/odd: Is a directory"):
        list_labels(volume, strict=True)
    layout.label_file(volume, "odd").rmdir()
    layout.label_file(volume, "loop").symlink_to("loop")
    layout.label_file(volume, "dangling").symlink_to("nothing")
    assert list_labels(volume, strict=True) == {"current": A}
    (volume / "labels").rename(volume / "before")
    (volume / "labels").write_bytes(b"")
    with pytest.raises(errors.VolumeError, match="labels: Not a directory"):
        list_labels(volume)


def test_no_file_is_touched_under_a_name_that_is_no_label(volume):
    before = publications.tree(volume)
    for label in ("", "Current", "../current"):
        for act in (
            lambda own=label: read_label(volume, own),
            lambda own=label: promote(volume, A, label=own),
            lambda own=label: labels.rollback_target(volume, label=own),
            lambda own=label: swap(volume, A, label=own, expected=None, verb="promote"),
        ):
            with pytest.raises(errors.LabelError, match="should be 1 to 64"):
                act()
    assert publications.tree(volume) == before


def test_a_promotion_tells_what_the_label_named_before_and_moves_no_other(volume):
    assert promote(volume, A) is None
    assert promote(volume, B) == A
    layout.label_file(volume, "current").write_text("nonsense")
    assert promote(volume, C) is None
    assert promote(volume, B, label="canary") is None
    assert list_labels(volume) == {"canary": B, "current": C}
    for version in ("", "20250101T000000Z-000000", f"../versions/{A}"):
        with pytest.raises(errors.VersionNotFoundError):
            promote(volume, version)
    # Nor does a history that can't be written stop it.
    layout.history_file(volume, "current").unlink()
    layout.history_file(volume, "current").mkdir()
    promote(volume, B)
    assert read_label(volume, "current") == B
    assert labels.last_named(volume, "current") is None


def test_a_label_that_cannot_be_written_stays_and_leaves_nothing(volume, monkeypatch):
    promote(volume, A)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", mock.Mock(side_effect=PermissionError(13, "Permission denied")))
        with pytest.raises(errors.VolumeError, match="current: can't be written: Permission denied"):
            promote(volume, B)
    assert list(layout.staging_dir(volume).iterdir()) == []
    layout.staging_dir(volume).rmdir()
    layout.staging_dir(volume).write_bytes(b"")
    with pytest.raises(errors.VolumeError, match=r"labels/current: can't be written"):
        promote(volume, B)
    assert read_label(volume, "current") == A


def test_where_there_is_nothing_to_roll_back_to_it_is_said_and_gone_or_broken_ones_are_skipped(volume):
    with pytest.raises(errors.NothingToRollBackToError, match=r"never named a version.*promote"):
        publications.roll_back(volume)
    assert labels.last_named(volume, "current") is None
    promote(volume, A)
    with pytest.raises(errors.NothingToRollBackToError, match="no earlier version"):
        publications.roll_back(volume)
    promote(volume, B)
    promote(volume, C)
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
            with pytest.raises(errors.NothingToRollBackToError):
                publications.roll_back(volume)
        if stack:
            assert read_label(volume, "current") == labels.last_named(volume, "current") == stack[-1]
        if len(stack) > 1:
            assert labels.rollback_target(volume) == stack[-2]


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
    with suppress(errors.NothingToRollBackToError):
        assert labels.earlier("current", content, C, {A, B, C}.__contains__) in (A, B)


def test_of_many_who_move_a_label_one_succeeds_and_the_others_are_told_both_versions(volume):
    swap(volume, A, label="current", expected=None, verb="promote")
    start, moved = threading.Barrier(8), []

    def move(version):
        start.wait()
        try:
            swap(volume, version, label="current", expected=A, verb="promote")
        except errors.LabelMovedError:
            return
        moved.append(version)

    with ThreadPoolExecutor(8) as movers:
        [*movers.map(move, [B, C, D, B, C, D, B, C])]
    assert len(moved) == 1
    assert read_label(volume, "current") == moved[0]
    assert labels.rollback_target(volume) == A
    for other in (None, A):
        said = f"names {moved[0]}, but named {other or 'none'} before"
        with pytest.raises(errors.LabelMovedError, match=said) as caught:
            swap(volume, D, label="current", expected=other, verb="promote")
        assert (caught.value.expected, caught.value.found) == (other, moved[0])


def test_a_version_that_was_deleted_while_the_lock_was_awaited_is_not_promoted(volume, monkeypatch):
    promote(volume, A)
    take = labels.fcntl.flock

    def delete_first(descriptor, operation):
        if layout.version_dir(volume, B).exists():
            layout.version_dir(volume, B).rmdir()
        take(descriptor, operation)

    monkeypatch.setattr(labels.fcntl, "flock", delete_first)
    with pytest.raises(errors.VersionNotFoundError):
        promote(volume, B)
    assert read_label(volume, "current") == A
    # It ends with its holder, and one that can't be made is named.
    with pytest.raises(ZeroDivisionError), labels.exclusive(volume, volume):
        1 / 0  # noqa: B018
    promote(volume, C)
    assert list_labels(volume) == {"current": C}
    layout.labels_lock(volume).unlink()
    layout.labels_lock(volume).mkdir()
    with pytest.raises(errors.VolumeError, match=r"labels/current: can't be written: Is a dir.*\.lock"):
        promote(volume, A)
