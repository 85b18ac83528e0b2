"""Whenever a publishing process is killed, what readers see is whole."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from lightfm_retriever.publication.labels import promote
from tests import publications
from tests.integration.publication.checks import assert_sound, assert_staging_is_cleaned_up


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A volume with one version, which `current` names."""
    volume = tmp_path_factory.mktemp("crash") / "template"
    promote(volume, publications.publish(volume, clock=lambda: publications.NOON - timedelta(days=1)))
    return volume


@dataclass(frozen=True)
class Killed:
    """A volume, and the operation before which the process that published to it was killed."""

    volume: Path
    at: str


@pytest.fixture(scope="module")
def killed(publisher, template):
    """A process killed before each of its file system operations, from the first to the last."""
    outcomes = []
    while True:
        number = len(outcomes) + 1
        volume = publications.copy(template, template.parent / str(number))
        outcome = publisher.run(volume, seeds=[2], at_noon=True, kill_at=number)
        if outcome["status"] == 0:
            break
        assert outcome["status"] == -signal.SIGKILL
        outcomes.append(Killed(volume, outcome["at"]))
    versions, current = assert_sound(volume)
    assert (len(versions), current) == (2, versions[1])
    return outcomes


def test_killed_before_any_operation_the_volume_is_sound_and_the_next_writer_cleans_up(
    killed, template
):
    (older,), _ = assert_sound(template)
    states = []
    for outcome in killed:
        try:
            versions, current = assert_sound(outcome.volume)
            assert_staging_is_cleaned_up(outcome.volume)
        except Exception as error:
            raise AssertionError(f"killed before {outcome.at}") from error
        assert versions[0] == older, outcome.at
        states.append((len(versions), versions.index(current)))
    # The version appears, then the label moves, and neither is ever taken back.
    assert states == sorted(states)
    assert set(states) == {(1, 0), (2, 0), (2, 1)}


def test_every_kind_of_operation_was_interrupted(killed):
    kinds = {outcome.at.split()[0] for outcome in killed}
    assert kinds >= {"open", "os.mkdir", "os.chmod", "os.fsync", "os.rename", "os.rmdir", "fcntl.flock"}
    # At the least each file is opened, sealed, flushed and measured.
    assert len(killed) > 4 * len(publications.ALL_FILES)


def test_killed_at_random_instants_the_volume_is_sound(publisher, template, tmp_path):
    volume = publications.copy(template, tmp_path / "volume")
    started = time.monotonic()
    assert publisher.run(volume, seeds=[1, 2, 3])["status"] == 0
    duration = (time.monotonic() - started) / 3
    instants = random.Random(1)  # noqa: S311
    versions, current = assert_sound(volume)
    for number in range(20):
        child = publisher.start(volume, seed=1000 * (number + 1))
        # The instant is what is tested: no event tells of it.
        time.sleep(instants.uniform(0, 4 * duration))
        os.kill(child, signal.SIGKILL)
        assert publisher.wait()["status"] == -signal.SIGKILL
        known, named = {*versions}, current
        versions, current = assert_sound(volume, verified=frozenset(known))
        added = {*versions} - known
        assert known <= {*versions}
        # Each new version is promoted before the next one is made.
        assert current in added if len(added) > 1 else current in added | {named}
    assert len(versions) > 10
    assert_staging_is_cleaned_up(volume)
