"""A disk that is full or read-only: an error that names the volume, and nothing half-published."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import VolumeError
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.writer import utc_now
from tests import publications
from tests.integration.disks import fill
from tests.integration.publication.checks import assert_sound

PAGE = 4096


def published_on(volume):
    """A volume with one version, and that version."""
    # Of one second's versions the name doesn't tell which is the newer.
    version = publications.publish(volume, seed=1, clock=lambda: utc_now() - timedelta(days=1))
    promote(volume, version)
    return version


def test_a_file_that_may_not_grow_publishes_nothing(publisher, tmp_path):
    """The system's limit fails the writing of each file in turn, from the largest to the smallest."""
    version = published_on(tmp_path)
    sizes = {path.stat().st_size for path in layout.version_dir(tmp_path, version).iterdir()}
    assert len(sizes) > 5
    for size in sorted(sizes, reverse=True):
        outcome = publisher.run(tmp_path, seeds=[2], file_limit=size - 1)
        assert (outcome["status"], outcome["error"]) == (1, "VolumeError")
        assert "File too large" in outcome["message"]
        assert assert_sound(tmp_path) == ([version], version)
        assert os.listdir(layout.staging_dir(tmp_path)) == []
    assert publisher.run(tmp_path, seeds=[2], file_limit=max(sizes))["status"] == 0
    assert len(assert_sound(tmp_path)[0]) == 2


def test_a_full_disk_publishes_nothing_and_a_page_more_at_a_time_leads_to_a_version(small_disk):
    disk = small_disk()
    volume = disk / "volume"
    version = published_on(volume)
    failures = 0
    for free in range(0, 40 * PAGE, PAGE):
        fill(disk, leave=free)
        try:
            newer = publications.publish(volume, seed=2)
        except VolumeError as error:
            assert str(volume) in str(error)  # noqa: PT017
            failures += 1
        else:
            break
        assert assert_sound(volume) == ([version], version)
        assert os.listdir(layout.staging_dir(volume)) == []
    # Each of the files takes a page.
    assert failures > len(publications.ALL_FILES)
    assert assert_sound(volume) == (sorted([version, newer]), version)


def test_a_full_disk_leaves_the_label_where_it_is(small_disk):
    volume = small_disk() / "volume"
    version = published_on(volume)
    newer = publications.publish(volume, seed=2)
    fill(volume.parent, leave=0)
    with pytest.raises(VolumeError, match=r"labels/current: can't be written: No space left"):
        promote(volume, newer)
    assert assert_sound(volume) == (sorted([version, newer]), version)
    assert os.listdir(layout.staging_dir(volume)) == []


def test_a_read_only_volume_is_read_and_says_so_when_written(small_disk):
    volume = small_disk() / "volume"
    version = published_on(volume)
    newer = publications.publish(volume, seed=2)
    promote(volume, newer)
    small_disk("remount", "ro")
    before = publications.tree(volume)
    with pytest.raises(VolumeError, match=f"{volume}: can't be written: Read-only file system"):
        publications.publish(volume, seed=3)
    for move in (promote, lambda *_: publications.roll_back(volume)):
        with pytest.raises(VolumeError, match=f"{volume}/labels/current: can't be written: Read-only"):
            move(volume, version)
    assert assert_sound(volume) == (sorted([version, newer]), newer)
    assert publications.tree(volume) == before
