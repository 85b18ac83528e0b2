from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from lightfm_retriever.publication import layout, reader, verification
from lightfm_retriever.publication.errors import (
    LabelError,
    LabelledVersionError,
    LabelMovedError,
    MismatchError,
    NothingToRollBackToError,
    VersionNotFoundError,
    VolumeError,
)
from lightfm_retriever.publication.labels import list_labels
from lightfm_retriever.publication.labels import promote as move
from lightfm_retriever.publication.manifest import RunFacts
from lightfm_retriever.publication.removal import delete_version as delete
from lightfm_retriever.publication.volume import FolderVolume
from lightfm_retriever.publication.writer import Staging
from tests import publications
from trainer.versions import catalogue
from trainer.versions.catalogue import get, list_published, promote, rollback


@pytest.fixture
def volume(tmp_path):
    return tmp_path / "volume"


@pytest.fixture
def three(volume):
    """Three versions, oldest first."""
    return [
        publications.publish(
            volume,
            seed=day,
            clock=lambda: publications.NOON + timedelta(days=day),  # noqa: B023
        )
        for day in range(3)
    ]


def damage(volume, version):
    path = layout.version_dir(volume, version) / layout.ITEM_VECTORS
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    publications.overwrite(path, bytes(data))


def test_a_version_that_can_not_be_looked_at_has_a_problem_and_hides_no_other(volume, three):
    directory = layout.versions_dir(volume)
    odd, loop = "20991124T120000Z-000001", "20991124T120000Z-000002"
    (directory / odd).symlink_to("x" * 300)
    (directory / loop).symlink_to(loop)
    listed = list_published(FolderVolume(volume))
    assert [version.name for version in listed] == [odd, *three[::-1]]
    assert "File name too long" in listed[0].problem
    assert not any(version.problem for version in listed[1:])
    assert "File name too long" in get(FolderVolume(volume), odd).problem


@pytest.mark.parametrize("seconds", [3e11, -1e14, 2**62])
def test_a_version_written_in_no_year_that_there_is_hides_no_other(volume, three, monkeypatch, seconds):
    odd = layout.version_dir(volume, three[1])
    stat = Path.stat

    def found(path, **options):
        # Not every file system takes such a time.
        status = stat(path, **options)
        return SimpleNamespace(st_mtime=seconds, st_mode=status.st_mode) if path == odd else status

    monkeypatch.setattr(Path, "stat", found)
    listed = list_published(FolderVolume(volume))
    assert [(version.name, version.problem) for version in listed] == [
        (name, "") for name in three[::-1]
    ]


def test_versions_are_listed_newest_first_with_their_labels(volume, three):
    move(volume, three[1])
    move(volume, three[1], label="stable")
    move(volume, three[2], label="canary")
    listed = list_published(FolderVolume(volume))
    assert [version.name for version in listed] == three[::-1]
    assert [version.labels for version in listed] == [["canary"], ["current", "stable"], []]
    assert [version.problem for version in listed] == ["", "", ""]
    assert [version.manifest.version for version in listed] == three[::-1]


def test_a_version_without_a_manifest_is_listed_with_the_reason(volume, three):
    move(volume, three[1])
    (layout.version_dir(volume, three[1]) / layout.MANIFEST).unlink()
    newest, broken, oldest = list_published(FolderVolume(volume))
    assert (broken.name, broken.labels, broken.manifest) == (three[1], ["current"], None)
    assert "manifest.json: No such file or directory" in broken.problem
    assert newest.manifest is not None
    assert oldest.manifest is not None


def test_an_empty_volume_has_no_versions_and_a_missing_one_is_named(volume):
    with pytest.raises(VolumeError, match=f"{volume}: the volume doesn't exist"):
        list_published(FolderVolume(volume))
    volume.mkdir()
    assert list_published(FolderVolume(volume)) == []


def test_a_label_is_promoted_and_tells_what_it_named(volume, three):
    assert promote(FolderVolume(volume), three[0]) is None
    assert promote(FolderVolume(volume), three[2]) == three[0]
    assert promote(FolderVolume(volume), three[1], label="canary") is None
    assert list_labels(volume) == {"canary": three[1], "current": three[2]}


def test_a_label_is_rolled_back_and_tells_what_it_named(volume, three):
    for version in three:
        promote(FolderVolume(volume), version)
    assert rollback(FolderVolume(volume)) == (three[2], three[1])
    assert rollback(FolderVolume(volume)) == (three[1], three[0])
    with pytest.raises(NothingToRollBackToError):
        rollback(FolderVolume(volume))
    assert list_labels(volume) == {"current": three[0]}


def test_a_damaged_version_is_neither_promoted_nor_rolled_back_to(volume, three):
    promote(FolderVolume(volume), three[0])
    promote(FolderVolume(volume), three[1])
    damage(volume, three[0])
    damage(volume, three[2])
    with pytest.raises(MismatchError, match=r"item_vectors\.npy: SHA-256"):
        promote(FolderVolume(volume), three[2])
    with pytest.raises(MismatchError, match=r"item_vectors\.npy: SHA-256"):
        rollback(FolderVolume(volume))
    assert list_labels(volume) == {"current": three[1]}


def test_what_is_not_there_is_not_promoted(volume, three):
    promote(FolderVolume(volume), three[0])
    for name in ("20260101T000000Z-000000", "../versions", ""):
        with pytest.raises(VersionNotFoundError):
            promote(FolderVolume(volume), name)
    with pytest.raises(LabelError, match="should be 1 to 64"):
        promote(FolderVolume(volume), three[1], label="No")
    assert list_labels(volume) == {"current": three[0]}


