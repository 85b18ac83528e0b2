import errno
import os
from contextlib import closing

import pytest

from tests.unit.trainer.event_log.logs import full
from trainer.event_log.errors import EventLogError
from trainer.event_log.write_ahead import WriteAheadFile, read_blocks

PAYLOADS = [b"a", b"", b"third" * 20, b"\0" * 7]

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "wal"
    with closing(WriteAheadFile.create(path)) as writer:
        ends = [writer.size]
        for payload in PAYLOADS:
            writer.append(payload)
            ends.append(writer.size)
    return path, ends


def payloads(path, *, complete=False):
    return [bytes(payload) for payload in read_blocks(path, complete=complete)[0]]


def test_cut_short_anywhere_it_has_the_blocks_before_and_goes_on_after_them(file):
    path, ends = file
    content = path.read_bytes()
    assert ends[-1] == len(content)
    for size in range(ends[0], len(content) + 1):
        path.write_bytes(content[:size])
        whole = sum(end <= size for end in ends[1:])
        assert payloads(path) == PAYLOADS[:whole]
        if size not in ends:
            with pytest.raises(EventLogError, match=f"no valid block at byte {ends[whole]}"):
                read_blocks(path, complete=True)
        with closing(WriteAheadFile.open(path, size=ends[whole])) as writer:
            writer.append(b"next")
        assert payloads(path, complete=True) == [*PAYLOADS[:whole], b"next"]


def test_one_wrong_byte_is_damage_unless_it_is_in_the_last_block(file):
    path, ends = file
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :])
        with pytest.raises(EventLogError, match=str(path)):
            read_blocks(path, complete=True)
        if at >= ends[-2]:
            assert payloads(path) == PAYLOADS[:-1]
        else:
            with pytest.raises(EventLogError, match=str(path)):
                read_blocks(path, complete=False)


def test_a_tail_of_zeros_or_of_what_looks_like_a_block_of_another_file_is_left_out(file, tmp_path):
    path, ends = file
    content = path.read_bytes()
    with closing(WriteAheadFile.create(tmp_path / "other")) as writer:
        writer.append(b"not of this file")
    for tail in (bytes(100), (tmp_path / "other").read_bytes()[ends[0] :] * 3):
        path.write_bytes(content + tail)
        assert payloads(path) == PAYLOADS


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_a_write_that_fails_half_way_is_taken_back(file, monkeypatch, call):
    path, ends = file
    pwrite = os.pwrite
    writer = WriteAheadFile.open(path, size=ends[-1])

    def fail(descriptor, *arguments):
        if len(arguments) == 2:
            data, at = arguments
            pwrite(descriptor, data[: len(data) // 2], at)
        raise OSError(errno.ENOSPC, "No space left on device")

    # Not even cutting works, as yet.
    monkeypatch.setattr(os, call, fail)
    monkeypatch.setattr(os, "ftruncate", fail)
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            writer.append(b"lost" * 10)
    monkeypatch.undo()
    assert writer.size == ends[-1]
    writer.append(b"kept")
    writer.close()
    assert payloads(path, complete=True) == [*PAYLOADS, b"kept"]


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "wal"
    for content in (b"", b"LFEVENT1", b"PAR1" * 10):
        path.write_bytes(content)
        with pytest.raises(EventLogError, match=f"{path}: its first bytes"):
            read_blocks(path, complete=False)


def test_a_new_file_that_can_not_be_made_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("lightfm_retriever.files.durable.fsync_directory", full)
    with pytest.raises(OSError, match="No space left"):
        WriteAheadFile.create(tmp_path / "wal")
    assert os.listdir(tmp_path) == []
