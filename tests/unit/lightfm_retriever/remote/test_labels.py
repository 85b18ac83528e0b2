"""Labels in a store: moved by one at a time, whoever else is at it."""

import logging
import threading
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.errors import (
    LabelError,
    LabelMovedError,
    NothingToRollBackToError,
    VersionNotFoundError,
)
from lightfm_retriever.remote.errors import ConflictError, StoreError
from lightfm_retriever.remote.labels import StoreLabels
from lightfm_retriever.remote.store import Store
from tests import publications
from tests.unit.lightfm_retriever.remote.stores import MadeUp, once

A, B, C = (f"20261124T12000{second}Z-00000{second}" for second in range(3))


@pytest.fixture
def store():
    return MadeUp()


@pytest.fixture
def own(store):
    return StoreLabels(store, lambda version: version in (A, B, C))


def history(store, label="current"):
    return store.text(f"history/{label}").split("\n\n")


def test_a_label_is_moved_read_and_listed(own, store):
    assert own.promote(A, label="current") is None
    assert own.promote(B, label="current") == A
    own.swap(C, label="canary", expected=None, verb="promote")
    assert own.read("current") == B
    assert own.all() == {"canary": C, "current": B}
    assert store.text("labels/current") == f"{B}\n"
    assert store.text("history/current") == f"\npromote {A}\n\npromote {B}\n"


def test_other_objects_are_no_labels(own, store):
    own.promote(A, label="current")
    for key in ("labels/.lock", "labels/Not", "labels/deeper/current", "labels/text"):
        store.put(key, b"nonsense")
    store.put("labels/deeper/current", f"{B}\n".encode())
    assert own.all() == {"current": A}


def test_a_label_that_is_missing_or_no_label_is_said_to_be(own, store):
    with pytest.raises(LabelError, match="nothing is published under it: s3://bucket/prefix/labels/x"):
        own.read("x")
    store.put("labels/x", b"../versions")
    with pytest.raises(LabelError, match="should hold a version's name"):
        own.read("x")
    for call in (own.read, lambda label: own.promote(A, label=label)):
        with pytest.raises(LabelError, match="should be 1 to 64"):
            call("../history")
    assert own.promote(A, label="x") is None
    assert own.read("x") == A


def test_a_store_that_is_away_is_not_taken_for_a_missing_label(own, store):
    own.promote(A, label="current")

    def away(name, key):
        raise StoreError(key, "away")

    store.before = away
    for call in (
        lambda: own.read("current"),
        lambda: own.all(),
        lambda: own.promote(B, label="current"),
        lambda: own.rollback_target(label="current"),
    ):
        with pytest.raises(StoreError, match="away"):
            call()
    assert store.text("labels/current") == f"{A}\n"


def test_a_version_that_is_not_there_is_named_by_no_label(own, store):
    with pytest.raises(VersionNotFoundError, match="isn't on the volume s3://bucket/prefix"):
        own.promote("20261124T120009Z-000009", label="current")
    assert store.keys() == []


