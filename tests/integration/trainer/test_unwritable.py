"""A volume that is read-only or runs full: an error that names it, and nothing half-published."""

import os

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import VolumeError
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.reader import list_versions
from lightfm_retriever.publication.writer import Staging
from tests import publications
from tests.integration.disks import fill
from tests.integration.publication.checks import assert_sound
from trainer.index import installed, make_backends
from trainer.index.protocol import IndexTask

PAGE = 4096
BACKENDS = [backend.name for backend in installed() if backend.name != "exact"]
# NMSLIB doesn't tell why it can't write.
NO_ROOM = ("No space left on device", "written", "NMSLIB can't save the index")


def errors_of(here, *arguments):
    """What a command that fails says, in one line beside its progress."""
    status, output, errors = here(*arguments)
    assert (status, output, "Traceback" in errors) == (1, "", False)
    return errors


def test_a_volume_that_is_read_only_or_a_file_is_named(small_disk, files, tmp_path, here):
    (tmp_path / "file").touch()
    for volume, reason in (
        (small_disk("ro") / "volume", "Read-only file system"),
        (tmp_path / "file", "Not a directory"),
    ):
        errors = errors_of(here, "train", *files, "--volume", volume)
        assert f"error: {volume}: can't be written: {reason}\n" in errors


def test_labels_of_a_read_only_volume_stay(small_disk, here):
    volume = small_disk() / "volume"
    versions = [publications.publish(volume, seed=seed) for seed in (1, 2)]
    for version in versions:
        promote(volume, version)
    small_disk("remount", "ro")
    for command in (["promote", versions[0]], ["rollback"]):
        errors = errors_of(here, *command, "--volume", volume)
        assert f"error: {volume}/labels/current: " in errors
        assert "Read-only file system" in errors
        assert errors.count("\n") == 1
    assert here("verify", "--volume", volume)[0] == 0


def test_a_disk_that_runs_full_later_each_time_leads_to_a_version(trainer, small_disk):
    """Of other backends only the indexes differ, which are tested below."""
    volume = small_disk() / "volume"
    version = publications.publish(volume)
    promote(volume, version)
    failures = 0
    for free in range(0, 110 * PAGE, PAGE):
        fill(volume.parent, leave=free)
        outcome = trainer.run(volume, seeds=[1])
        if outcome["status"] == 0:
            break
        failures += 1
        assert (outcome["status"], outcome["error"]) == (1, "VolumeError"), outcome
        assert str(volume) in outcome["message"]
        assert any(reason in outcome["message"] for reason in NO_ROOM)
        versions, current = assert_sound(volume, verified=frozenset([version]))
        assert current == version
        # With the last page the version fits, but not yet the label that would name it.
        assert len(versions) == 1 or "labels/current" in outcome["message"]
        assert os.listdir(layout.staging_dir(volume)) == []
    # Each of the twenty-four files takes a page.
    assert failures > 24
    versions, current = assert_sound(volume)
    assert current in {*versions} - {version}


def test_a_file_that_may_not_grow_publishes_nothing(trainer, tmp_path):
    assert trainer.run(tmp_path, seeds=[1])["status"] == 0
    [version], _ = assert_sound(tmp_path)
    directory = layout.version_dir(tmp_path, version)
    # The manifest's depends on how many digits the timings have.
    files = [path for path in directory.iterdir() if path.name != layout.MANIFEST]
    sizes = {path.stat().st_size for path in files}
    assert len(sizes) > 5
    for size in sorted(sizes, reverse=True):
        outcome = trainer.run(tmp_path, seeds=[1], file_limit=size - 1)
        assert (outcome["status"], outcome["error"]) == (1, "VolumeError"), outcome
        assert "File too large" in outcome["message"] or "written" in outcome["message"]
        assert assert_sound(tmp_path) == ([version], version)
        assert os.listdir(layout.staging_dir(tmp_path)) == []


@pytest.mark.parametrize("items", [1, 800])
@pytest.mark.parametrize("space", ["cosine", "inner_product"])
@pytest.mark.parametrize("name", BACKENDS)
def test_an_index_is_saved_whole_or_the_disk_is_said_to_be_full(small_disk, name, space, items):
    """However large it is: for a small one only the close of the file tells."""
    disk = small_disk()
    volume = disk / "volume"
    of = np.random.default_rng(1).normal(size=(items, 9)).astype(np.float32)
    [backend] = make_backends(name)
    settings = backend.rounds(items, space)[0][0]
    with Staging(volume):
        pass

    def save(free):
        with Staging(volume) as staging:
            path = staging.scratch("index") / f"it.{name}"
            if free is not None:
                fill(disk, leave=free)
            try:
                built = backend.build(IndexTask(of, space, path, settings, seed=1))
            finally:
                (disk / "filler").unlink(missing_ok=True)
            found = built.index.search(of[0], min(10, items), built.effort.most)
            assert len(found) == min(10, items)
            return path.stat().st_size

    size = save(None)
    assert size > of.nbytes / 4
    pages = -(-size // PAGE)
    # A graph's size differs a little from run to run.
    short = pages - (2 if name == "nmslib" else 1)
    # No page, one, half of them, and nearly all.
    for free in sorted({0} | {free for free in (1, pages // 2, short) if 0 <= free <= short}):
        with pytest.raises(VolumeError, match="; nothing was published") as caught:
            save(free * PAGE)
        assert any(reason in str(caught.value) for reason in NO_ROOM)
        assert isinstance(caught.value.__cause__, OSError)
        assert list_versions(volume) == []
        assert os.listdir(layout.staging_dir(volume)) == []
    save((pages + 2) * PAGE)
