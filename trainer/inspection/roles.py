"""Guess the kinds of files and columns by names and values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from trainer.data.files import known_names
from trainer.data.files.file_form import FileKind
from trainer.data.files.layout import REST
from trainer.data.times import date_guesses
from trainer.data.times.time_forms import FIRST_OF_THE_WEB

_PARTS_OF_NAMES: dict[FileKind, str] = {
    "users": "user|customer|member|visitor",
    "items": "item|movie|film|book|product|artist|game|song|track|title|catalog|meta",
}
_RATHER_INTERACTIONS = "rating|review|event|interaction|log|click|purchase|order|play|listen|trans"
_IDS: dict[str, FileKind] = {"item_id": "items", "user_id": "users"}
# Article numbers of a large shop, and ISBNs.
_ARTICLE = re.compile(r"B[0-9A-Z]{9}|[0-9]{9}[0-9X]")
_AHEAD = 365 * 86_400.0
_MOST = 0.9
_MOST_EVENTS = 10
_NAMED_COLUMNS = 8


@dataclass(frozen=True)
class _Column:
    """The values of a column in a sample of rows."""

    values: list[str]

    @property
    def distinct(self) -> int:
        return len(set(self.values))

    def numbers(self) -> list[float]:
        found = []
        for value in self.values:
            try:
                found.append(float(value))
            except ValueError:
                continue
        return found

    def is_number(self) -> bool:
        return len(self.numbers()) >= _MOST * len(self.values)

    def is_time(self, now: float) -> bool:
        if self.is_number():
            fits = [FIRST_OF_THE_WEB <= own <= now + _AHEAD for own in self.numbers()]
            if sum(fits) >= _MOST * len(self.values):
                return True
        values = pa.chunked_array([pa.array(self.values, pa.string())])
        is_iso = sum(bool(re.match(r"\d{4}-\d\d-\d\d", own)) for own in self.values)
        return is_iso >= _MOST * len(self.values) or bool(date_guesses.guess(values, now=now))

    def has_words(self) -> bool:
        return not self.is_number() and sum(" " in own for own in self.values) > self.distinct / 4

    def is_event(self) -> bool:
        is_frequent = len(self.values) > _MOST_EVENTS * self.distinct
        return self.distinct <= _MOST_EVENTS and is_frequent and not self.is_number()


def kind_by_names(path: Path, found: Sequence[str]) -> FileKind:
    """Return the kind of a file by the names of its columns; interactions if they don't say it."""
    has = {name: bool(known_names.recognised(name, found, in_table=False)) for name in _IDS}
    if has["user_id"] and has["item_id"]:
        return "interactions"
    for name, kind in _IDS.items():
        if has[name]:
            return kind
    if known_names.recognised("item_id", found, in_table=True):
        by_name = _kind_by_name(path)
        return "items" if by_name in (None, "interactions") else by_name
    return "interactions"


def kind_by_values(path: Path, rows: Sequence[Sequence[str]], *, now: float) -> FileKind:
    """Return the kind of a file without a header."""
    columns = _columns(rows)
    is_table = len(rows) > 1 and columns[0].distinct == len(rows)
    if (by_name := _kind_by_name(path)) is not None and (is_table or by_name == "interactions"):
        return by_name
    if not is_table or (len(columns) > 2 and any(own.is_time(now) for own in columns[2:4])):
        return "interactions"
    return "users" if _title(columns) is None else "items"


def header_by_values(kind: FileKind, rows: Sequence[Sequence[str]], *, now: float) -> list[str]:
    """Return names of the columns of a file without a header; "" for a column to leave out."""
    columns = _columns(rows)
    if kind == "interactions":
        return _of_interactions(columns, now)
    names = [f"column{place}" for place in range(1, len(columns) + 1)]
    names[0] = "item_id" if kind == "items" else "user_id"
    title = _title(columns) if kind == "items" else None
    if title is not None:
        names[title] = "title"
    if len(names) > _NAMED_COLUMNS:
        names[(title or 0) + 1 :] = [REST]
    return names


def _columns(rows: Sequence[Sequence[str]]) -> list[_Column]:
    return [_Column(list(values)) for values in zip(*rows, strict=True)]


def _kind_by_name(path: Path) -> FileKind | None:
    stem = path.name.lower()
    if re.search(_RATHER_INTERACTIONS, stem):
        return "interactions"
    for kind, pattern in _PARTS_OF_NAMES.items():
        if re.search(pattern, stem):
            return kind
    return None


def _of_interactions(columns: Sequence[_Column], now: float) -> list[str]:
    names = [""] * len(columns)
    varying = [place for place, own in enumerate(columns) if own.distinct > 1 or len(own.values) == 1]
    times = [place for place in varying[2:] if columns[place].is_time(now)]
    if times:
        names[times[0]] = "timestamp"
    # The user and the item come first, unless a column says what happened.
    free = [place for place in varying if place not in times]
    events = [place for place in free if columns[place].is_event()] if len(free) > 2 else []
    if events:
        names[events[0]] = "event"
    ids = [place for place in free if place not in events][:2]
    if len(ids) < 2:
        ids = [place for place in range(len(columns)) if not names[place]][:2]
    if len(ids) == 2 and _are_articles(columns[ids[0]]) and not _are_articles(columns[ids[1]]):
        ids.reverse()
    for place, name in zip(ids, ("user_id", "item_id"), strict=False):
        names[place] = name
    weights = [place for place in free if not names[place] and columns[place].is_number()]
    if weights:
        names[weights[0]] = "weight"
    while names and not names[-1] and len(columns) > _NAMED_COLUMNS:
        names.pop()
    return names if len(names) == len(columns) else [*names, REST]


def _are_articles(column: _Column) -> bool:
    fits = sum(_ARTICLE.fullmatch(own) is not None for own in column.values)
    return fits >= _MOST * len(column.values)


def _title(columns: Sequence[_Column]) -> int | None:
    """Return the column of text that has most different values; None if no column looks like titles."""
    texts = [place for place, own in enumerate(columns) if place and own.has_words()]
    return max(texts, key=lambda place: columns[place].distinct, default=None)
