"""The thin wrapper of the library, on a folder and in memory."""

import os

import pytest
from obstore import exceptions

from lightfm_retriever.publication.errors import LabelError
from lightfm_retriever.remote.errors import ConflictError, ObjectMissingError, RefusedError, StoreError
from lightfm_retriever.remote.labels import read_label
from lightfm_retriever.remote.store import Store
from tests.unit.lightfm_retriever.remote.stores import MadeUp


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    return Store(tmp_path) if request.param == "folder" else MadeUp()


def test_what_is_written_is_read_listed_and_deleted_and_what_is_missing_named(store, tmp_path):
    facts = store.write("a/b/c", b"text")
    assert facts.size == 4
    assert store.facts("a/b/c") == facts
    assert store.read("a/b/c", at_most=4) == (b"text", facts.mark)
    assert bytes(store.read_range("a/b/c", 1, 3)) == b"ex"
    store.copy("a/b/c", "a/other")
    assert sorted(store.objects("a")) == ["a/b/c", "a/other"]
    assert store.objects("a/b") == {"a/b/c": facts}
    assert store.objects("none") == {}
    store.delete(["a/b/c", "a/never"])
    assert not store.exists("a/b/c")
    assert store.exists("a/other")
    path = tmp_path / "file"
    # More than a piece.
    path.write_bytes(bytes(range(256)) * 40_000)
    store.upload("a/file", path)
    assert store.read("a/file", at_most=1 << 24)[0] == path.read_bytes()
    for call in (
        lambda: store.read("a/none", at_most=1),
        lambda: store.facts("a/none"),
        lambda: store.copy("a/none", "b"),
    ):
        with pytest.raises(ObjectMissingError, match=f"{store}/a/none: doesn't exist"):
            call()
    store.write("a/long", b"12345")
    with pytest.raises(StoreError, match="a/long: is larger than 4 bytes"):
        store.read("a/long", at_most=4)


def test_only_what_was_read_is_written_over(store, caplog):
    for key in ("a", "b"):
        store.write_if(key, b"1", None)
        with pytest.raises(ConflictError, match=f"{store}/{key}: another process has changed it"):
            store.write_if(key, b"2", None)
        _, mark = store.read(key, at_most=1)
        store.write_if(key, b"3", mark)
        for gone in (key, "gone"):
            with pytest.raises(ConflictError):
                store.write_if(gone, b"4", mark)
        assert store.read(key, at_most=1)[0] == b"3"
    assert caplog.text.count("let only one trainer at a time") == (not isinstance(store, MadeUp))


def test_what_the_library_says_of_a_listing_is_understood():
    gone, refused = ": the bucket doesn't exist", "/labels: the credentials are refused"
    for said, kind, message in (
        ("404: <Code>NoSuchBucket</Code>", StoreError, f"{gone} (the store answers NoSuchBucket)"),
        ("403 Forbidden: <Code>No</Code>", RefusedError, f"{refused}: the store answers No"),
        ("500\n\nDebug source:\nA { a, b }", StoreError, "/labels: GET the store in 3ms - 500"),
    ):
        with pytest.raises(StoreError) as caught, MadeUp()._errors("labels"):
            raise exceptions.GenericError(f"GET http://h/b?list-type=2 in 3ms - {said}")
        assert (type(caught.value), str(caught.value)) == (kind, f"s3://bucket/prefix{message}")


@pytest.mark.timeout(30)
def test_a_fifo_in_a_folder_that_is_a_store_keeps_nobody_waiting(tmp_path):
    path = tmp_path / "labels/current"
    path.parent.mkdir()
    os.mkfifo(path)
    store = Store(tmp_path)
    for call in (
        lambda: store.read("labels/current", at_most=100),
        lambda: store.read_range("labels/current", 0, 1),
        lambda: store.upload("labels/other", path),
        lambda: read_label(store, "current"),
    ):
        with pytest.raises((StoreError, LabelError), match="is a FIFO, but should be a regular file"):
            call()
