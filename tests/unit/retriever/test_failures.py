"""What a failure says about a version: only what is wrong with its bytes is final."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

import pytest

from lightfm_retriever.publication import manifest
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    ManifestError,
    MismatchError,
    MissingFileError,
    PublicationError,
    VersionNotFoundError,
    VolumeError,
)
from lightfm_retriever.remote.errors import RefusedError, StoreError
from retriever import failures
from retriever.errors import SnapshotError, UnverifiedError

PATH = Path("/data/items.trie")


@pytest.mark.parametrize(
    "number",
    [
        errno.EACCES, errno.EAGAIN, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
        errno.ENOSPC, errno.ESTALE, errno.ETIMEDOUT,
    ],
)  # fmt: skip
def test_what_the_system_lacks_passes(number):
    assert failures.is_passing(OSError(number, "text"))


@pytest.mark.parametrize("number", [errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.ENOTDIR, None])
def test_what_is_found_where_a_file_should_be_is_final(number):
    assert not failures.is_passing(OSError(number, "text"))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        VolumeError(PATH, "Stale file handle"),
        StoreError("s3://bucket", "connection reset"),
        RefusedError("s3://bucket", "the token has expired"),
        UnverifiedError("v", "was killed"),
        RuntimeError("can't start new thread"),
        ImportError("libfaiss.so: cannot open shared object file: Too many open files"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_says_nothing_about_a_version_passes(error):
    failure = failures.of_error(error)
    assert failure.passing
    assert failure.reason


@pytest.mark.parametrize("error", [MissingFileError(PATH), VersionNotFoundError("v", PATH)])
def test_what_is_not_there_passes_and_is_looked_for_seldom(error):
    failure = failures.of_error(error)
    assert (failure.passing, failure.costly) == (True, True)


def test_a_file_that_is_not_there_when_it_is_opened_is_not_there(tmp_path):
    with pytest.raises(ManifestError) as caught:
        manifest.read(tmp_path)
    assert failures.of_error(caught.value).costly


@pytest.mark.parametrize(
    "error",
    [
        InvalidPublicationError(PATH, "isn't an id map"),
        MismatchError(PATH, "SHA-256", expected="a", found="b"),
        PublicationError("text"),
        SnapshotError("needs backend 'faiss'"),
        ModuleNotFoundError("faiss"),
        RuntimeError("no idea"),
        KeyError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_wrong_with_a_version_is_final(error):
    assert not failures.of_error(error).passing


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EMFILE, "Too many open files", "/x"), "/x: Too many open files"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (MemoryError(), "not enough memory"),
        (MemoryError("Unable to allocate 3 GiB"), "not enough memory: Unable to allocate 3 GiB"),
        (MissingFileError(PATH), str(MissingFileError(PATH))),
        (RuntimeError("no idea"), "an unexpected error: no idea"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_reason_is_in_words(error, reason):
    assert failures.of_error(error).reason == reason


def test_an_endless_reason_is_cut():
    assert len(failures.of_error(PublicationError("x" * 10**6)).reason) == 500


@pytest.mark.parametrize(
    ("statuses", "passing"),
    [
        ((-signal.SIGSEGV, -signal.SIGSEGV), False),
        ((-signal.SIGABRT, -signal.SIGILL), False),
        ((-signal.SIGKILL, -signal.SIGKILL), True),
        ((-signal.SIGSEGV, -signal.SIGKILL), True),
        ((-signal.SIGBUS, -signal.SIGBUS), True),
        ((-signal.SIGTERM, -signal.SIGXCPU), True),
        ((1, 0), True),
        ((-40, -40), True),
    ],
)
def test_only_crashes_are_the_version_s_doing(statuses, passing):
    failure = failures.of_deaths(3, statuses)
    assert failure.passing is passing
    assert failure.costly
    assert f"worker 3 ended with status {statuses[-1]} while it prepared" in failure.reason
