"""Too little, too much, or of others; and history beside the event log."""

from __future__ import annotations

from tests.hostile.damage import ANY_STYLE, kind
from tests.hostile.draft import Draft, copied
from tests.hostile.writing import TABLES

_ALL = (*TABLES, "events")
_LOST = r"of 300 users|of 120 items|interactions, version|nobody was evaluated|precision@10"
_RECIPES = ("plain", "weights", "features")


@kind("the whole file again", sources=_ALL, styles=ANY_STYLE, recipes=_RECIPES, times=(2, 10))
def again(draft: Draft, *, times: int) -> str:
    draft.keep([*range(len(draft.log["user_id"]))] * times)
    return r"repeat|duplicate|more than once|again"


@kind("only the first rows", sources=_ALL, styles=ANY_STYLE, recipes=_RECIPES, rows=(2, 1, 20))
def first_rows(draft: Draft, *, rows: int) -> str:
    draft.keep(range(rows))
    return _LOST


@kind("only one user", sources=_ALL, styles=ANY_STYLE, recipes=_RECIPES)
def one_user(draft: Draft) -> str:
    users = draft.log["user_id"]
    draft.keep([row for row, user in enumerate(users) if user == users[0]])
    return _LOST


@kind(
    "half of the file", sources=_ALL, styles=ANY_STYLE, recipes=_RECIPES,
    part=("first", "last", "random"),
)  # fmt: skip
def half(draft: Draft, *, part: str) -> str:
    count = len(draft.log["user_id"])
    middle = count // 2
    parts = {"first": range(middle), "last": range(middle, count), "random": draft.rows("half")}
    draft.keep(list(parts[part]))
    return _LOST


def _gone(name: str, column: str) -> None:
    """One country of several, or one department."""

    def apply(draft: Draft, *, kept: float) -> str:
        ids = sorted(set(draft.log[column]))
        there = set(draft.random.choice(ids, int(kept * len(ids)), replace=False).tolist())
        draft.keep([row for row, own in enumerate(draft.log[column]) if own in there])
        return _LOST

    kind(name, sources=_ALL, styles=ANY_STYLE, recipes=_RECIPES, kept=(0.1, 0.4))(apply)


_gone("most users gone", "user_id")
_gone("most items gone", "item_id")


def _begin_history(draft: Draft) -> None:
    if draft.history is not None:
        raise ValueError("there is a history already")
    draft.history = copied(draft.log)


@kind(
    "a new log beside the history", sources=("events",), styles=ANY_STYLE, recipes=_RECIPES,
    accepted=True, events=(2, 1, 100),
)  # fmt: skip
def beside_history(draft: Draft, *, events: int) -> str:
    _begin_history(draft)
    draft.keep(draft.rows("all")[-events:])
    draft.log["timestamp"] = [own + 60.0 for own in draft.log["timestamp"]]
    return r"history"


@kind(
    "a log that the history has too", sources=("events",), styles=ANY_STYLE,
    recipes=("weights", "plain", "half-life"), accepted=True, part=(10, 2, 1),
)  # fmt: skip
def in_history_too(draft: Draft, *, part: int) -> str:
    _begin_history(draft)
    count = len(draft.log["user_id"])
    draft.keep(range(count - count // part, count))
    return r"history"
