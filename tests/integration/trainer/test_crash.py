"""Whenever a trainer is killed, what readers see is whole."""

import contextlib
import os
import random
import signal
import time

from lightfm_retriever.publication import layout
from retriever.answering.snapshot import open_snapshot
from retriever.worker.warm_up import warm_up
from tests.integration.publication.checks import assert_sound, assert_staging_is_cleaned_up
from tests.integration.trainer.conftest import start

KILLS = 20


def abandoned(volume):
    return [name for name in os.listdir(layout.staging_dir(volume)) if name.startswith("publish-")]


def test_killed_at_random_instants_of_its_publishing_the_volume_is_sound(trainer, tmp_path):
    trainer.start(tmp_path, seeds=[0])
    trainer.wait_for_publishing()
    started = time.monotonic()
    assert trainer.wait()["status"] == 0
    duration = time.monotonic() - started
    versions, current = assert_sound(tmp_path)
    instants = random.Random(1)  # noqa: S311
    published, left_behind = 0, 0
    for number in range(1, KILLS + 1):
        child = trainer.start(tmp_path, seeds=[number])
        trainer.wait_for_publishing()
        # The instant is what is tested: no event tells of it.
        time.sleep(instants.uniform(0, 1.2 * duration))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        status = trainer.wait()["status"]
        assert status in (0, -signal.SIGKILL)
        known, named = {*versions}, current
        versions, current = assert_sound(tmp_path, verified=frozenset(known))
        # And as a retriever would: open it, and ask both questions.
        warm_up(open_snapshot(tmp_path, current))
        added = {*versions} - known
        assert known <= {*versions}
        assert len(added) <= 1
        assert current in added | {named}
        if status == 0:
            assert {current} == added
        published += len(added)
        # What the killed ones before left is gone by the time that another one publishes.
        assert len(abandoned(tmp_path)) <= 1
        left_behind += len(abandoned(tmp_path))
    assert 0 < published < KILLS
    assert left_behind
    assert trainer.run(tmp_path, seeds=[KILLS + 1])["status"] == 0
    assert abandoned(tmp_path) == []
    assert_staging_is_cleaned_up(tmp_path)


def test_the_command_killed_about_when_it_publishes_leaves_a_sound_volume(trainer, files, tmp_path):
    assert trainer.run(tmp_path, seeds=[0])["status"] == 0
    versions, current = assert_sound(tmp_path)
    instants = random.Random(1)  # noqa: S311
    killed = 0
    for number in range(3):
        with start("train", *files, "--seed", number, "--volume", tmp_path) as process:
            # A line for the training is written when it ends.
            process.stderr.readline()
            time.sleep(instants.uniform(0, 0.06))
            process.kill()
        assert process.returncode in (0, -signal.SIGKILL)
        killed += process.returncode != 0
        known, named = {*versions}, current
        versions, current = assert_sound(tmp_path, verified=frozenset(known))
        warm_up(open_snapshot(tmp_path, current))
        assert current in {*versions} - known | {named}
    assert killed
    assert trainer.run(tmp_path, seeds=[1])["status"] == 0
    assert abandoned(tmp_path) == []
