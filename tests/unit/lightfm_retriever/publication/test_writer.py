from __future__ import annotations

import os
import stat
import time
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import InvalidPublicationError, VectorError, VolumeError
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.reader import list_versions, open_publication, read_manifest
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.writer import Staging
from tests import publications


@pytest.fixture
def volume(tmp_path):
    return tmp_path / "volume"


def staged(volume):
    return sorted(path.name for path in layout.staging_dir(volume).iterdir())


def test_what_is_published_verifies_and_is_what_the_writer_returned(volume):
    with Staging(volume, clock=lambda: publications.NOON) as staging:
        publications.stage(staging)
        complete = staging.publish(publications.facts())
    assert list_versions(volume) == [complete.version]
    assert verify(volume, complete.version) == complete
    assert complete.created_at == "2026-11-24T12:00:00Z"
    assert complete.version.startswith("20261124T120000Z-")
    assert staged(volume) == []


def test_nothing_is_a_version_before_it_is_published(volume):
    with Staging(volume) as staging:
        publications.stage(staging)
        assert list_versions(volume) == []
        assert len(staged(volume)) == 1
    assert list_versions(volume) == []
    assert staged(volume) == []


def test_the_name_gives_the_second_in_utc(volume):
    zone = timezone(timedelta(hours=5, minutes=30))
    version = publications.publish(
        volume, clock=lambda: datetime(2026, 1, 1, 3, 0, 59, 999_999, tzinfo=zone)
    )
    assert version.startswith("20251231T213059Z-")
    assert read_manifest(volume, version).created_at == "2025-12-31T21:30:59Z"


def test_the_name_depends_on_the_content(volume):
    names = {
        publications.publish(volume, seed=seed, clock=lambda: publications.NOON) for seed in range(5)
    }
    assert len(names) == 5
    assert {name[:17] for name in names} == {"20261124T120000Z-"}


def test_the_same_content_in_the_same_second_takes_the_next_seconds(volume):
    names = [publications.publish(volume, clock=lambda: publications.NOON) for _ in range(3)]
    assert [name[:16] for name in names] == ["20261124T120000Z", "20261124T120001Z", "20261124T120002Z"]
    assert len({name[17:] for name in names}) == 1
    for name in names:
        verify(volume, name)


def test_a_name_that_something_else_has_taken_is_left_alone(volume):
    version = publications.publish(volume / "elsewhere", clock=lambda: publications.NOON)
    taken = layout.version_dir(volume, version)
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"a file")
    with pytest.raises(VolumeError, match="nothing was published"):
        publications.publish(volume, clock=lambda: publications.NOON)
    assert taken.read_bytes() == b"a file"
    assert staged(volume) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing_behind(volume, error):
    def fail_after_staging(staging):
        publications.stage(staging)
        raise error

    with pytest.raises(error), Staging(volume) as staging:
        fail_after_staging(staging)
    assert staged(volume) == []
    assert list_versions(volume) == []


def test_an_os_error_becomes_the_volumes(volume):
    with (
        pytest.raises(VolumeError, match=r"No space left on device; nothing was published") as caught,
        Staging(volume),
    ):
        raise OSError(28, "No space left on device", "index.annoy")
    assert caught.value.path == volume
    assert "index.annoy" in caught.value.reason
    assert isinstance(caught.value.__cause__, OSError)


def test_an_os_error_without_a_number_keeps_its_message(volume):
    """numpy raises such when it can't write everything."""
    with pytest.raises(VolumeError, match="100 requested and 7 written"), Staging(volume):
        raise OSError("100 requested and 7 written")


def test_a_volume_below_a_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(VolumeError, match="file/volume: can't be written: Not a directory"):
        publications.publish(tmp_path / "file" / "volume")


@pytest.mark.parametrize("name", layout.REQUIRED_FILES)
def test_a_required_file_that_was_not_staged_is_named(volume, name):
    with Staging(volume) as staging:
        publications.stage(staging)
        staging.path(name).unlink()
        with pytest.raises(VolumeError, match=f"nothing was published: {name} wasn't staged"):
            staging.publish(publications.facts())
    assert list_versions(volume) == []
    assert staged(volume) == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "/a", layout.MANIFEST])
