import os
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from lightfm_retriever.publication import errors, layout, reader, verification
from lightfm_retriever.publication.labels import list_labels
from lightfm_retriever.publication.labels import promote as move
from lightfm_retriever.publication.manifest import RunFacts
from lightfm_retriever.publication.removal import delete_version as delete
from lightfm_retriever.publication.volume import Volume
from lightfm_retriever.publication.writer import Staging
from tests import publications
from trainer.versions import catalogue
from trainer.versions.catalogue import get, list_published, promote, rollback

NOT_THERE = ("20260101T000000Z-000000", "../versions", "")


@pytest.fixture
def three(tmp_path):
    return publications.daily(tmp_path, 3)


@pytest.fixture
def volume(tmp_path):
    return Volume(tmp_path)


def names(volume):
    return [version.name for version in list_published(volume)]


def test_versions_are_listed_newest_first_with_their_labels(tmp_path, volume, three):
    for day, label in ((1, "current"), (1, "stable"), (2, "canary")):
        move(tmp_path, three[day], label=label)
    listed = list_published(volume)
    assert [version.labels for version in listed] == [["canary"], ["current", "stable"], []]
    assert [version.manifest.version for version in listed] == three[::-1]
    assert [get(volume, name) for name in three[::-1]] == listed
    for name in NOT_THERE:
        with pytest.raises(errors.VersionNotFoundError):
            get(volume, name)


def test_a_version_that_can_not_be_read_has_a_problem_and_hides_no_other(tmp_path, volume, three):
    directory = layout.versions_dir(tmp_path)
    odd, loop, month = (f"2099{day}T120000Z-000001" for day in ("1124", "1125", "1399"))
    (directory / odd).symlink_to("x" * 300)
    (directory / loop).symlink_to(loop)
    (directory / month).mkdir()
    (directory / three[1] / layout.MANIFEST).unlink()
    publications.overwrite(directory / three[0] / layout.MANIFEST, b"[]")
    listed = list_published(volume)
    # Such tell their time by their name, where it tells one.
    days = [publications.NOON + timedelta(days=day) for day in (2, 1, 0)]
    assert [version.name for version in listed] == [odd, *three[::-1], month]
    assert [version.created_at for version in listed[1:]] == [*days, catalogue.NO_TIME]
    none, array = "manifest.json: No such file or directory", "manifest.json: should be a JSON object"
    for version, problem in zip(listed, ["File name too long", "", none, array, none], strict=True):
        assert problem in version.problem
        assert (version.manifest is None) == bool(problem) == bool(version.problem)
        assert get(volume, version.name) == version


def test_a_version_of_no_year_that_there_is_hides_no_other(tmp_path, volume, three, monkeypatch):
    odd, stat = layout.version_dir(tmp_path, three[1]), Path.stat
    for seconds in (3e11, 2**62):

        def found(path, at=seconds, **options):
            # Not every file system takes such a time.
            status = stat(path, **options)
            return SimpleNamespace(st_mtime=at, st_mode=status.st_mode) if path == odd else status

        monkeypatch.setattr(Path, "stat", found)
        assert names(volume) == three[::-1]


def test_a_version_that_disappears_while_it_is_listed_is_left_out(volume, three, monkeypatch):
    read = reader.read_manifest

    def delete_first(own, version):
        if version == three[1] and reader.has_version(own, version):
            delete(own, version)
        return read(own, version)

    monkeypatch.setattr(reader, "read_manifest", delete_first)
    assert names(volume) == [three[2], three[0]]


def publish_at_noon(tmp_path, seed, started_at):
    run = RunFacts(id="run", started_at=started_at, seconds={})
    with Staging(tmp_path, clock=lambda: publications.NOON) as staging:
        publications.stage(staging, seed=seed)
        return staging.publish(publications.facts(run=run)).version


@pytest.mark.parametrize(
    ("starts", "written"),
    [
        # Whatever a copy makes of the directories' times.
        ([f"2026-11-24T11:59:5{second}.5+00:00" for second in range(6)], range(100, 94, -1)),
        # A start that can't be read counts as the time of publication, and a zone is minded.
        (["2026-11-24T04:30:00Z"] * 4 + ["2026-11-24T12:30:00+01:00", "no time"], range(6)),
    ],
)
def test_versions_of_one_second_are_listed_by_their_runs_or_as_written(
    tmp_path, volume, starts, written
):
    made = [publish_at_noon(tmp_path, seed, start) for seed, start in enumerate(starts)]
    assert made != sorted(made)
    for version, second in zip(made, written, strict=True):
        os.utime(layout.version_dir(tmp_path, version), (second, second))
    assert names(volume) == made[::-1]


def test_a_label_is_promoted_and_rolled_back_and_tells_what_it_named(tmp_path, volume, three):
    assert promote(volume, three[1], label="canary") is None
    for before, version in zip([None, *three], three, strict=False):
        assert promote(volume, version) == before
    assert rollback(volume) == (three[2], three[1])
    assert rollback(volume) == (three[1], three[0])
    with pytest.raises(errors.NothingToRollBackToError):
        rollback(volume)
    assert list_labels(tmp_path) == {"canary": three[1], "current": three[0]}
    # A damaged label is promoted over.
    layout.label_file(tmp_path, "current").write_text("nonsense")
    assert promote(volume, three[1]) is None
    layout.label_file(tmp_path, "current").write_text("nonsense")
    assert rollback(volume) == (None, three[1])


def test_what_is_damaged_or_not_there_is_neither_promoted_nor_rolled_back_to(tmp_path, volume, three):
    promote(volume, three[0])
    promote(volume, three[1])
    for version in (three[0], three[2]):
        path = layout.version_dir(tmp_path, version) / layout.ITEM_VECTORS
        publications.overwrite(path, path.read_bytes()[:-1] + b"\x77")
    for act in (lambda: promote(volume, three[2]), lambda: rollback(volume)):
        with pytest.raises(errors.MismatchError, match=r"item_vectors\.npy: SHA-256"):
            act()
    for name in NOT_THERE:
        with pytest.raises(errors.VersionNotFoundError):
            promote(volume, name)
    # A label that can't be is known before every byte is read.
    with pytest.raises(errors.LabelError, match="should be 1 to 64"):
        promote(volume, three[2], label="No")
    assert list_labels(tmp_path) == {"current": three[1]}


def test_a_label_that_moves_meanwhile_stays_there(tmp_path, volume, three, monkeypatch):
    for day in (1, 0, 2):
        promote(volume, three[day])
    verify = verification.verify

    def verify_and_move(own, version):
        assert version == three[0]
        verify(own, version)
        move(own, three[1])

    monkeypatch.setattr(verification, "verify", verify_and_move)
    with pytest.raises(errors.LabelMovedError, match="another process has moved it"):
        rollback(volume)
    assert list_labels(tmp_path) == {"current": three[1]}
