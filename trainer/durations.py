"""Read durations, such as 5m."""

from __future__ import annotations

import re
from datetime import timedelta

from trainer.errors import OptionError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def parse_duration(text: str, *, option: str) -> timedelta:
    """Parse a duration such as 90s, 15m, 1h or 7d, of up to 366 days. Raises OptionError."""
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds <= 366 * 86400:
        raise OptionError(option, text, "a duration such as 90s, 15m, 1h or 7d, at most a year")
    return timedelta(seconds=seconds)