def test_a_file_is_staged_under_a_plain_name_only(volume, name):
    with Staging(volume) as staging:
        with pytest.raises(ValueError, match="isn't a plain file name"):
            staging.path(name)
        with pytest.raises(ValueError, match="isn't a plain file name"):
            staging.add_array(name, np.zeros(1))


def test_what_lies_in_scratch_is_not_published(volume):
    with Staging(volume) as staging:
        publications.stage(staging)
        scratch = staging.scratch("similar")
        assert (scratch.is_dir(), list(scratch.iterdir())) == (True, [])
        (scratch / "tried.annoy").write_bytes(b"tried")
        (scratch / "deeper").mkdir()
        other = staging.scratch("recommend")
        assert list(other.iterdir()) == []
        complete = staging.publish(publications.facts())
    assert verify(volume, complete.version) == complete
    directory = layout.version_dir(volume, complete.version)
    assert sorted(path.name for path in directory.iterdir()) == sorted(
        [*publications.ALL_FILES, layout.MANIFEST]
    )
    assert not scratch.exists()
    assert not other.exists()
    assert staged(volume) == []


def test_a_file_moves_from_scratch_into_the_publication_by_its_name(volume):
    """The two lie on one file system, or an index would be copied."""
    with Staging(volume) as staging:
        publications.stage(staging)
        tried = staging.scratch("similar") / "3.annoy"
        tried.write_bytes(b"chosen")
        inode = tried.stat().st_ino
        tried.rename(staging.path(publications.SIMILAR_FILE))
        complete = staging.publish(publications.facts())
    published = layout.version_dir(volume, complete.version) / publications.SIMILAR_FILE
    assert published.stat().st_ino == inode
    assert published.read_bytes() == b"chosen"
    assert stat.S_IMODE(published.stat().st_mode) == 0o444
    verify(volume, complete.version)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("bad")])
def test_an_exception_leaves_no_scratch_behind(volume, error):
    def fail(staging):
        (staging.scratch("similar") / "half.annoy").write_bytes(b"half")
        raise error

    with pytest.raises((VolumeError, ValueError)), Staging(volume) as staging:
        fail(staging)
    assert staged(volume) == []
    assert list_versions(volume) == []


def test_scratch_of_one_name_is_made_once(volume):
    def twice(staging):
        staging.scratch("similar")
        staging.scratch("similar")

    with pytest.raises(VolumeError, match="File exists"), Staging(volume) as staging:
        twice(staging)


def test_scratch_that_a_killed_writer_left_is_removed_by_the_next(volume):
    left = layout.staging_dir(volume) / "publish-0123456789abcdef"
    (left / "scratch-similar").mkdir(parents=True)
    (left / "scratch-similar" / "1.annoy").write_bytes(b"half")
    with Staging(volume):
        assert not left.exists()


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_that_are_not_finite_are_not_staged(volume, number, dtype):
    with Staging(volume) as staging:
        with pytest.raises(VectorError, match=r"item_vectors\.npy: not every number is finite"):
            staging.add_array(layout.ITEM_VECTORS, np.array([[0, number]], dtype=dtype))
        assert not staging.path(layout.ITEM_VECTORS).exists()


def test_objects_are_not_staged(volume):
    with Staging(volume) as staging, pytest.raises(ValueError, match="allow_pickle=False"):
        staging.add_array("objects.npy", np.array([object()]))


@pytest.mark.parametrize("reorder", [np.asfortranarray, lambda array: array[::-1, ::2]])
def test_arrays_are_stored_in_c_order_whatever_their_own(volume, reorder):
    array = reorder(np.arange(24, dtype=np.float32).reshape(4, 6))
    with Staging(volume) as staging:
        staging.add_array("array.npy", array)
        stored = np.load(staging.path("array.npy"))
    assert stored.flags.c_contiguous
    np.testing.assert_array_equal(stored, array)


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


