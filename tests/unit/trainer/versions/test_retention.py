import logging
from datetime import UTC, datetime, timedelta

import pytest

from lightfm_retriever.publication import labels, layout, reader, removal
from lightfm_retriever.publication.errors import VolumeError
from lightfm_retriever.publication.volume import Volume
from tests import publications
from trainer.errors import OptionError
from trainer.versions.retention import RetentionPolicy, collect, to_delete

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "policy", "deleted"),
    [
        ({"c": 3, "a": 1, "d": 4, "b": 2}, {"keep": 2}, "dc"),
        # What is needed is kept and takes no place of others.
        ({"a": 2, "b": 3, "needed": 4, "e": 6}, {"keep": 1}, "eb"),
        # Five by default, and the last hour.
        ({**{str(own): own / 10 for own in range(8)}, "o": 2}, {}, "o"),
        ({str(own): 2 + own for own in range(7)}, {}, "65"),
        ({str(own): own for own in range(2, 9)}, {"keep": 2, "max_age": 5 * HOUR}, "8765"),
        # Of one second the first counts as the newest, and one from the future is young.
        ({"s": 2, "f": 2}, {"keep": 1}, "f"),
        ({"now": 0, "next year": -9000, "later": -9001}, {"keep": 1}, ""),
    ],
)
def test_the_newest_are_kept_and_the_oldest_go_first(hours, policy, deleted):
    made = {name: NOW - own * HOUR for name, own in hours.items()}
    assert to_delete(made, ["needed"], RetentionPolicy(**policy), now=NOW) == [*deleted]


def test_a_value_out_of_range_is_refused_by_its_flag():
    for options in ({"keep": 0}, {"min_age": -HOUR}, {"max_age": HOUR / 2, "min_age": HOUR}):
        with pytest.raises(OptionError) as caught:
            RetentionPolicy(**options)
        assert caught.value.option == f"--{next(iter(options)).replace('_', '-')}"
    RetentionPolicy(keep=1, min_age=timedelta(0), max_age=timedelta(0))


@pytest.fixture
def six(tmp_path):
    return publications.daily(tmp_path, 6, first=publications.NOON - timedelta(days=5))


def run(tmp_path, keep):
    later = Volume(tmp_path, clock=lambda: publications.NOON + 2 * HOUR)
    return collect(later, RetentionPolicy(keep=keep))


def test_a_volume_keeps_the_newest_the_labelled_and_what_a_rollback_needs(tmp_path, six):
    for day in (0, 1, 5):
        labels.promote(tmp_path, six[day])
    labels.promote(tmp_path, six[2], label="canary")
    assert run(tmp_path, 2) == [six[0], six[3]]
    assert reader.list_versions(tmp_path) == [six[1], six[2], six[4], six[5]]


def test_a_version_counts_by_the_time_in_its_name_or_is_left_alone(tmp_path, six):
    for day in (0, 4):
        (layout.version_dir(tmp_path, six[day]) / layout.MANIFEST).unlink()
    odd = layout.version_dir(tmp_path, "20261399T000000Z-000000")
    odd.mkdir()
    label = layout.label_file(tmp_path, "current")
    label.mkdir(parents=True)
    # A label that can't be read stops the collection.
    with pytest.raises(VolumeError, match="labels/current: Is a directory"):
        run(tmp_path, 2)
    assert reader.list_versions(tmp_path) == [*six, odd.name]
    label.rmdir()
    assert run(tmp_path, 2) == six[:4]
    assert reader.list_versions(tmp_path) == [*six[4:], odd.name]


def test_labels_that_move_during_a_collection_keep_their_versions(tmp_path, six, monkeypatch):
    delete = removal.delete_version

    def delete_and_move(own, version):
        delete(own, version)
        if version == six[0]:
            labels.promote(tmp_path, six[1])
            labels.promote(tmp_path, six[2])

    monkeypatch.setattr(removal, "delete_version", delete_and_move)
    assert run(tmp_path, 1) == [six[0], six[3], six[4]]
    assert reader.list_versions(tmp_path) == [six[1], six[2], six[5]]


def test_a_version_that_stays_is_logged_and_the_others_go(tmp_path, six, monkeypatch, caplog):
    rename = removal.os.rename

    def refuse(source, target):
        if str(source).endswith(six[1]):
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(removal.os, "rename", refuse)
    with caplog.at_level(logging.WARNING, "trainer.versions.retention"):
        assert run(tmp_path, 4) == [six[0]]
    assert f"version {six[1]} can't be deleted" in caplog.text
    assert reader.list_versions(tmp_path) == six[1:]
