"""A FIFO in a folder that is used as a store, or in a cache, keeps nobody waiting."""

from __future__ import annotations

import os

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import LabelError, PublicationError
from lightfm_retriever.remote.errors import StoreError
from lightfm_retriever.remote.labels import read_label
from lightfm_retriever.remote.store import Store
from lightfm_retriever.remote.uses import locked

pytestmark = pytest.mark.timeout(30)


def test_a_store_that_is_a_folder_refuses_it(tmp_path):
    path = layout.label_file(tmp_path, "current")
    path.parent.mkdir()
    os.mkfifo(path)
    store = Store(tmp_path)
    for call in (
        lambda: store.read("labels/current", at_most=100),
        lambda: store.read_range("labels/current", 0, 1),
        lambda: store.upload("labels/other", path),
    ):
        with pytest.raises(StoreError, match="is a FIFO, but should be a regular file"):
            call()
    with pytest.raises((LabelError, PublicationError), match="is a FIFO"):
        read_label(store, "current")


def test_a_cache_refuses_to_lock_it(tmp_path):
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(OSError, match="is a FIFO"), locked(tmp_path / "lock"):
        pass
