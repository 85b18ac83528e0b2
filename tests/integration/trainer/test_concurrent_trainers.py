"""Trainers that publish at once don't disturb one another."""

from __future__ import annotations

import json
import os

from lightfm_retriever.publication import layout
from tests.integration.publication.checks import assert_sound
from tests.integration.trainer.conftest import start
from trainer.cli.spec_arguments import LABEL_NOT_MOVED

ROUNDS = 4


def test_two_commands_at_once_publish_two_versions_and_one_has_the_label(files, tmp_path):
    processes = [
        start("train", *files, "--seed", seed, "--volume", tmp_path, "--json") for seed in (1, 2)
    ]
    made, named = [], []
    for process in processes:
        with process:
            output, errors = process.communicate(timeout=60)
        assert process.returncode in {0, LABEL_NOT_MOVED}, errors
        made.append(json.loads(output)["version"])
        if process.returncode == 0:
            named.append(made[-1])
        else:
            assert "another process has moved it" in output
    versions, current = assert_sound(tmp_path)
    assert versions == sorted({*made})
    assert len(versions) == 2
    assert current in named
    assert os.listdir(layout.staging_dir(tmp_path)) == []


def test_two_trainers_publish_again_and_again_at_last_the_same_data(trainer, other_trainer, tmp_path):
    both = [trainer, other_trainer]
    for number, each in enumerate(both):
        own = range(ROUNDS * number, ROUNDS * (number + 1))
        each.start(tmp_path, seeds=[*own, *[2 * ROUNDS] * 3])
    assert [each.wait()["status"] for each in both] == [0, 0]
    versions, _ = assert_sound(tmp_path)
    assert len(versions) == 2 * (ROUNDS + 3)
    assert len({version.partition("-")[2] for version in versions}) == 2 * ROUNDS + 1
    assert os.listdir(layout.staging_dir(tmp_path)) == []
