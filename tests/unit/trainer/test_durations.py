"""Durations are read as people write them."""

from datetime import timedelta

import pytest

from trainer.durations import parse_duration
from trainer.errors import OptionError


def test_a_duration_is_a_number_and_its_unit_and_all_else_is_refused_with_the_options_name():
    right = {"1s": 1, " 90s ": 90, "15m": 900, "0.5h": 1800, "366d": 366 * 86_400}
    for text, seconds in right.items():
        assert parse_duration(text, option="-") == timedelta(seconds=seconds)
    for text in ("", "h", "-1h", "0s", "1e3s", "1h30m", "1H", ".5h", "367d", "9" * 400 + "d", "1 h"):
        with pytest.raises(OptionError, match="90s, 15m, 1h or 7d") as caught:
            parse_duration(text, option="--keep-for")
        assert (caught.value.option, caught.value.value) == ("--keep-for", text)
