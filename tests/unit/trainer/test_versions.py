from __future__ import annotations

from datetime import timedelta

import pytest

from publication import layout
from publication.errors import (
    LabelError,
    MismatchError,
    NothingToRollBackToError,
    VersionNotFoundError,
    VolumeError,
)
from publication.labels import list_labels
from publication.labels import promote as move
from tests import publications
from trainer.versions import list_published, promote, rollback


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


def test_versions_are_listed_newest_first_with_their_labels(volume, three):
    move(volume, three[1])
    move(volume, three[1], label="stable")
    move(volume, three[2], label="canary")
    listed = list_published(volume)
    assert [version.name for version in listed] == three[::-1]
    assert [version.labels for version in listed] == [["canary"], ["current", "stable"], []]
    assert [version.problem for version in listed] == ["", "", ""]
    assert [version.manifest.version for version in listed] == three[::-1]


def test_a_version_without_a_manifest_is_listed_with_the_reason(volume, three):
    move(volume, three[1])
    (layout.version_dir(volume, three[1]) / layout.MANIFEST).unlink()
    newest, broken, oldest = list_published(volume)
    assert (broken.name, broken.labels, broken.manifest) == (three[1], ["current"], None)
    assert "manifest.json: No such file or directory" in broken.problem
    assert newest.manifest is not None
    assert oldest.manifest is not None


def test_an_empty_volume_has_no_versions_and_a_missing_one_is_named(volume):
    with pytest.raises(VolumeError, match=f"{volume}: the volume doesn't exist"):
        list_published(volume)
    volume.mkdir()
    assert list_published(volume) == []


def test_a_label_is_promoted_and_tells_what_it_named(volume, three):
    assert promote(volume, three[0]) is None
    assert promote(volume, three[2]) == three[0]
    assert promote(volume, three[1], label="canary") is None
    assert list_labels(volume) == {"canary": three[1], "current": three[2]}


def test_a_label_is_rolled_back_and_tells_what_it_named(volume, three):
    for version in three:
        promote(volume, version)
    assert rollback(volume) == (three[2], three[1])
    assert rollback(volume) == (three[1], three[0])
    with pytest.raises(NothingToRollBackToError):
        rollback(volume)
    assert list_labels(volume) == {"current": three[0]}


def test_a_damaged_version_is_neither_promoted_nor_rolled_back_to(volume, three):
    promote(volume, three[0])
    promote(volume, three[1])
    damage(volume, three[0])
    damage(volume, three[2])
    with pytest.raises(MismatchError, match=r"item_vectors\.npy: SHA-256"):
        promote(volume, three[2])
    with pytest.raises(MismatchError, match=r"item_vectors\.npy: SHA-256"):
        rollback(volume)
    assert list_labels(volume) == {"current": three[1]}


def test_what_is_not_there_is_not_promoted(volume, three):
    promote(volume, three[0])
    for name in ("20260101T000000Z-000000", "../versions", ""):
        with pytest.raises(VersionNotFoundError):
            promote(volume, name)
    with pytest.raises(LabelError, match="should be 1 to 64"):
        promote(volume, three[1], label="No")
    assert list_labels(volume) == {"current": three[0]}


def test_a_damaged_label_can_be_promoted_over(volume, three):
    promote(volume, three[0])
    layout.label_file(volume, "current").write_text("nonsense")
    assert promote(volume, three[1]) is None
    assert list_labels(volume) == {"current": three[1]}
