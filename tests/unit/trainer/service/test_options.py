import math
from pathlib import Path

import pytest

from lightfm_retriever.publication.volume import Volume
from trainer.errors import OptionError
from trainer.service.options import ServerOptions


def test_a_setting_out_of_range_is_named_by_its_flag():
    places = {"volume": Volume(Path("v")), "state": Path("s"), "data_dir": Path("d")}
    for name, value in (("parallel_runs", 0), ("parallel_runs", 65), ("maintenance_seconds", math.nan)):
        flag = f"--{name.replace('_', '-')}"
        with pytest.raises(OptionError, match=rf"{flag} is {value}, but should be in .*\.\."):
            ServerOptions(**places, listen="h:1", **{name: value})
