from __future__ import annotations

from pathlib import Path

import pytest

from lightfm_retriever.publication.volume import FolderVolume
from trainer.errors import OptionError
from trainer.service.options import ServerOptions


@pytest.mark.parametrize(
    "given", [{"parallel_runs": 0}, {"parallel_runs": 65}, {"maintenance_seconds": float("nan")}]
)
def test_a_setting_out_of_range_is_named_by_its_flag(given):
    [(name, value)] = given.items()
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(OptionError, match=rf"{flag} is {value}, but should be in .*\.\."):
        ServerOptions(
            volume=FolderVolume(Path("v")), state=Path("s"), listen="h:1", data_dir=Path("d"), **given
        )
