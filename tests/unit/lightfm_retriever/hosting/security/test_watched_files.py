"""What is read again when files change, and what isn't."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.security import certificates, tokens
from lightfm_retriever.hosting.security.settings import SecuritySettings
from tests.certificates import Secret, chain, issue, key
from tests.shortages import descriptors_left


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("one\n")
    return file


def test_it_changes_when_the_file_does_however_it_does(file, caplog):
    caplog.set_level(logging.INFO)
    watched = tokens.watch(file)
    watched.look()
    assert caplog.messages == []
    # In place, of the same size and time: nothing but the content tells.
    before = file.stat()
    file.write_text("two\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    watched.look()
    assert watched.value.allow("two")
    assert not watched.value.allow("one")
    new = file.with_name("new")
    new.write_text("one\ntwo\n")
    os.replace(new, file)
    watched.look()
    assert watched.value.allow("one")
    assert watched.value.allow("two")
    assert caplog.messages == [
        f"--token-file {file} changed; in use: 1 token",
        f"--token-file {file} changed; in use: 2 tokens",
    ]


def test_what_is_bad_is_logged_once_and_the_old_stays(file, caplog):
    watched = tokens.watch(file)
    for content, message in (
        ("", "is empty"),
        ("two words\n", "line 1: a token should be"),
        (None, "No such file or directory"),
    ):
        caplog.clear()
        file.unlink() if content is None else file.write_text(content)
        watched.look()
        watched.look()
        [line] = caplog.messages
        assert line.startswith(f"--token-file {file}")
        assert message in line
        assert line.endswith("; still in use: 1 token")
        assert watched.value.allow("one")
    caplog.clear()
    file.write_text("one\n")
    watched.look()
    file.unlink()
    watched.look()
    # Another time is another event.
    assert len(caplog.messages) == 1


def test_what_becomes_good_without_a_change_is_taken(file):
    """A certificate that isn't valid yet is so a little later."""
    watched = tokens.watch(file)
    good = watched._parse

    def refuse(contents):
        raise HostingError("not yet")

    file.write_text("two\n")
    watched._parse = refuse
    watched.look()
    assert watched.value.allow("one")
    watched._parse = good
    watched.look()
    assert watched.value.allow("two")


def test_a_file_without_end_is_refused(tmp_path):
    file = tmp_path / "large"
    with file.open("wb") as large:
        large.truncate(1 << 30)
    with pytest.raises(HostingError, match="is larger than 4 MiB"):
        tokens.watch(file)


def test_two_files_that_do_not_fit_yet_change_nothing(tmp_path, caplog):
    """A certificate that is replaced before its key."""
    old, new = issue(), issue()
    secret = Secret(tmp_path / "secret", old)
    watched = certificates.watch(SecuritySettings(cert=secret.cert, key=secret.key))
    secret.replace(chain(new), key(old))
    watched.look()
    assert watched.value.chain == chain(old)
    assert "isn't the key of" in caplog.text
    secret.replace(chain(new), key(new))
    watched.look()
    assert (watched.value.chain, watched.value.key) == (chain(new), key(new))


@pytest.mark.timeout(30)
def test_a_fifo_in_a_file_s_place_is_told_of_and_what_comes_after_it_is_read(file, caplog):
    watched = tokens.watch(file)
    file.unlink()
    os.mkfifo(file)
    watched.look()
    assert watched.value.allow("one")
    reason = f"--token-file {file}: is a FIFO, but should be a regular file"
    assert caplog.messages == [f"{reason}; still in use: 1 token"]
    with pytest.raises(HostingError, match="is a FIFO"):
        tokens.watch(file)
    with pytest.raises(HostingError, match="is a FIFO"):
        tokens.read_first(file)
    file.unlink()
    file.write_text("two\n")
    watched.look()
    assert watched.value.allow("two")


def test_a_client_s_token_may_come_from_a_pipe_that_its_shell_gave():
    reading, writing = os.pipe()
    os.write(writing, b"given\n")
    os.close(writing)
    assert tokens.read_first(Path(f"/dev/fd/{reading}")) == "given"
    os.close(reading)


def test_while_descriptors_lack_what_is_in_use_stays_so_and_it_is_read_once_there_are_some(
    file, caplog
):
    watched = tokens.watch(file)
    file.write_text("two\n")
    with descriptors_left(0):
        watched.look()
    assert watched.value.allow("one")
    assert "Too many open files; still in use" in caplog.text
    watched.look()
    assert watched.value.allow("two")
