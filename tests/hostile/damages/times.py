"""Times of a wrong clock, of another unit or form, or that aren't there."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tests.hostile.damage import changes, kind
from tests.hostile.draft import SHARES, Draft
from tests.hostile.writing import TABLES

_ALL = (*TABLES, "events")
_BY_TIME = ("last-days", "half-life", "time", "plain", "leave-last-k")
_DAY = 86_400
_ALL_ROWS = {"share": ["all"]}
_CAUSE = r"timestamp|clock|\bfuture\b|days? ahead|newest interaction"
_times = partial(changes, "timestamp", cause=_CAUSE, recipes=_BY_TIME, share=SHARES)


def _when(seconds: float) -> datetime:
    # Not fromtimestamp, whose errors for what other damages leave are the system's.
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _basic_date(own: float, as_text: bool) -> Any:
    text = f"{_when(own):%Y%m%d}"
    return text if as_text else int(text)


def _iso(own: float, zone: str) -> str:
    hours = 2 * _DAY / 24 if zone == "+02:00" else 0
    return f"{_when(own + hours):%Y-%m-%dT%H:%M:%S}{zone}"


_times(
    "clocks ahead",
    lambda own, days: own + days * _DAY,
    sources=_ALL,
    share=("one", "few", "percent", "half"),
    days=(365, 30 * 365, 2, 90),
)
# Of machines that believe that it is long ago.
_times(
    "clocks behind",
    lambda own, days: own - days * _DAY,
    cause=rf"{_CAUSE}|interactions, version",
    sources=_ALL,
    told={"share": ["all"], "days": [30 * 365]},
    share=("all", "half", "percent", "one"),
    days=(30 * 365, 365),
)


@kind("far newer than the rest", sources=_ALL, recipes=_BY_TIME, share=("one", "few"))
def far_newer(draft: Draft, *, share: str) -> str:
    """A historical file to which something of today was added."""
    newest = max(draft.log["timestamp"])
    draft.change("timestamp", "all", lambda own: own - 3 * 365 * _DAY)
    draft.change("timestamp", share, lambda _: newest)
    return _CAUSE


_times(
    "times in another unit",
    lambda own, per_second: own * per_second,
    sources=_ALL,
    per_second=(10**3, 10**6, 10**9),
)
# 20260115 is a date of ISO 8601, and a number.
_times(
    "times as YYYYMMDD", _basic_date, told={"share": ["all"], "as_text": [False]}, as_text=(True, False)
)
# Days since the end of 1899.
_times("times of a spreadsheet", lambda own: own / _DAY + 25_569, sources=_ALL, told=_ALL_ROWS)
# As a database's default.
_times("times of 0", lambda _: 0, cause=rf"{_CAUSE}|1970", told=_ALL_ROWS)
_times("times missing", lambda _: None)


@kind("no column of times", recipes=_BY_TIME)
def no_column(draft: Draft) -> str:
    del draft.log["timestamp"]
    return _CAUSE


_times(
    "times with the day first",
    lambda own, form: f"{_when(own):{form}}",
    form=("%d/%m/%Y", "%m/%d/%Y %H:%M"),
)
_times("times as text", _iso, accepted=True, zone=("+00:00", "", "Z", "+02:00"))
