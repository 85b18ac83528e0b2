"""Too little, too much, or of others; and history beside the event log."""

from functools import partial

from tests.hostile.damage import kind
from tests.hostile.draft import Draft, copied
from tests.hostile.writing import TABLES

_ALL = (*TABLES, "events")
_LOST = r"of 300 users|of 120 items|interactions, version|no user was evaluated|precision@10"
_RECIPES = ("plain", "weights", "features")
_kind = partial(kind, sources=_ALL, recipes=_RECIPES)
_beside_history = partial(kind, sources=("events",), accepted=True)


@_kind("the whole file again", times=(2, 10))
def again(draft: Draft, *, times: int) -> str:
    draft.keep([*range(len(draft.log["user_id"]))] * times)
    return r"repeat|duplicate|more than once|again"


@_kind("only the first rows", rows=(2, 1, 20))
def first_rows(draft: Draft, *, rows: int) -> str:
    draft.keep(range(rows))
    return _LOST


@_kind("only one user")
def one_user(draft: Draft) -> str:
    users = draft.log["user_id"]
    draft.keep([row for row, user in enumerate(users) if user == users[0]])
    return _LOST


@_kind("half of the file", part=("first", "last", "random"))
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

    _kind(name, kept=(0.1, 0.4))(apply)


_gone("most users gone", "user_id")
_gone("most items gone", "item_id")


def _begin_history(draft: Draft) -> None:
    if draft.history is not None:
        raise ValueError("there is a history already")
    draft.history = copied(draft.log)


@_beside_history("a new log beside the history", recipes=_RECIPES, events=(2, 1, 100))
def beside_history(draft: Draft, *, events: int) -> str:
    _begin_history(draft)
    draft.keep(draft.rows("all")[-events:])
    draft.log["timestamp"] = [own + 60.0 for own in draft.log["timestamp"]]
    return r"history"


@_beside_history(
    "a log that the history has too", recipes=("weights", "plain", "half-life"), part=(10, 2, 1)
)
def in_history_too(draft: Draft, *, part: int) -> str:
    _begin_history(draft)
    count = len(draft.log["user_id"])
    draft.keep(range(count - count // part, count))
    return r"history"
