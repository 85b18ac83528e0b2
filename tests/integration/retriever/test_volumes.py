"""A volume that isn't as it should be: the version before it serves, the status says why, and no
restart is needed. Labels that name nothing and a volume that is gone are in load/campaign.py."""

import os
import subprocess

import pytest

from lightfm_retriever.publication import labels, layout
from retriever.__main__ import main
from tests.integration import disks
from tests.load import callers, faults, models

WITHOUT_ROOTS_RIGHTS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]


@pytest.fixture(scope="module")
def shared(start_once, tmp_path_factory):
    """A volume, and a service of it that each test leaves with a version that it serves."""
    volume = tmp_path_factory.mktemp("shared") / "volume"
    labels.promote(volume, models.publish(volume, "a", 1).version)
    # Nobody made these.
    for number in range(3000):
        layout.version_dir(volume, f"20250101T000000Z-{number:06x}").mkdir()
    (volume / "notes.txt").write_text("hello")
    (volume / layout.LABELS / ".current.swp").write_bytes(b"\0")
    (layout.versions_dir(volume) / "lost+found").mkdir()
    return start_once(volume), volume


def label_path(volume):
    return layout.label_file(volume, layout.DEFAULT_LABEL)


def failed(status, version):
    """Why it can't be served, if that was found."""
    return next((one.reason for one in status.failed_versions if one.version == version), "")


def test_a_label_and_a_version_that_may_not_be_read(start, volume):
    if subprocess.run([*WITHOUT_ROOTS_RIGHTS, "true"], check=False).returncode:
        pytest.skip("setpriv can't take root's rights away here")
    prefix = WITHOUT_ROOTS_RIGHTS if os.geteuid() == 0 else []
    service = start(volume, prefix=prefix)
    before = service.status().version
    label_path(volume).chmod(0)
    status = service.wait_until(lambda status: status.label_problem)
    assert "Permission denied" in status.label_problem
    assert status.version == before
    label_path(volume).chmod(0o644)
    newer = models.publish(volume, "b", 2).version
    file = layout.version_dir(volume, newer) / layout.USER_VECTORS
    file.chmod(0)
    labels.promote(volume, newer)
    status = service.wait_until(lambda status: status.failed_versions)
    assert status.version == before
    assert "Permission denied" in status.failed_versions[0].reason
    # Nothing but the rights changes, and that is enough to try it again.
    file.chmod(0o444)
    service.wait_until_all_serve(newer)


def test_a_version_that_comes_after_its_label(shared):
    service, volume = shared
    before = service.status().version
    later = models.publish(volume, "a", 3).version
    directory = layout.version_dir(volume, later)
    directory.rename(volume / "copied")
    faults.write_label(volume, later.encode())
    status = service.wait_until(lambda status: failed(status, later))
    assert status.version == before
    # As a slow copy does: the files come one after the other, the manifest anywhere among them.
    directory.mkdir()
    for path in sorted((volume / "copied").iterdir()):
        path.rename(directory / path.name)
    service.wait_until_all_serve(later)


def test_a_volume_that_does_not_answer_holds_nobody_up(start, volume):
    service = start(volume)
    before = service.status().version
    with disks.hanging(volume / layout.LABELS):
        service.wait_until(lambda status: "hasn't answered" in status.label_problem)
        with callers.connection(service.target) as ask:
            assert ask("Recommend", models.USER_IDS[0])[0] == before
        assert service.terminate() == 0


def test_a_label_that_is_no_file_is_told_of_and_the_next_one_is_followed(shared):
    service, volume = shared
    before = service.status().version
    path = label_path(volume)
    path.unlink()
    path.mkdir()
    # There is a moment in between when it is none at all.
    service.wait_until(lambda status: "Is a directory" in status.label_problem)
    path.rmdir()
    faults.replace_by_fifo(path)
    service.wait_until(lambda status: "is a FIFO, but should be a regular file" in status.label_problem)
    with callers.connection(service.target) as ask:
        assert ask("Recommend", models.USER_IDS[0])[0] == before
    newer = models.publish(volume, "b", 99).version
    labels.promote(volume, newer)
    assert not service.wait_until_all_serve(newer).label_problem
    # Nor does a version with such a file stop it.
    odd = models.publish(volume, "c", 3).version
    faults.replace_by_fifo(layout.version_dir(volume, odd) / layout.USER_VECTORS)
    labels.promote(volume, odd)
    service.wait_until(lambda status: "is a FIFO" in failed(status, odd))
    labels.promote(volume, before)
    service.wait_until_all_serve(before)


def test_a_pinned_version_is_served_whatever_the_label_names(start, volume, capsys):
    pinned = labels.read_label(volume, "current")
    labels.promote(volume, models.publish(volume, "b", 2).version)
    service = start(volume, workers=1, pin=pinned)
    status = service.status()
    assert (status.version, status.label, status.label_target) == (pinned, "", pinned)
    assert main(["status", "--target", service.target]) == 0
    assert f"pinned  to {pinned}" in capsys.readouterr().out
