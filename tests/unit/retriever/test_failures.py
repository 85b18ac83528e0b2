"""What a failure says about a version: only what is wrong with its bytes is final."""

import errno
import signal
from pathlib import Path

import pytest

from lightfm_retriever.publication import errors, manifest
from lightfm_retriever.publication.errors import PublicationError, VolumeError
from lightfm_retriever.remote.errors import RefusedError, StoreError
from retriever import failures
from retriever.errors import SnapshotError, UnverifiedError
from retriever.failures import Failure
from retriever.version_files import FilesChangedError

PATH = Path("/data/items.trie")
LACKS = [
    *(errno.EACCES, errno.EAGAIN, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.ENOSPC, errno.ESTALE, errno.ETIMEDOUT),
]
NO_FILES = [errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.ENOTDIR, None]
UNREADABLE = ImportError("libfaiss.so: cannot open shared object file: Too many open files")


PASSING = [
    *(OSError(number, "text") for number in LACKS),
    *(MemoryError(), VolumeError(PATH, "Stale file handle"), UNREADABLE),
    *(StoreError("s3://bucket", "reset"), RefusedError("s3://bucket", "the token has expired")),
    *(UnverifiedError("v", "was killed"), FilesChangedError("v")),
    RuntimeError("can't start new thread"),
]
FINAL = [
    *(OSError(number, "text") for number in NO_FILES),
    errors.InvalidPublicationError(PATH, "isn't an id map"),
    errors.MismatchError(PATH, "SHA-256", expected="a", found="b"),
    *(PublicationError("text"), SnapshotError("needs backend 'faiss'"), ModuleNotFoundError("faiss")),
    *(RuntimeError("no idea"), KeyError("x")),
]


@pytest.mark.parametrize("error", [*PASSING, *FINAL], ids=repr)
def test_what_says_nothing_about_a_version_passes_and_what_is_wrong_with_it_is_final(error):
    failure = failures.of_error(error)
    assert failure.reason
    assert (failure.passing, failure.costly) == (error in PASSING, False)


def test_what_is_not_there_passes_and_is_looked_for_seldom(tmp_path):
    with pytest.raises(errors.ManifestError) as caught:
        manifest.read(tmp_path)
    absent = [errors.MissingFileError(PATH), errors.VersionNotFoundError("v", PATH), caught.value]
    for failure in map(failures.of_error, (*absent, UnverifiedError("v", "is gone", costly=True))):
        assert (bool(failure.reason), failure.passing, failure.costly) == (True, True, True)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EMFILE, "Too many open files", "/x"), "/x: Too many open files"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (MemoryError(), "not enough memory"),
        (MemoryError("Unable to allocate 3 GiB"), "not enough memory: Unable to allocate 3 GiB"),
        (UnverifiedError("v", "was killed"), "v was killed"),
        (UNREADABLE, str(UNREADABLE)),
        (RuntimeError("no idea"), "an unexpected error: no idea"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
        # An endless one is cut.
        (PublicationError("x" * 500), "x" * 500),
        (PublicationError("x" * 501), "x" * 497 + "..."),
    ],
)
def test_the_reason_is_in_words(error, reason):
    assert failures.of_error(error).reason == reason


@pytest.mark.parametrize(
    ("statuses", "passes"),
    [
        *(((-number, -number), False) for number in (4, 5, 6, 8, 11, 31)),
        *(((-number, -number), True) for number in (7, 9, 15, 40)),
        ((-signal.SIGABRT, -signal.SIGILL), False),
        ((-signal.SIGSEGV, -signal.SIGKILL), True),
        ((1, 0), True),
    ],
)
def test_only_crashes_are_the_version_s_doing(statuses, passes):
    reason = (
        f"worker 3 ended with status {statuses[-1]} while it prepared this version, and so did "
        "another worker before it"
    )
    assert failures.of_deaths(3, statuses) == Failure(reason, passing=passes, costly=True)
