import fcntl
import os
import stat
import time
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from lightfm_retriever.publication import layout, writer
from lightfm_retriever.publication.errors import InvalidPublicationError, VectorError, VolumeError
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.reader import list_versions, read_manifest
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.writer import Staging
from tests import publications


@pytest.fixture
def volume(tmp_path):
    return tmp_path / "volume"


def staged(volume):
    return os.listdir(layout.staging_dir(volume))


def assert_published(volume, *versions):
    assert (list_versions(volume), staged(volume)) == ([*versions], [])


def test_what_was_verified_is_what_appears_and_nothing_before(volume):
    with Staging(volume, clock=lambda: publications.NOON) as staging:
        publications.stage(staging)
        sealed = staging.seal(publications.facts())
        staging.verify(sealed)
        assert list_versions(volume) == []
        assert len(staged(volume)) == 1
        assert staging.appear(sealed) == sealed
    assert_published(volume, sealed.version)
    assert verify(volume, sealed.version) == sealed
    assert sealed.created_at == "2026-11-24T12:00:00Z"
    assert sealed.version.startswith("20261124T120000Z-")


def test_the_name_gives_the_second_in_utc_and_the_content_and_the_same_takes_the_next_seconds(volume):
    zone = timezone(timedelta(hours=5, minutes=30))
    late = datetime(2026, 1, 1, 3, 0, 59, 999_999, tzinfo=zone)
    version = publications.publish(volume, clock=lambda: late)
    assert version.startswith("20251231T213059Z-")
    assert read_manifest(volume, version).created_at == "2025-12-31T21:30:59Z"
    noon = {"clock": lambda: publications.NOON}
    names = [publications.publish(volume, seed=seed, **noon) for seed in (1, 2, 3, 1, 1)]
    seconds = [name[:17] for name in names]
    assert seconds == [f"20261124T12000{second}Z-" for second in (0, 0, 0, 1, 2)]
    assert len({name[17:] for name in names}) == 3
    verify(volume, names[-1])
    # A name that something else has taken is left alone.
    taken = layout.version_dir(volume / "other", names[0])
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"a file")
    with pytest.raises(VolumeError, match="nothing was published"):
        publications.publish(volume / "other", seed=1, **noon)
    assert taken.read_bytes() == b"a file"
    assert staged(volume / "other") == []


def test_another_user_may_read_everything_whatever_the_umask(volume):
    mask = os.umask(0o077)
    try:
        version = publications.publish(volume)
        promote(volume, version)
    finally:
        os.umask(mask)
    shared = [volume, layout.versions_dir(volume), layout.label_file(volume, "current").parent]
    assert [stat.S_IMODE(path.stat().st_mode) for path in shared] == [0o755] * 3
    directory = layout.version_dir(volume, version)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o755
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o444}
    assert stat.S_IMODE(layout.label_file(volume, "current").stat().st_mode) == 0o644


def test_an_exception_leaves_nothing_behind_and_the_systems_become_the_volumes(volume):
    def fail_after_staging(error):
        with Staging(volume) as staging:
            publications.stage(staging)
            (staging.scratch("similar") / "half.annoy").write_bytes(b"half")
            raise error

    full = OSError(28, "No space left on device", "index.annoy")
    for error, expected, reason in (
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (full, VolumeError, r"index\.annoy: No space left on device; nothing was published"),
        # numpy raises such when it can't write everything.
        (OSError("100 requested and 7 written"), VolumeError, "100 requested and 7 written; nothing"),
    ):
        with pytest.raises(expected, match=reason):
            fail_after_staging(error)
        assert_published(volume)


def test_a_required_file_that_was_not_staged_is_named(volume):
    for name in layout.REQUIRED_FILES["vectors"]:
        with Staging(volume) as staging:
            publications.stage(staging)
            staging.path(name).unlink()
            with pytest.raises(VolumeError, match=f"nothing was published: {name} wasn't staged"):
                staging.publish(publications.facts())
    assert_published(volume)


def test_what_a_reader_would_refuse_is_found_before_it_appears(volume):
    older = publications.publish(volume)
    with Staging(volume) as staging:
        publications.stage(staging)
        staging.path(layout.SEEN_ITEMS).unlink()
        staging.add_array(layout.SEEN_ITEMS, np.array([10**6], dtype=np.int32))
        sealed = staging.seal(publications.facts())
        with pytest.raises(InvalidPublicationError) as caught:
            staging.verify(sealed)
    # No path of a directory that is gone by now.
    assert str(caught.value).startswith("seen_")
    assert "nothing was published, because a retriever would refuse this version" in str(caught.value)
    assert_published(volume, older)


