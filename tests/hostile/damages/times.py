"""Times of a wrong clock, of another unit or form, or that aren't there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.hostile.damage import kind
from tests.hostile.draft import SHARES, Draft
from tests.hostile.writing import TABLES

_ALL = (*TABLES, "events")
_BY_TIME = ("last-days", "half-life", "time", "plain", "leave-last-k")
_DAY = 86_400
_ALL_ROWS = {"share": ["all"]}
_CAUSE = r"timestamp|clock|\bfuture\b|days? ahead|newest interaction"


def _when(seconds: float) -> datetime:
    # Not fromtimestamp, whose errors for what other damages leave are the system's.
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


@kind(
    "clocks ahead", sources=_ALL, recipes=_BY_TIME, share=("one", "few", "percent", "half"),
    days=(365, 30 * 365, 2, 90),
)  # fmt: skip
def ahead(draft: Draft, *, share: str, days: int) -> str:
    draft.change("timestamp", share, lambda own: own + days * _DAY)
    return _CAUSE


@kind(
    "clocks behind", sources=_ALL, recipes=_BY_TIME,
    told={"share": ["all"], "days": [30 * 365]}, share=("all", "half", "percent", "one"),
    days=(30 * 365, 365),
)  # fmt: skip
def behind(draft: Draft, *, share: str, days: int) -> str:
    draft.change("timestamp", share, lambda own: own - days * _DAY)
    return rf"{_CAUSE}|interactions, version"


@kind("far newer than the rest", sources=_ALL, recipes=_BY_TIME, share=("one", "few"))
def far_newer(draft: Draft, *, share: str) -> str:
    newest = max(draft.log["timestamp"])
    draft.change("timestamp", "all", lambda own: own - 3 * 365 * _DAY)
    draft.change("timestamp", share, lambda _: newest)
    return _CAUSE


@kind(
    "times in another unit", sources=_ALL, recipes=_BY_TIME, share=SHARES,
    per_second=(10**3, 10**6, 10**9),
)  # fmt: skip
def other_unit(draft: Draft, *, share: str, per_second: int) -> str:
    draft.change("timestamp", share, lambda own: own * per_second)
    return _CAUSE


@kind(
    "times as YYYYMMDD",
    recipes=_BY_TIME,
    told={"share": ["all"], "as_text": [False]},
    share=SHARES,
    as_text=(True, False),
)
def as_basic_date(draft: Draft, *, share: str, as_text: bool) -> str:
    def change(own: float) -> Any:
        text = f"{_when(own):%Y%m%d}"
        return text if as_text else int(text)

    draft.change("timestamp", share, change)
    return _CAUSE


@kind("times of a spreadsheet", sources=_ALL, recipes=_BY_TIME, told=_ALL_ROWS, share=SHARES)
def as_serials(draft: Draft, *, share: str) -> str:
    draft.change("timestamp", share, lambda own: own / _DAY + 25_569)
    return _CAUSE


@kind("times of 0", sources=TABLES, recipes=_BY_TIME, told=_ALL_ROWS, share=SHARES)
def zero(draft: Draft, *, share: str) -> str:
    draft.change("timestamp", share, lambda _: 0)
    return rf"{_CAUSE}|1970"


@kind("times missing", sources=TABLES, recipes=_BY_TIME, share=SHARES)
def missing(draft: Draft, *, share: str) -> str:
    draft.change("timestamp", share, lambda _: None)
    return _CAUSE


@kind("no column of times", sources=TABLES, recipes=_BY_TIME)
def no_column(draft: Draft) -> str:
    del draft.log["timestamp"]
    return _CAUSE


@kind("times with the day first", recipes=_BY_TIME, share=SHARES, form=("%d/%m/%Y", "%m/%d/%Y %H:%M"))
def day_first(draft: Draft, *, share: str, form: str) -> str:
    draft.change("timestamp", share, lambda own: f"{_when(own):{form}}")
    return _CAUSE


@kind(
    "times as text", recipes=_BY_TIME, accepted=True, share=SHARES, zone=("+00:00", "", "Z", "+02:00")
)
def as_text(draft: Draft, *, share: str, zone: str) -> str:
    hours = 2 * _DAY / 24 if zone == "+02:00" else 0
    draft.change("timestamp", share, lambda own: f"{_when(own + hours):%Y-%m-%dT%H:%M:%S}{zone}")
    return _CAUSE