def test_those_who_move_a_label_at_the_same_time_undo_no_move(store):
    """What each one found there before makes a chain of all of them."""
    number = count()
    found = {}

    def promote(own):
        for _ in range(5):
            version = f"20261124T12{next(number):04d}Z-000000"
            found[version] = own.promote(version, label="current")

    threads = [
        threading.Thread(target=promote, args=(StoreLabels(store, lambda _: True),)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = store.text("labels/current").strip()
    assert sorted(filter(None, found.values())) == sorted(set(found) - {last})
    noted = [line.removeprefix("\n").removeprefix("promote ").strip() for line in history(store)]
    assert sorted(noted) == sorted(found)


def test_a_move_by_another_is_noticed_by_who_expected_none(own, store):
    own.promote(A, label="current")
    other = StoreLabels(store, lambda _: True)
    store.before = once("write_over labels/current", lambda: other.promote(C, label="current"))
    with pytest.raises(LabelMovedError, match="another process has moved it") as caught:
        own.swap(B, label="current", expected=A, verb="rollback")
    assert (caught.value.expected, caught.value.found) == (A, C)
    assert own.read("current") == C
    with pytest.raises(LabelMovedError):
        own.swap(B, label="current", expected=None, verb="promote")


def test_a_move_by_another_is_found_and_moved_over_by_who_expected_anything(own, store):
    own.promote(A, label="current")
    other = StoreLabels(store, lambda _: True)
    store.before = once("write_over labels/current", lambda: other.promote(C, label="current"))
    assert own.promote(B, label="current") == C
    assert own.read("current") == B


def test_an_answer_that_got_lost_is_no_move_by_another(own, store):
    own.promote(A, label="current")
    write_over = Store.write_over

    def lost():
        write_over(store, "labels/current", f"{B}\n".encode(), store.facts("labels/current").mark)
        raise ConflictError("labels/current", "somebody else has changed it")

    store.before = once("write_over labels/current", lost)
    own.swap(B, label="current", expected=A, verb="promote")
    assert own.read("current") == B
    assert own.rollback_target(label="current") == A


def test_a_label_that_others_never_leave_alone_is_given_up(own, store):
    def never(name, key):
        if name == "write_new" and key == "labels/current":
            raise ConflictError(key, "somebody else has changed it")

    store.before = never
    with pytest.raises(StoreError, match="labels/current: others moved it 30 times"):
        own.promote(A, label="current")


def test_both_of_two_moves_are_in_the_history(own, store):
    other = StoreLabels(store, lambda _: True)
    own.promote(A, label="current")
    store.before = once("write_over history/current", lambda: other.promote(C, label="current"))
    own.promote(B, label="current")
    assert sorted(history(store)) == sorted([f"\npromote {A}", f"promote {C}", f"promote {B}\n"])


def test_a_history_that_cannot_be_written_is_told_and_fails_nothing(own, store, caplog):
    def refuse(name, key):
        if key.startswith("history/"):
            raise StoreError(key, "no")

    store.before = refuse
    with caplog.at_level(logging.WARNING, "lightfm_retriever.remote.labels"):
        assert own.promote(A, label="current") is None
    assert own.read("current") == A
    assert f"label 'current' names {A}, but its history doesn't say so: history/current: no" in (
        caplog.text
    )


def test_a_long_history_loses_its_beginning_by_whole_lines(own, store):
    store.put("history/current", b"".join(labels.note("promote", A) for _ in range(3000)) + b"\n")
    own.promote(B, label="current")
    kept = store.text("history/current")
    assert 60_000 < len(kept) < 66_000
    assert {line for line in kept.splitlines() if line} == {f"promote {A}", f"promote {B}"}


def test_a_version_that_is_deleted_while_a_label_is_moved_to_it_is_left_again(store):
    there = {A, B}
    own = StoreLabels(store, lambda version: version in there)
    own.promote(A, label="current")
    store.before = once("write_over labels/current", lambda: there.discard(B))
    with pytest.raises(VersionNotFoundError):
        own.promote(B, label="current")
    assert own.read("current") == A
    assert history(store) == [f"\npromote {A}\n"]


def test_without_conditional_writes_it_works_and_is_said_once(tmp_path, caplog):
    store = Store(tmp_path)
    own = StoreLabels(store, lambda _: True)
    with caplog.at_level(logging.WARNING, "lightfm_retriever.remote.labels"):
        for version in (A, B, C):
            own.promote(version, label="current")
    # A folder that is used as a store is a volume.
    assert labels.read_label(tmp_path, "current") == C
    assert labels.earlier("current", (tmp_path / "history/current").read_bytes(), C, bool) == B
    assert caplog.text.count("let one trainer at a time") == 1


def test_without_conditional_writes_a_move_just_before_is_still_noticed(tmp_path):
    store = Store(tmp_path)
    own = StoreLabels(store, lambda _: True)
    own.promote(A, label="current")
    _, mark = own._look("current")
    own.promote(B, label="current")
    with pytest.raises(ConflictError):
        own._write("labels/current", b"", mark)
    with pytest.raises(ConflictError):
        own._write("labels/new", b"", mark)


moves = st.lists(st.one_of(st.sampled_from([A, B, C]), st.just("rollback")), max_size=12)


@settings(max_examples=25, deadline=None)
@given(moves, st.sets(st.sampled_from([A, B, C])))
def test_labels_go_back_as_those_of_a_folder_do(tmp_path_factory, steps, gone):
    folder = tmp_path_factory.mktemp("volume")
    for version in (A, B, C):
        layout.version_dir(folder, version).mkdir(parents=True)
    there = {A, B, C}
    own = StoreLabels(MadeUp(), there.__contains__)
    for step in steps:
        if step != "rollback":
            assert own.promote(step, label="x") == labels.promote(folder, step, label="x")
        else:
            here = outcome(lambda: labels.rollback_target(folder, label="x"))
            assert outcome(lambda: own.rollback_target(label="x")) == here
            if here is not None:
                publications.roll_back(folder, label="x")
                own.swap(here, label="x", expected=own.read("x"), verb="rollback")
    for version in gone:
        layout.version_dir(folder, version).rmdir()
    there -= gone
    here = outcome(lambda: labels.rollback_target(folder, label="x"))
    assert outcome(lambda: own.rollback_target(label="x")) == here


def outcome(call):
    try:
        return call()
    except NothingToRollBackToError:
        return None