def test_a_damaged_label_can_be_promoted_over(volume, three):
    promote(FolderVolume(volume), three[0])
    layout.label_file(volume, "current").write_text("nonsense")
    assert promote(FolderVolume(volume), three[1]) is None
    assert list_labels(volume) == {"current": three[1]}


def publish_at_noon(volume, seed, *, started_at=None, clock=lambda: publications.NOON):
    run = RunFacts(id="run", started_at=started_at or "2026-11-24T04:30:00Z", seconds={})
    with Staging(volume, clock=clock) as staging:
        publications.stage(staging, seed=seed)
        return staging.publish(publications.facts(run=run)).version


@pytest.mark.parametrize("seeds", [range(6), range(5, -1, -1)])
def test_versions_of_one_second_are_listed_by_the_start_of_their_runs(volume, seeds):
    made = [
        publish_at_noon(volume, seed, started_at=f"2026-11-24T11:59:5{second}.5+00:00")
        for second, seed in enumerate(seeds)
    ]
    assert made != sorted(made)
    # Whatever a copy makes of the directories' times.
    for second, version in enumerate(made):
        os.utime(layout.version_dir(volume, version), (100 - second, 100 - second))
    assert [version.name for version in list_published(FolderVolume(volume))] == made[::-1]


def test_versions_of_one_second_and_one_start_are_listed_by_when_they_were_written(volume):
    made = [publish_at_noon(volume, seed) for seed in range(5)]
    made.append(publish_at_noon(volume, 9, started_at="no time"))
    for second, version in enumerate(made):
        os.utime(layout.version_dir(volume, version), (second, second))
    # A start that can't be read counts as the time of publication.
    assert [version.name for version in list_published(FolderVolume(volume))] == made[::-1]


def test_a_later_second_counts_more_than_a_later_start(volume):
    later = publish_at_noon(volume, 1, clock=lambda: publications.NOON + timedelta(seconds=1))
    earlier = publish_at_noon(volume, 2, started_at="2026-11-24T12:30:00+01:00")
    assert [version.name for version in list_published(FolderVolume(volume))] == [later, earlier]


def test_a_version_tells_its_time_by_its_name_when_it_has_no_manifest(volume, three):
    (layout.version_dir(volume, three[1]) / layout.MANIFEST).unlink()
    odd = "20261399T000000Z-000000"
    layout.version_dir(volume, odd).mkdir()
    times = [version.created_at for version in list_published(FolderVolume(volume))]
    assert times == [*(publications.NOON + timedelta(days=day) for day in (2, 1, 0)), catalogue.NO_TIME]


def test_a_version_that_disappears_while_it_is_listed_is_left_out(volume, three, monkeypatch):
    read = reader.read_manifest

    def delete_first(own, version):
        if version == three[1] and reader.has_version(own, version):
            delete(own, version)
        return read(own, version)

    monkeypatch.setattr(reader, "read_manifest", delete_first)
    assert [version.name for version in list_published(FolderVolume(volume))] == [three[2], three[0]]


def test_one_version_is_found_with_its_labels_or_not_at_all(volume, three):
    move(volume, three[1], label="canary")
    found = get(FolderVolume(volume), three[1])
    assert (found.name, found.labels, found.problem) == (three[1], ["canary"], "")
    assert found.manifest.version == three[1]
    assert found == list_published(FolderVolume(volume))[1]
    for name in ("20260101T000000Z-000000", "../versions", ""):
        with pytest.raises(VersionNotFoundError):
            get(FolderVolume(volume), name)
    publications.overwrite(layout.version_dir(volume, three[0]) / layout.MANIFEST, b"[]")
    assert get(FolderVolume(volume), three[0]).manifest is None
    assert "manifest.json: should be a JSON object" in get(FolderVolume(volume), three[0]).problem


def test_a_version_is_deleted_unless_a_label_names_it(volume, three):
    promote(FolderVolume(volume), three[1])
    delete(volume, three[0])
    with pytest.raises(LabelledVersionError):
        delete(volume, three[1])
    with pytest.raises(VersionNotFoundError):
        delete(volume, three[0])
    assert [version.name for version in list_published(FolderVolume(volume))] == [three[2], three[1]]


@pytest.mark.parametrize("moved_to", [0, 1])
def test_a_label_that_moves_while_the_target_is_verified_stays_there(
    volume, three, monkeypatch, moved_to
):
    promote(FolderVolume(volume), three[1])
    promote(FolderVolume(volume), three[0])
    promote(FolderVolume(volume), three[2])
    verify = verification.verify

    def verify_and_move(own, version):
        assert version == three[0]
        verify(own, version)
        move(own, three[moved_to])

    monkeypatch.setattr(verification, "verify", verify_and_move)
    with pytest.raises(LabelMovedError, match="another process has moved it") as caught:
        rollback(FolderVolume(volume))
    assert (caught.value.expected, caught.value.found) == (three[2], three[moved_to])
    assert list_labels(volume) == {"current": three[moved_to]}


def test_a_target_that_is_deleted_while_it_is_verified_is_not_gone_back_to(volume, three, monkeypatch):
    promote(FolderVolume(volume), three[0])
    promote(FolderVolume(volume), three[1])
    verify = verification.verify

    def verify_and_delete(own, version):
        verify(own, version)
        delete(own, version)

    monkeypatch.setattr(verification, "verify", verify_and_delete)
    with pytest.raises(VersionNotFoundError):
        rollback(FolderVolume(volume))
    assert list_labels(volume) == {"current": three[1]}