def test_a_version_that_may_not_last_is_taken_back(volume, monkeypatch):
    """Whoever published it is told that it failed, so nobody is to find it."""

    def fails(directory):
        if directory == layout.versions_dir(volume):
            raise OSError(5, "Input/output error", str(directory))

    monkeypatch.setattr(writer, "fsync_directory", fails)
    with pytest.raises(VolumeError, match="Input/output error; nothing was published"):
        publications.publish(volume)
    assert_published(volume)


def test_what_lies_in_scratch_is_not_published_but_a_file_may_move_from_there(volume):
    with Staging(volume) as staging:
        publications.stage(staging)
        scratch, other = (staging.scratch(name) for name in ("similar", "recommend"))
        assert [*scratch.iterdir(), *other.iterdir()] == []
        for name in ("tried", "chosen"):
            (scratch / name).write_text(name)
        (scratch / "chosen").rename(staging.path(publications.SIMILAR_FILE))
        directory = layout.version_dir(volume, staging.publish(publications.facts()).version)
    assert (directory / publications.SIMILAR_FILE).read_text() == "chosen"
    assert {*os.listdir(directory)} == {*publications.ALL_FILES, layout.MANIFEST}


def test_arrays_are_staged_in_c_order_but_no_infinite_numbers_objects_and_odd_names(volume):
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    with Staging(volume) as staging:
        for name, own in (("fortran.npy", np.asfortranarray(array)), ("odd.npy", array[::-1, ::2])):
            staging.add_array(name, own)
            stored = np.load(staging.path(name))
            assert stored.flags.c_contiguous
            np.testing.assert_array_equal(stored, own)
        for number in (np.nan, np.inf, -np.inf):
            with pytest.raises(VectorError, match=r"item_vectors\.npy: not every number is finite"):
                staging.add_array(layout.ITEM_VECTORS, np.array([[0, number]], dtype=np.float32))
            # Where NaN stands for none, infinity doesn't.
            if not np.isnan(number):
                with pytest.raises(VectorError, match=r"numbers\.npy: not every number is finite"):
                    staging.add_array(layout.NUMBERS, np.array([[np.nan, number]]))
        assert not staging.path(layout.ITEM_VECTORS).exists()
        for name in ("..", layout.MANIFEST):
            with pytest.raises(ValueError, match="isn't a plain file name"):
                staging.add_array(name, np.zeros(1))
        with pytest.raises(ValueError, match="allow_pickle=False"):
            staging.add_array("objects.npy", np.array([object()]))


@pytest.mark.parametrize("entries", [[], ["lock"], ["lock", "files/items.trie"], ["scratch-x/1.annoy"]])
def test_what_a_killed_writer_left_is_removed_under_its_lock(volume, monkeypatch, entries):
    """Otherwise a writer that makes its directory at that moment loses it while it writes."""
    abandoned = layout.staging_dir(volume) / "publish-0123456789abcdef"
    abandoned.mkdir(parents=True)
    for entry in entries:
        (abandoned / entry).parent.mkdir(exist_ok=True)
        (abandoned / entry).write_bytes(b"half")
    remove, removed = writer.shutil.rmtree, []

    def remove_locked(path, **options):
        if path == abandoned:
            with (abandoned / "lock").open("a") as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            removed.append(path)
        remove(path, **options)

    monkeypatch.setattr(writer.shutil, "rmtree", remove_locked)
    open_before = len(os.listdir("/proc/self/fd"))
    with Staging(volume):
        assert removed == [abandoned]
        assert not abandoned.exists()
        assert len(staged(volume)) == 1
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_a_writer_that_lives_is_left_alone(volume):
    with Staging(volume) as first:
        publications.stage(first, seed=1)
        second = publications.publish(volume, seed=2)
        with Staging(volume):
            version = first.publish(publications.facts()).version
    assert_published(volume, *sorted([second, version]))
    verify(volume, version)


def test_a_labels_temporary_file_or_a_link_is_removed_once_its_writer_must_be_dead(volume):
    staging = layout.staging_dir(volume)
    staging.mkdir(parents=True)
    (staging / "label-current-0123456789abcdef").write_bytes(b"")
    for name, target in (("loop", "loop"), ("odd", "x" * 300)):
        (staging / name).symlink_to(target)
    for minutes, kept in ((59, 3), (61, 0)):
        moment = time.time() - 60 * minutes
        for path in staging.iterdir():
            os.utime(path, (moment, moment), follow_symlinks=False)
        publications.publish(volume)
        assert len(staged(volume)) == kept
