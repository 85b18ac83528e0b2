"""A version disappears whole, whoever is killed when, and several processes disturb no other."""

import os
import signal
from datetime import timedelta

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.reader import list_versions
from lightfm_retriever.publication.removal import delete_version
from tests import publications
from tests.integration.disks import fill
from tests.integration.publication.checks import assert_sound, assert_staging_is_cleaned_up


def publish_two(volume):
    """Two versions; `current` names the newer."""
    older, newer = publications.daily(volume, 2)
    promote(volume, newer)
    return older, newer


def test_killed_before_any_operation_the_version_is_whole_or_gone(
    publisher, no_waiting_for_the_disk, tmp_path
):
    template = tmp_path / "template"
    older, newer = publish_two(template)
    states, kinds = [], set()
    while True:
        number = len(states) + 1
        volume = publications.copy(template, tmp_path / str(number))
        outcome = publisher.run(volume, delete=older, kill_at=number)
        if outcome["status"] == 0:
            break
        assert outcome["status"] == -signal.SIGKILL
        versions, current = assert_sound(volume, verified=frozenset([newer]))
        assert current == newer, outcome["at"]
        assert versions in ([older, newer], [newer]), outcome["at"]
        states.append(len(versions))
        kinds.add(outcome["at"].split()[0])
        assert_staging_is_cleaned_up(volume)
        assert assert_sound(volume)[0] == versions
    assert assert_sound(volume) == ([newer], newer)
    assert os.listdir(layout.staging_dir(volume)) == []
    # It is there, then it is gone, and never comes back.
    assert states == sorted(states, reverse=True)
    assert {*states} == {2, 1}
    # Each file is removed in an operation of its own after the one that hides them all.
    assert states.count(1) > len(publications.ALL_FILES)
    assert kinds >= {"os.rename", "os.remove", "os.rmdir", "fcntl.flock", "os.fsync"}


@pytest.mark.parametrize("pages", [0, 1])
def test_a_full_disk_lets_go_of_a_version_and_has_room_for_the_next(small_disk, pages):
    disk = small_disk()
    volume = disk / "volume"
    older, newer = publish_two(volume)
    fill(disk, leave=pages * 4096)
    before = os.statvfs(disk).f_bfree
    delete_version(volume, older)
    assert assert_sound(volume) == ([newer], newer)
    assert os.listdir(layout.staging_dir(volume)) == []
    assert os.statvfs(disk).f_bfree > before


def test_two_who_publish_the_same_in_the_same_second_both_do(publisher, other_publisher, tmp_path):
    both, rounds = [publisher, other_publisher], 8
    for each in both:
        each.start(tmp_path, seeds=[1] * rounds)
    assert [each.wait()["status"] for each in both] == [0, 0]
    assert_sound(tmp_path)
    seconds = [publications.NOON + timedelta(seconds=number) for number in range(2 * rounds)]
    names = [version[:16] for version in list_versions(tmp_path)]
    assert names == [f"{second:%Y%m%dT%H%M%SZ}" for second in seconds]


def test_of_several_who_delete_the_same_version_one_does(publisher, other_publisher, tmp_path):
    older, newer = publish_two(tmp_path)
    for running in (publisher, other_publisher):
        running.start(tmp_path, delete=older)
    outcomes = [running.wait() for running in (publisher, other_publisher)]
    assert sorted(outcome["status"] for outcome in outcomes) == [0, 1]
    assert {outcome.get("error") for outcome in outcomes} == {None, "VersionNotFoundError"}
    assert assert_sound(tmp_path) == ([newer], newer)
    assert os.listdir(layout.staging_dir(tmp_path)) == []
