"""What is read again when files change, and what isn't."""

import logging
import os
from pathlib import Path
from unittest import mock

import pytest

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.security import tokens
from lightfm_retriever.hosting.security.watched_files import Reloading, WatchedFile


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("one\n")
    return file


@pytest.fixture
def watched(file):
    return tokens.watch(file)


def allowed(watched):
    return [token for token in ("one", "two") if watched.value.allow(token)]


def test_it_changes_when_the_file_does_however_it_does(file, watched, caplog):
    caplog.set_level(logging.INFO)
    watched.look()
    assert caplog.messages == []
    # In place, of the same size and time: nothing but the content tells.
    before = file.stat()
    file.write_text("two\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    watched.look()
    assert allowed(watched) == ["two"]
    new = file.with_name("new")
    new.write_text("one\ntwo\n")
    os.replace(new, file)
    watched.look()
    assert allowed(watched) == ["one", "two"]
    changed = f"--token-file {file} changed; in use:"
    assert caplog.messages == [f"{changed} 1 token", f"{changed} 2 tokens"]


@pytest.mark.timeout(30)
def test_what_is_bad_is_logged_once_and_the_old_stays(file, watched, caplog):
    for replace, message in (
        (lambda file: file.touch(), " is empty: write a token into it"),
        (lambda _: None, ": No such file or directory"),
        (lambda file: file.touch() or os.truncate(file, 1 << 30), " is larger than 4 MiB"),
        (os.mkfifo, ": is a FIFO, but should be a regular file"),
    ):
        caplog.clear()
        for _ in range(2):
            file.unlink()
            replace(file)
            watched.look()
            watched.look()
            assert allowed(watched) == ["one"]
            for read in (tokens.watch, tokens.read_first):
                with pytest.raises(HostingError, match=message):
                    read(file)
            file.unlink(missing_ok=True)
            file.write_text("one\n")
            watched.look()
        # Another time is another event.
        assert len(caplog.messages) == 2
        for line in caplog.messages:
            assert line.startswith(f"--token-file {file}{message}")
            assert line.endswith("; still in use: 1 token")


def test_what_becomes_good_without_a_change_is_taken(file):
    values = iter([tokens.Tokens((b"old",)), HostingError("not yet"), tokens.Tokens((b"new",))])
    watched = Reloading([WatchedFile("--flag", file)], mock.Mock(side_effect=values))
    file.write_text("two\n")
    for expected in (b"old", b"new"):
        watched.look()
        assert watched.value.digests == (expected,)


def test_a_client_s_token_may_come_from_a_pipe_that_its_shell_gave():
    reading, writing = os.pipe()
    os.write(writing, b"given\n")
    os.close(writing)
    assert tokens.read_first(Path(f"/dev/fd/{reading}")) == "given"
    os.close(reading)
