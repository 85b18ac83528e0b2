import os
from pathlib import Path

import pytest

from retriever import version_files
from retriever.version_files import FilesChangedError

NAMES = ["a", "b"]


@pytest.fixture
def directory(tmp_path):
    for name in NAMES:
        (tmp_path / name).write_bytes(b"before")
    return tmp_path


def rewrite(path, onto=None):
    """In place or by another file, of equal size and time."""
    before = path.stat()
    (onto or path).write_bytes(b"after!")
    os.utime(onto or path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path):
    rewrite(path, path.with_name("other"))
    path.with_name("other").replace(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (Path.stat, ""),
        (lambda path: path.read_bytes(), ""),
        (lambda path: os.utime(path, ns=(0, path.stat().st_mtime_ns)), "a changed"),
        (replace, "a changed"),
        (rewrite, "a changed"),
        (lambda path: path.unlink(), "a vanished"),
        (lambda path: path.with_name("c").write_bytes(b"a stray one"), ""),
    ],
)
def test_what_changed_is_told(directory, change, told):
    verified = version_files.look(directory, NAMES)
    change(directory / "a")
    assert version_files.difference(verified, version_files.look(directory, NAMES)) == told
    if told:
        with pytest.raises(FilesChangedError, match=f"{told} after the version was verified"):
            version_files.check(directory, verified)
    else:
        version_files.check(directory, verified)
    # A folder that is gone has no files.
    assert version_files.look(directory / "gone", NAMES) == {}
    assert version_files.difference(verified, {}) == "a, b vanished"
