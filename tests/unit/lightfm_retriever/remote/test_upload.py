"""Bringing versions to a store: the manifest last, and nothing that is there already."""

from dataclasses import replace

import pytest

from lightfm_retriever.publication import layout, manifest, reader
from lightfm_retriever.publication.errors import MismatchError, VersionNotFoundError, VolumeError
from lightfm_retriever.remote import upload, versions
from lightfm_retriever.remote.errors import ConflictError, RefusedError, StoreError
from lightfm_retriever.remote.store import Store
from tests import publications
from tests.unit.lightfm_retriever.remote.stores import once, refusing


@pytest.fixture
def send(store, source):
    return lambda version, of=source, pauses=(): upload.upload(store, of, version, pauses=pauses)


@pytest.fixture
def is_whole(store, source):
    def check(version):
        keys = store.keys(f"versions/{version}")
        there = {key.rpartition("/")[2]: store.content(key) for key in keys}
        folder = layout.version_dir(source, version)
        return there == {path.name: path.read_bytes() for path in folder.iterdir()}

    return check


def writes(store):
    kinds = ("write", "write_if", "upload", "copy")
    return [(name, key.rpartition("/")[2]) for name, key in store.calls if name in kinds]


def test_a_version_is_brought_whole_once_its_manifest_last(store, source, version, send, is_whole):
    send(version)
    assert is_whole(version)
    assert versions.list_versions(store) == [version]
    facts = reader.read_manifest(source, version)
    *others, last = writes(store)
    assert last == ("write_if", "manifest.json")
    assert sorted(others) == [("upload", name) for name in sorted(facts.files)]
    store.calls.clear()
    send(version)
    assert writes(store) == []


def test_what_fails_is_tried_again_unless_it_is_refused(store, version, send, is_whole, monkeypatch):
    slept = []
    monkeypatch.setattr(upload.time, "sleep", slept.append)
    store.before = refusing("upload", error=RefusedError)
    with pytest.raises(RefusedError):
        send(version, pauses=(1, 2))
    assert versions.list_versions(store) == slept == []

    def reset(name, key):
        if name == "upload" and key.endswith("items.trie") and len(slept) < 3:
            raise StoreError(key, "connection reset")

    store.before = reset
    send(version, pauses=(1, 2, 4))
    assert is_whole(version)
    assert slept == [1, 2, 4]


@pytest.mark.parametrize("copies", [True, False], ids=["copied", "too large to be copied"])
def test_files_that_are_there_are_copied(store, source, names, send, is_whole, copies):
    send(names[0])
    old, new = (reader.read_manifest(source, own).files for own in names[:2])
    known = {facts.sha256 for facts in old.values()}
    same = {name for name, facts in new.items() if facts.sha256 in known}
    assert 0 < len(same) < len(new)
    store.calls.clear()
    if not copies:
        store.before = refusing("copy", text="EntityTooLarge")
    send(names[1])
    assert is_whole(names[1])
    assert {name for kind, name in writes(store) if kind == "copy"} == same
    uploaded = {name for kind, name in writes(store) if kind == "upload"}
    assert uploaded == ({*new} - same if copies else {*new})


def test_a_file_that_arrives_short_is_no_publication(store, version, send, tmp_path, monkeypatch):
    path = tmp_path / "short"
    path.write_bytes(b"short")
    whole = Store.upload

    def cut(own, key, source):
        whole(own, key, path if key.endswith("items.trie") else source)

    monkeypatch.setattr(Store, "upload", cut)
    with pytest.raises(MismatchError, match=r"s3://bucket/prefix/versions/.*/items\.trie: size in by"):
        send(version)
    assert versions.list_versions(store) == []


def test_another_version_of_the_same_name_is_left_alone(version, send, is_whole, tmp_path):
    send(version)
    made = publications.publish(tmp_path, seed=7)
    facts = reader.read_manifest(tmp_path, made)
    target = layout.version_dir(tmp_path, version)
    layout.version_dir(tmp_path, made).rename(target)
    publications.overwrite(target / "manifest.json", manifest.encode(replace(facts, version=version)))
    with pytest.raises(VolumeError, match="another trainer has published other files under this name"):
        send(version, of=tmp_path)
    assert is_whole(version)


@pytest.mark.parametrize("is_there", [True, False])
def test_two_that_bring_the_same_at_once_both_have_it(store, version, send, is_whole, is_there):
    def other():
        if is_there:
            send(version)
        else:
            # S3 answers 409 to whoever comes in the same instant.
            raise ConflictError("manifest.json", "somebody else has changed it")

    store.before = once("write_if manifest.json", other)
    send(version, pauses=() if is_there else (0.0,))
    assert is_whole(version)


def test_names_that_are_no_version_are_no_version(store, version, send):
    send(version)
    for name in ("x/manifest.json", version, f"{version[:-1]}g/manifest.json", "manifest.json"):
        store.put(f"versions/{name}", b"{}")
    assert versions.list_versions(store) == [version]
    for name in ("../versions", ""):
        with pytest.raises(VersionNotFoundError):
            versions.read_manifest(store, name)
    with pytest.raises(VersionNotFoundError):
        send("20261124T120000Z-000000")
