"""Bringing versions to a store: the manifest last, and nothing that is there already."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from lightfm_retriever.publication import layout, manifest, reader, verification
from lightfm_retriever.publication.errors import MismatchError, VersionNotFoundError, VolumeError
from lightfm_retriever.remote import upload, versions
from lightfm_retriever.remote.errors import ConflictError, RefusedError, StoreError
from lightfm_retriever.remote.store import Store
from tests import publications
from tests.unit.lightfm_retriever.remote.stores import MadeUp, once

DAY = timedelta(days=1)


@pytest.fixture
def store():
    return MadeUp()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of two versions."""
    folder = tmp_path_factory.mktemp("volume")
    for day in range(2):
        at = publications.NOON + timedelta(days=day)
        publications.publish(folder, seed=day, clock=lambda at=at: at)
    return folder


@pytest.fixture
def version(folder):
    return reader.list_versions(folder)[0]


@pytest.fixture
def later(folder):
    return reader.list_versions(folder)[1]


def send(store, folder, version, *, pauses=()):
    upload.upload(store, folder, version, pauses=pauses)


def files(folder, version):
    return {path.name: path.read_bytes() for path in layout.version_dir(folder, version).iterdir()}


def stored(store, version):
    prefix = f"versions/{version}/"
    return {
        key.removeprefix(prefix): Store.read(store, key, at_most=1 << 24)[0]
        for key in store.keys(f"versions/{version}")
    }


def writes(store):
    kinds = ("write", "write_new", "write_over", "upload", "copy")
    return [(name, key.rpartition("/")[2]) for name, key in store.calls if name in kinds]


def test_a_version_is_brought_whole_and_its_manifest_last(store, folder, version):
    send(store, folder, version)
    assert stored(store, version) == files(folder, version)
    assert versions.list_versions(store) == [version]
    assert versions.read_manifest(store, version) == reader.read_manifest(folder, version)
    *others, last = writes(store)
    assert last == ("write_new", "manifest.json")
    assert {name for _, name in others} == {*files(folder, version)} - {"manifest.json"}
    assert {kind for kind, _ in others} == {"upload"}


def test_a_failure_in_the_middle_leaves_no_version(store, folder, version):
    def refuse(name, key):
        if name == "upload" and key.endswith("item_vectors.npy"):
            raise StoreError(key, "connection reset")

    store.before = refuse
    with pytest.raises(StoreError, match="connection reset"):
        send(store, folder, version)
    assert versions.list_versions(store) == []
    with pytest.raises(VersionNotFoundError):
        versions.read_manifest(store, version)
    store.before = lambda *_: None
    send(store, folder, version)
    assert stored(store, version) == files(folder, version)


def test_what_fails_is_tried_again_after_a_pause(store, folder, version, monkeypatch, caplog):
    slept = []
    monkeypatch.setattr(upload.time, "sleep", slept.append)
    failures = [3]

    def reset(name, key):
        if name == "upload" and key.endswith("items.trie") and failures[0]:
            failures[0] -= 1
            raise StoreError(key, "connection reset")

    store.before = reset
    with caplog.at_level(logging.WARNING, "lightfm_retriever.remote.upload"):
        send(store, folder, version, pauses=(1, 2, 4))
    assert stored(store, version) == files(folder, version)
    assert slept == [1, 2, 4]
    assert "connection reset; the upload tries again in 1 s" in caplog.text


def test_refused_credentials_are_not_tried_again(store, folder, version, monkeypatch):
    monkeypatch.setattr(upload.time, "sleep", lambda _: pytest.fail("it paused"))

    def refuse(name, key):
        if name == "upload":
            raise RefusedError(key, "the credentials are refused")

    store.before = refuse
    with pytest.raises(RefusedError):
        send(store, folder, version, pauses=(1, 2))


def test_what_is_there_is_not_sent_again(store, folder, version):
    send(store, folder, version)
    store.calls.clear()
    send(store, folder, version)
    assert writes(store) == []


def test_files_of_a_version_that_is_there_are_copied_in_the_store(store, folder, version, later):
    send(store, folder, version)
    old, new = (reader.read_manifest(folder, own).files for own in (version, later))
    known = {facts.sha256 for facts in old.values()}
    same = {name for name, facts in new.items() if facts.sha256 in known}
    assert 0 < len(same) < len(new)
    store.calls.clear()
    send(store, folder, later)
    assert stored(store, later) == files(folder, later)
    assert {name for kind, name in writes(store) if kind == "upload"} == {*new} - same
    assert sum(kind == "copy" for kind, _ in writes(store)) == len(same)


