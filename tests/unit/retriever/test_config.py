from __future__ import annotations

from pathlib import Path

import pytest

from retriever.config import Config
from retriever.errors import StartError


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *((name, 0, "in 1..") for name in ("workers", "threads", "max_calls")),
        *(
            (name, float("nan"), "in ")
            for name in ("heartbeat_seconds", "poll_seconds", "grace_seconds")
        ),
        ("poll_seconds", 0, "in 0.01..3600"),
        *(
            ("label", value, "1 to 64 of a-z")
            for value in ("", "Current", "1st", "x" * 65, "current\n")
        ),
        *(
            ("pin", value, "a version's name, such as 20261124T043500Z-3fa9c1")
            for value in ("", "current", "../20261124T043500Z-3fa9c1")
        ),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_flag(name, value, expected):
    flag = name.replace("_", "-")
    with pytest.raises(StartError, match=rf"^--{flag} is .*, but should be {expected}"):
        Config(volume=Path("volume"), **{name: value})
