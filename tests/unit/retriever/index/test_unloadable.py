"""A library that can't load an index for want of something doesn't blame the index."""

import errno
import mmap
import os
import resource

import pytest

from lightfm_retriever.publication.errors import InvalidPublicationError, VolumeError
from retriever.index.unloadable import check_mappable, check_room, unloadable

# As the libraries say them.
OF_FAISS = "Error in faiss::FileIOReader: Error: 'f' failed: could not open /x for reading: "


@pytest.mark.parametrize(
    ("text", "passing"),
    [
        ("Unable to open: Too many open files (24)", True),
        ("Unable to open: Input/output error (5)", True),
        ("Unable to open: No such file or directory (2)", False),
        (f"{OF_FAISS}Too many open files", True),
        (f"{OF_FAISS}No such file or directory", False),
        ("Error: 'ails->ptr != MAP_FAILED' failed: could not mmap: Cannot allocate memory", True),
        ("Error: 'ret == (1)' failed: read error in /x: 0 != 1 (Input/output error)", True),
        ("Error: 'ret == (1)' failed: read error in /x: 0 != 1 (Success)", False),
        ("Check failed: Cannot open file '/x' for reading", True),
        ("Check failed: Unknown distance function code: 1651663207", False),
    ],
)
def test_what_a_library_says_tells_a_shortage_from_a_damage(tmp_path, text, passing):
    error = unloadable("It", tmp_path / "index", RuntimeError(text))
    assert isinstance(error, VolumeError if passing else InvalidPublicationError)
    assert error.path == tmp_path / "index"
    assert error.reason.startswith("It can't load it: ")


def test_without_memory_to_map_it_a_file_is_not_blamed_but_one_that_is_missing_or_empty_is(
    tmp_path, monkeypatch
):
    path = tmp_path / "index"
    with pytest.raises(InvalidPublicationError):
        check_mappable(path)
    path.touch()
    with pytest.raises(InvalidPublicationError):
        check_mappable(path)
    path.write_bytes(b"x")
    check_mappable(path)

    def no_memory(*_, **__):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(mmap, "mmap", no_memory)
    with pytest.raises(VolumeError, match="can't be mapped: Cannot allocate memory"):
        check_mappable(path)


def test_without_memory_for_a_copy_a_file_is_not_loaded(tmp_path):
    path = tmp_path / "index"
    path.write_bytes(b"x")
    check_room(path)
    # More than any process can address, and none of it is on the disk.
    with path.open("r+b") as file:
        file.truncate(1 << 43)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 42, limits[1]))
        with pytest.raises(MemoryError, match=r"needs 8796093\.0 MB"):
            check_room(path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
