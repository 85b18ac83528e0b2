"""Whatever happens to a file, reading the version says which one it was, and never crashes."""

from __future__ import annotations

import pytest

from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    MismatchError,
    MissingFileError,
    VolumeError,
)
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.verification import verify
from tests import publications
from tests.shortages import descriptors_left


def refused(published, name, error=InvalidPublicationError):
    with pytest.raises(error) as caught:
        verify(published.volume, published.version)
    assert caught.value.path == published.directory / name
    assert str(caught.value).startswith(str(published.directory / name))
    return caught.value


@pytest.mark.parametrize("name", publications.EXTENDED_FILES)
def test_a_file_that_is_not_as_published_is_named(extended, name):
    path = extended.directory / name
    data = path.read_bytes()
    for spoilt in (b"", data[:-1], data + b"\0"):
        publications.overwrite(path, spoilt)
        error = refused(extended, name, MismatchError)
        assert (error.what, error.expected, error.found) == ("size in bytes", len(data), len(spoilt))
    for place in (0, len(data) // 2, len(data) - 1):
        flipped = bytearray(data)
        flipped[place] ^= 1
        publications.overwrite(path, bytes(flipped))
        error = refused(extended, name, MismatchError)
        assert error.what == "SHA-256"
        assert error.expected != error.found
    path.unlink()
    refused(extended, name, MissingFileError)
    with pytest.raises(MissingFileError):
        open_publication(extended.volume, extended.version)
    path.symlink_to("nowhere")
    refused(extended, name, MissingFileError)
    path.unlink()
    path.mkdir()
    refused(extended, name)
    size = {"size": path.stat().st_size}
    publications.edit_manifest(extended.directory, lambda content: content["files"][name].update(size))
    refused(extended, name)
    if not name.endswith(".annoy"):  # which only `verify` reads
        with pytest.raises(InvalidPublicationError) as caught:
            open_publication(extended.volume, extended.version)
        assert caught.value.path == path
    path.rmdir()
    path.touch()
    publications.reseal(extended.directory, name, data)
    verify(extended.volume, extended.version)


def test_of_several_damaged_files_the_first_by_name_is_told(extended):
    for name in publications.EXTENDED_FILES[2:]:
        (extended.directory / name).unlink()
    refused(extended, publications.EXTENDED_FILES[2], MissingFileError)


def test_a_file_of_a_later_release_is_held_to_its_checksum_and_one_of_nobody_is_ignored(published):
    (published.directory / ".nfs000001").write_bytes(b"left by NFS")
    (published.directory / "popular.npy").write_bytes(b"")
    publications.reseal(published.directory, "popular.npy", b"of a later release")
    verify(published.volume, published.version)
    publications.overwrite(published.directory / "popular.npy", b"of a later rElease")
    assert "SHA-256" in str(refused(published, "popular.npy"))


@pytest.mark.parametrize("left", range(8))
def test_with_few_descriptors_left_a_version_is_not_called_invalid(published, left):
    with descriptors_left(left):
        try:
            verify(published.volume, published.version)
        except VolumeError as error:
            problem = str(error)
        else:
            problem = "none: Too many open files"
    assert problem.endswith("Too many open files")
