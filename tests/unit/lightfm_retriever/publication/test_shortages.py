"""What lacks for a while says nothing about the version that is read meanwhile."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from lightfm_retriever.publication import layout, manifest, verification
from lightfm_retriever.publication.errors import InvalidPublicationError, VolumeError, unreadable
from lightfm_retriever.publication.storage.arrays import map_array
from lightfm_retriever.publication.storage.id_map import IdMap
from tests.shortages import descriptors_left


@pytest.mark.parametrize("left", range(8))
def test_with_few_descriptors_left_a_version_is_not_called_invalid(published, left):
    """How many it takes depends on the threads that read."""
    with descriptors_left(left):
        try:
            verification.verify(published.volume, published.version)
        except VolumeError as error:
            problem = str(error)
        else:
            problem = "none: Too many open files"
    assert problem.endswith("Too many open files")


def read_manifest(directory):
    manifest.read(directory)


def map_vectors(directory):
    map_array(directory / layout.ITEM_VECTORS, np.float32, (None, None))


def open_ids(directory):
    IdMap.open(directory / layout.ITEM_IDS)


@pytest.mark.parametrize("read", [read_manifest, map_vectors, open_ids])
def test_each_file_is_named_that_cannot_be_opened_now(published, read):
    with descriptors_left(0), pytest.raises(VolumeError, match="Too many open files") as caught:
        read(published.directory)
    assert Path(caught.value.path).parent == published.directory


def test_memory_that_lacks_is_no_fault_of_an_array(published, monkeypatch):
    def no_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr(np, "load", no_memory)
    with pytest.raises(MemoryError):
        map_vectors(published.directory)


@pytest.mark.parametrize("name", ["EMFILE", "ENFILE", "ENOMEM", "EIO", "ESTALE", "EACCES", "EAGAIN"])
def test_what_the_system_lacks_is_of_the_volume(name):
    number = getattr(errno, name)
    error = unreadable(Path("x"), OSError(number, os.strerror(number)))
    assert isinstance(error, VolumeError)
    assert error.reason == os.strerror(number)


@pytest.mark.parametrize("name", ["ENOENT", "EISDIR", "ENOTDIR", "ELOOP"])
def test_what_is_found_instead_of_a_file_is_of_the_version(name):
    number = getattr(errno, name)
    error = unreadable(Path("x"), OSError(number, os.strerror(number)))
    assert isinstance(error, InvalidPublicationError)
