import math
from pathlib import Path

import pytest

from retriever.config import Config
from retriever.errors import StartError

NAME = "20261124T043500Z-3fa9c1"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *((name, 0, "in 1..") for name in ("workers", "threads", "max_calls")),
        *((name, math.nan, "in ") for name in ("heartbeat_seconds", "poll_seconds", "grace_seconds")),
        ("poll_seconds", 0, "in 0.01..3600"),
        *(("label", own, "1 to 64 of a-z") for own in ("", "Current", "1st", "x" * 65, "current\n")),
        *(("pin", own, f"a version's name, such as {NAME}") for own in ("", "current", f"../{NAME}")),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_flag(name, value, expected):
    flag = name.replace("_", "-")
    with pytest.raises(StartError, match=rf"^--{flag} is .*, but should be {expected}"):
        Config(volume=Path("volume"), **{name: value})
