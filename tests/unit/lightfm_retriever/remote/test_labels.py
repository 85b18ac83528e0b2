"""Labels in a store: moved by one at a time, whoever else is at it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightfm_retriever.publication import errors, labels, layout
from lightfm_retriever.remote.errors import ConflictError, StoreError
from lightfm_retriever.remote.labels import StoreLabels
from lightfm_retriever.remote.store import Store
from tests import publications
from tests.unit.lightfm_retriever.remote.stores import MadeUp, once, refusing

A, B, C = (f"20261124T12000{second}Z-00000{second}" for second in range(3))


@pytest.fixture
def own(store):
    return StoreLabels(store, lambda version: version in (A, B, C))


def test_a_label_is_moved_read_and_listed_and_other_objects_are_none(own, store):
    for key in ("labels/.lock", "labels/Not", "labels/text"):
        store.put(key, b"nonsense")
    store.put("labels/deeper/current", f"{B}\n".encode())
    assert own.promote(A, label="current") is None
    assert own.promote(B, label="current") == A
    own.swap(C, label="canary", expected=None, verb="promote")
    assert own.read_label("current") == B
    assert own.list_labels() == {"canary": C, "current": B}
    assert store.text("labels/current") == f"{B}\n"
    assert store.text("history/current") == f"\npromote {A}\n\npromote {B}\n"


def test_what_is_missing_no_label_or_no_version_is_refused(own, store):
    with pytest.raises(errors.LabelError, match=r"nothing is published .* s3://bucket/prefix/labels/x"):
        own.read_label("x")
    for call in (
        lambda: own.read_label("../history"),
        lambda: own.rollback_target(label="../history"),
        lambda: own.promote(A, label="../history"),
        lambda: own.swap(A, label="../history", expected=None, verb="promote"),
    ):
        with pytest.raises(errors.LabelError, match="should be 1 to 64"):
            call()
    with pytest.raises(errors.VersionNotFoundError, match="isn't on the volume s3://bucket/prefix"):
        own.promote("20261124T120009Z-000009", label="x")
    assert store.keys() == []
    store.put("labels/x", b"../versions")
    with pytest.raises(errors.LabelError, match="should contain a version name"):
        own.read_label("x")
    assert own.promote(A, label="x") is None
    assert own.read_label("x") == A


def test_a_store_that_is_away_is_not_taken_for_a_missing_label(own, store):
    own.promote(A, label="current")
    store.before = refusing()
    for call in (
        lambda: own.read_label("current"),
        lambda: own.list_labels(),
        lambda: own.promote(B, label="current"),
        lambda: own.rollback_target(label="current"),
    ):
        with pytest.raises(StoreError, match="away"):
            call()
    assert store.text("labels/current") == f"{A}\n"


def test_those_who_move_a_label_at_the_same_time_undo_no_move(store):
    """What each one found there before makes a chain of all of them."""
    versions = [f"20261124T12{number:04d}Z-000000" for number in range(30)]

    def promote(version):
        return StoreLabels(store, lambda _: True).promote(version, label="current")

    with ThreadPoolExecutor(6) as threads:
        before = [*threads.map(promote, versions)]
    last = store.text("labels/current").strip()
    assert sorted([*filter(None, before), last]) == versions
    assert sorted(store.text("history/current").split()[1::2]) == versions


def test_a_move_by_another_is_moved_over_unless_one_was_expected(own, store):
    def move_meanwhile(version):
        store.before = once("write_if labels/current", lambda: own.promote(version, label="current"))

    own.promote(A, label="current")
    move_meanwhile(C)
    with pytest.raises(errors.LabelMovedError, match="another process has moved it") as caught:
        own.swap(B, label="current", expected=A, verb="rollback")
    assert (caught.value.expected, caught.value.found) == (A, C)
    assert own.read_label("current") == C
    with pytest.raises(errors.LabelMovedError):
        own.swap(B, label="current", expected=None, verb="promote")
    move_meanwhile(A)
    assert own.promote(B, label="current") == A
    assert own.read_label("current") == B


def test_an_answer_that_got_lost_is_no_move_by_another(own, store):
    own.promote(A, label="current")
    write_if = Store.write_if

    def lost():
        write_if(store, "labels/current", f"{B}\n".encode(), store.facts("labels/current").mark)
        raise ConflictError("labels/current", "somebody else has changed it")

    store.before = once("write_if labels/current", lost)
    own.swap(B, label="current", expected=A, verb="promote")
    assert own.read_label("current") == B
    assert own.rollback_target(label="current") == A


def test_what_cannot_be_written_is_told_and_without_a_history_the_label_moves(own, store, caplog):
    store.before = refusing("write_if", "labels/current", error=ConflictError)
    with pytest.raises(StoreError, match="labels/current: other processes moved it 30 times"):
        own.promote(A, label="current")
    store.before = refusing(part="history/", text="no")
    assert own.promote(A, label="current") is None
    assert own.read_label("current") == A
    assert f"label 'current' names version {A}, but the move isn't in its history" in caplog.text


def test_a_long_history_loses_its_beginning_by_whole_lines(own, store):
    store.put("history/current", b"".join(labels.note("promote", A) for _ in range(3000)) + b"\n")
    own.promote(B, label="current")
    kept = store.text("history/current")
    assert 60_000 < len(kept) < 66_000
    assert {line for line in kept.splitlines() if line} == {f"promote {A}", f"promote {B}"}


VERSIONS = st.sampled_from([A, B, C])


@settings(max_examples=25)
@given(st.lists(VERSIONS | st.just("rollback"), max_size=12), st.sets(VERSIONS))
@pytest.mark.usefixtures("no_waiting_for_the_disk")
def test_labels_go_back_as_those_of_a_folder_do(tmp_path_factory, steps, gone):
    folder = tmp_path_factory.mktemp("volume")
    for version in (A, B, C):
        layout.version_dir(folder, version).mkdir(parents=True)
    there = {A, B, C}
    own = StoreLabels(MadeUp(), there.__contains__)

    def target(call, *of):
        with suppress(errors.NothingToRollBackToError):
            return call(*of, label="x")

    for step in steps:
        if step != "rollback":
            assert own.promote(step, label="x") == labels.promote(folder, step, label="x")
        else:
            here = target(labels.rollback_target, folder)
            assert target(own.rollback_target) == here
            if here is not None:
                publications.roll_back(folder, label="x")
                own.swap(here, label="x", expected=own.read_label("x"), verb="rollback")
    for version in gone:
        layout.version_dir(folder, version).rmdir()
    there -= gone
    assert target(own.rollback_target) == target(labels.rollback_target, folder)