def test_what_cannot_be_copied_is_sent(store, folder, version, later):
    send(store, folder, version)

    def refuse(name, key):
        if name == "copy":
            raise StoreError(key, "EntityTooLarge")

    store.before = refuse
    send(store, folder, later)
    assert stored(store, later) == files(folder, later)


def test_a_file_that_arrives_short_is_no_publication(store, folder, version, tmp_path, monkeypatch):
    path = tmp_path / "short"
    path.write_bytes(b"short")
    whole = Store.upload

    def cut(own, key, source):
        whole(own, key, path if key.endswith("items.trie") else source)

    monkeypatch.setattr(Store, "upload", cut)
    with pytest.raises(
        MismatchError, match=r"s3://bucket/prefix/versions/.*/items\.trie: size in bytes"
    ):
        send(store, folder, version)
    assert versions.list_versions(store) == []


def test_another_version_of_the_same_name_is_left_alone(store, folder, version, tmp_path):
    send(store, folder, version)
    before = stored(store, version)
    other = tmp_path / "other"
    publications.publish(other, seed=7)
    made = reader.list_versions(other)[0]
    facts = reader.read_manifest(other, made)
    target = layout.version_dir(other, version)
    layout.version_dir(other, made).rename(target)
    publications.overwrite(target / "manifest.json", manifest.encode(replace(facts, version=version)))
    with pytest.raises(VolumeError, match="another trainer has published other files under this name"):
        send(store, other, version)
    assert stored(store, version) == before


def test_two_that_bring_the_same_at_once_both_have_it(store, folder, version):
    store.before = once("write_new manifest.json", lambda: send(store, folder, version))
    send(store, folder, version)
    assert stored(store, version) == files(folder, version)


def test_a_conflict_with_nobody_is_tried_again(store, folder, version):
    """S3 answers 409 to whoever comes in the same instant."""

    def conflict():
        raise ConflictError("manifest.json", "somebody else has changed it")

    store.before = once("write_new manifest.json", conflict)
    send(store, folder, version, pauses=(0.0,))
    assert stored(store, version) == files(folder, version)


def test_a_folder_without_conditional_writes_takes_versions_too(folder, version, tmp_path):
    target = tmp_path / "store"
    target.mkdir()
    store = Store(target)
    send(store, folder, version)
    # And is a volume then.
    assert verification.verify(target, version) == reader.read_manifest(folder, version)


def test_what_is_not_in_the_folder_is_not_brought(store, folder):
    with pytest.raises(VersionNotFoundError):
        send(store, folder, "20261124T120000Z-000000")


def test_names_that_are_no_version_are_no_version(store, folder, version):
    send(store, folder, version)
    for key in (
        "versions/x/manifest.json",
        "versions/20261399/manifest.json",
        f"versions/{version}",
        f"versions/{version[:-1]}g/manifest.json",
        "versions/manifest.json",
    ):
        store.put(key, b"{}")
    assert versions.list_versions(store) == [version]
    for name in ("../versions", "x", ""):
        with pytest.raises(VersionNotFoundError):
            versions.read_manifest(store, name)


def test_what_others_gave_up_is_removed_by_the_clock_of_the_store(store, folder, version):
    send(store, folder, version)
    young, old = "20261124T120001Z-000001", "20261124T120002Z-000002"
    for name in (young, old):
        store.put(f"versions/{name}/items.trie", b"1")
        store.put(f"versions/{name}/users.trie", b"1")
    now = store.facts(f"versions/{young}/items.trie").modified_at
    store.ages = {
        f"versions/{old}": DAY + timedelta(seconds=1),
        f"versions/{young}/items": 9 * DAY,
        f"versions/{version}": 9 * DAY,
    }
    assert upload.half_written(store) == [young, old]
    assert upload.remove_abandoned(store, [young, old], now=now) == [old]
    assert upload.half_written(store) == [young]
    assert versions.list_versions(store) == [version]


def test_a_version_whose_manifest_has_come_since_is_not_given_up(store, folder, version):
    send(store, folder, version)
    now = store.facts(f"versions/{version}/manifest.json").modified_at + 9 * DAY
    assert upload.remove_abandoned(store, [version], now=now) == []
    assert stored(store, version) == files(folder, version)
