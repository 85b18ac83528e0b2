"""What lacks for a while says nothing about the version that is read meanwhile."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lightfm_retriever.publication import manifest
from lightfm_retriever.publication.errors import InvalidPublicationError, VolumeError, unreadable
from lightfm_retriever.publication.layout import ITEM_IDS, ITEM_VECTORS
from lightfm_retriever.publication.storage.arrays import map_array
from lightfm_retriever.publication.storage.id_map import IdMap
from tests.shortages import descriptors_left


@pytest.mark.parametrize(
    ("read", "left"),
    [
        (manifest.read, 0),
        (lambda directory: map_array(directory / ITEM_VECTORS, "float32", (None, None)), 0),
        (lambda directory: IdMap.open(directory / ITEM_IDS), 0),
        # One is enough for us to open the file, but not for the library to map it.
        (lambda directory: IdMap.open(directory / ITEM_IDS), 1),
    ],
)
def test_each_file_is_named_that_cannot_be_opened_now(published, read, left):
    with descriptors_left(left), pytest.raises(VolumeError, match="Too many open files") as caught:
        read(published.directory)
    assert Path(caught.value.path).parent == published.directory


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (VolumeError, [errno.EMFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.EACCES]),
        (InvalidPublicationError, [errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP]),
    ],
)
def test_what_the_system_lacks_is_of_the_volume_and_what_is_found_of_the_version(kind, numbers):
    for number in numbers:
        error = unreadable(Path("x"), OSError(number, os.strerror(number)))
        assert (type(error), error.reason) == (kind, os.strerror(number))
