"""Whatever happens to a file, reading the version says which one it was, and never crashes."""

import errno
import os
from pathlib import Path

import pytest

from lightfm_retriever.publication import errors, manifest
from lightfm_retriever.publication.layout import ITEM_IDS, ITEM_VECTORS
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.storage.arrays import map_array
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.verification import verify
from tests import publications
from tests.shortages import descriptors_left


def refused(published, name, error=errors.InvalidPublicationError):
    with pytest.raises(error) as caught:
        verify(published.volume, published.version)
    assert caught.value.path == published.directory / name
    assert str(caught.value).startswith(str(published.directory / name))
    return caught.value


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", publications.EXTENDED_FILES)
def test_a_file_that_is_not_as_published_is_named(extended, name):
    path = extended.directory / name
    data = path.read_bytes()
    for spoilt in (b"", data[:-1], data + b"\0"):
        publications.overwrite(path, spoilt)
        error = refused(extended, name, errors.MismatchError)
        assert (error.what, error.expected, error.found) == ("size in bytes", len(data), len(spoilt))
    for place in (0, len(data) // 2, len(data) - 1):
        flipped = bytearray(data)
        flipped[place] ^= 1
        publications.overwrite(path, bytes(flipped))
        error = refused(extended, name, errors.MismatchError)
        assert error.what == "SHA-256"
        assert error.expected != error.found
    path.unlink()
    refused(extended, name, errors.MissingFileError)
    with pytest.raises(errors.MissingFileError):
        open_publication(extended.volume, extended.version)
    path.symlink_to("nowhere")
    refused(extended, name, errors.MissingFileError)
    path.unlink()
    # Whoever waits for a FIFO does so for ever.
    for make, remove, what in ((os.mkfifo, os.unlink, "a fifo"), (os.mkdir, os.rmdir, "a directory")):
        make(path)
        assert f"is {what}" in str(refused(extended, name)).lower()
        if not name.endswith(".annoy"):  # which only `verify` reads
            with pytest.raises(errors.InvalidPublicationError) as caught:
                open_publication(extended.volume, extended.version)
            assert caught.value.path == path
        size = {"size": path.stat().st_size}
        publications.edit_manifest(
            extended.directory, lambda content, size=size: content["files"][name].update(size)
        )
        refused(extended, name)
        remove(path)
    path.touch()
    publications.reseal(extended.directory, name, data)
    verify(extended.volume, extended.version)


def test_of_several_damaged_files_the_first_by_name_is_told_and_one_of_nobody_is_ignored(extended):
    (extended.directory / ".nfs000001").write_bytes(b"left by NFS")
    (extended.directory / "popular.npy").write_bytes(b"")
    # One of a later release is held to its checksum.
    publications.reseal(extended.directory, "popular.npy", b"of a later release")
    verify(extended.volume, extended.version)
    publications.overwrite(extended.directory / "popular.npy", b"of a later rElease")
    assert "SHA-256" in str(refused(extended, "popular.npy"))
    for name in publications.EXTENDED_FILES[2:]:
        (extended.directory / name).unlink()
    refused(extended, publications.EXTENDED_FILES[2], errors.MissingFileError)


@pytest.mark.parametrize("left", range(8))
def test_with_few_descriptors_left_a_version_is_not_called_invalid(published, left):
    def open_ids(directory):
        return IdMap.open(directory / ITEM_IDS)

    readers = (manifest.read, open_ids, lambda own: map_array(own / ITEM_VECTORS, "f4", (None, None)))
    # One is enough for us to open an id map, but not for the library to map it.
    for read in {0: readers, 1: (open_ids,)}.get(left, ()):
        with descriptors_left(left), pytest.raises(errors.VolumeError, match="Too many open") as caught:
            read(published.directory)
        assert caught.value.path.parent == published.directory
    with descriptors_left(left):
        try:
            verify(published.volume, published.version)
        except errors.VolumeError as error:
            problem = str(error)
        else:
            problem = "none: Too many open files"
    assert problem.endswith("Too many open files")


def test_what_the_system_lacks_is_of_the_volume_and_what_is_found_of_the_version():
    lacks = (errno.EMFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.EACCES)
    found = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP)
    for kind, numbers in ((errors.VolumeError, lacks), (errors.InvalidPublicationError, found)):
        for number in numbers:
            error = errors.unreadable(Path("x"), OSError(number, os.strerror(number)))
            assert (type(error), error.reason) == (kind, os.strerror(number))
