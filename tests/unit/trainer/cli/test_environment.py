from __future__ import annotations

from pathlib import Path

import pytest

from trainer.cli.environment import Environment, from_environment


@pytest.mark.parametrize(
    "empty",
    [{}, dict.fromkeys(["TRAINER_VOLUME", "TRAINER_DATA_DIR", "TRAINER_LISTEN", "TRAINER_STATE"], "")],
)
def test_without_settings_there_are_defaults_but_no_volume(empty):
    assert from_environment(empty) == Environment(
        volume=None, data_dir=Path(".data"), listen="127.0.0.1:50052", state=None
    )


def test_settings_are_read_from_the_environment():
    environment = {
        "TRAINER_VOLUME": "/volume",
        "TRAINER_DATA_DIR": "/data sets",
        "TRAINER_LISTEN": "[::]:1",
        "TRAINER_STATE": "/state",
        "TRAINER_CACHE_DIR": "/cache",
        "TRAINER_CACHE_GB": "7",
        "VOLUME": "/other",
    }
    assert from_environment(environment) == Environment(
        volume="/volume",
        data_dir=Path("/data sets"),
        listen="[::]:1",
        target="[::]:1",
        state=Path("/state"),
        cache_dir="/cache",
        cache_gb="7",
    )
