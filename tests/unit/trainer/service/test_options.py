from __future__ import annotations

from pathlib import Path

import pytest

from lightfm_retriever.publication.volume import FolderVolume
from trainer.errors import OptionError
from trainer.service.options import ServerOptions


def options(**given):
    volume = FolderVolume(Path("volume"))
    return ServerOptions(volume=volume, state=Path("s"), listen="h:1", data_dir=Path("d"), **given)


@pytest.mark.parametrize(
    ("name", "least", "most", "beyond"),
    [
        ("parallel_runs", 1, 64, (0, 65)),
        ("maintenance_seconds", 0.05, 3600, (0.04, 3601, float("nan"))),
    ],
)
def test_a_setting_out_of_range_is_named_by_its_flag(name, least, most, beyond):
    for value in (least, most):
        assert getattr(options(**{name: value}), name) == value
    for value in beyond:
        with pytest.raises(
            OptionError, match=f"is {value}, but should be in {least}..{most}"
        ) as caught:
            options(**{name: value})
        assert caught.value.option == f"--{name.replace('_', '-')}"