@pytest.mark.parametrize("entries", [[], ["lock"], ["lock", "files/items.trie"], ["files/items.trie"]])
def test_what_a_killed_writer_left_is_removed_by_the_next(volume, entries):
    abandoned = layout.staging_dir(volume) / "publish-0123456789abcdef"
    abandoned.mkdir(parents=True)
    for entry in entries:
        (abandoned / entry).parent.mkdir(exist_ok=True)
        (abandoned / entry).write_bytes(b"half")
    with Staging(volume):
        assert not abandoned.exists()
        assert len(staged(volume)) == 1


def test_links_that_lead_nowhere_keep_nobody_from_writing(volume):
    staging = layout.staging_dir(volume)
    staging.mkdir(parents=True)
    for name, target in (("loop", "loop"), ("odd", "x" * 300)):
        (staging / name).symlink_to(target)
    publications.publish(volume)
    for name in ("loop", "odd"):
        os.utime(staging / name, (0, 0), follow_symlinks=False)
    publications.publish(volume)
    assert not [path for path in staging.iterdir() if path.is_symlink()]


def test_a_writer_that_lives_is_left_alone(volume):
    with Staging(volume) as first:
        publications.stage(first, seed=1)
        with Staging(volume) as second:
            publications.stage(second, seed=2)
            versions = {second.publish(publications.facts()).version}
        with Staging(volume):
            versions.add(first.publish(publications.facts()).version)
    assert set(list_versions(volume)) == versions
    assert len(versions) == 2
    for version in versions:
        verify(volume, version)
    assert staged(volume) == []


@pytest.mark.parametrize(("age", "kept"), [(timedelta(minutes=1), True), (timedelta(hours=2), False)])
def test_a_labels_temporary_file_is_removed_once_its_writer_must_be_dead(volume, age, kept):
    temporary = layout.staging_dir(volume) / "label-current-0123456789abcdef"
    temporary.parent.mkdir(parents=True)
    temporary.write_bytes(b"")
    moment = time.time() - age.total_seconds()
    os.utime(temporary, (moment, moment))
    with Staging(volume):
        assert temporary.exists() == kept


def test_the_clock_is_the_present_in_utc_by_default(volume):
    before = datetime.now(UTC).replace(microsecond=0)
    version = publications.publish(volume)
    created_at = datetime.fromisoformat(read_manifest(volume, version).created_at)
    assert before <= created_at <= datetime.now(UTC)


def test_publishing_does_not_disturb_a_version_that_is_open(volume):
    first = publications.publish(volume, seed=1)
    opened = open_publication(volume, first)
    expected = opened.item_vectors.copy()
    before = publications.tree(layout.version_dir(volume, first))
    publications.publish(volume, seed=2)
    np.testing.assert_array_equal(opened.item_vectors, expected)
    assert publications.tree(layout.version_dir(volume, first)) == before


def test_what_a_reader_would_refuse_is_found_before_it_appears(volume):
    older = publications.publish(volume, clock=lambda: publications.NOON)
    with Staging(volume) as staging:
        publications.stage(staging)
        staging.path(layout.SEEN_ITEMS).unlink()
        staging.add_array(layout.SEEN_ITEMS, np.array([10**6], dtype=np.int32))
        sealed = staging.seal(publications.facts())
        with pytest.raises(InvalidPublicationError) as caught:
            staging.verify(sealed)
    # No path of a directory that is gone by now.
    assert str(caught.value).startswith("seen_")
    assert "a retriever would refuse this version, so nothing was published" in str(caught.value)
    assert list_versions(volume) == [older]
    assert staged(volume) == []


def test_what_was_verified_is_what_appears(volume):
    with Staging(volume) as staging:
        publications.stage(staging)
        sealed = staging.seal(publications.facts())
        staging.verify(sealed)
        assert list_versions(volume) == []
        assert staging.appear(sealed) == sealed
    assert verify(volume, sealed.version) == sealed


def test_a_version_that_may_not_last_is_taken_back(volume, monkeypatch):
    """Whoever published it is told that it failed, so nobody is to find it."""

    def fails(directory):
        if directory == layout.versions_dir(volume):
            raise OSError(5, "Input/output error", str(directory))

    monkeypatch.setattr("lightfm_retriever.publication.writer.fsync_directory", fails)
    with pytest.raises(VolumeError, match="Input/output error; nothing was published"):
        publications.publish(volume)
    assert list_versions(volume) == []
    assert staged(volume) == []
