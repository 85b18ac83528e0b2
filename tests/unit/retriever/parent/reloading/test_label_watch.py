"""Looks at the volume, driven by hand."""

import os
import queue
from unittest import mock

from lightfm_retriever.publication import layout
from retriever.parent.reloading.label_watch import LabelWatch, Seen, look
from tests import publications
from tests.clock import Clock


def overwrite(path):
    """Of the same size, at the same time by the file's own word."""
    data, stat = path.read_bytes(), path.stat()
    publications.overwrite(path, data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_it_sees_what_the_label_names_or_what_is_pinned(published):
    volume = published.volume
    seen = look(volume, "current", None)
    assert (seen.target, seen.problem) == (published.version, "")
    assert look(volume, "current", None) == seen
    pinned = "20200101T000000Z-abcdef"
    assert look(volume, "current", pinned).target == pinned
    layout.label_file(volume, "current").unlink()
    seen = look(volume, "current", None)
    assert seen.target is None
    assert str(layout.label_file(volume, "current")) in seen.problem


def test_the_fingerprint_changes_with_any_file(published):
    path = published.directory / layout.ITEM_VECTORS
    seen = {look(published.volume, "current", None)}
    for change in (
        *(overwrite, lambda path: path.chmod(0), lambda path: path.with_name("more").touch()),
        *(lambda path: path.unlink(), lambda path: path.parent.rename(path.parents[2] / "away")),
    ):
        before = len(seen)
        change(path)
        seen.add(look(published.volume, "current", None))
        assert len(seen) > before


def test_it_looks_again_when_told_to_and_survives_what_looking_raises():
    looker = mock.Mock(side_effect=[Seen("a"), RuntimeError("a bug"), Seen("b")])
    seen = queue.SimpleQueue()
    watch = LabelWatch(looker, seen.put, poll_seconds=3600)
    watch.start()
    for expected in (Seen("a"), Seen(None, "an unexpected error: a bug"), Seen("b")):
        assert seen.get(timeout=10) == expected
        watch.look_now()


def test_it_says_how_long_a_volume_has_not_answered():
    clock = Clock(100.0)
    watch = LabelWatch(lambda: Seen(None), print, poll_seconds=2, clock=clock)
    for now, silence in ((100.0, ""), (109.0, ""), (109.1, "5 s"), (112.0, "10 s")):
        clock.now = now
        assert watch.silence() == (silence and f"the volume hasn't answered for {silence}")
