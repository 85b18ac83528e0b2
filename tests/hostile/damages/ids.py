"""Ids that changed form, are missing, or are no longer those of the same users and items."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from tests.hostile.damage import ANY_STYLE, kind
from tests.hostile.draft import SHARES, Draft
from tests.hostile.writing import TABLES

_ALL = (*TABLES, "events")
_SIDES = ("user_id", "item_id", "both")


def _columns(side: str) -> list[str]:
    return ["user_id", "item_id"] if side == "both" else [side]


def _change(draft: Draft, side: str, share: str, change: Any) -> None:
    for column in _columns(side):
        draft.change(column, share, change)


@kind("ids as floats", sources=_ALL, styles=("integer",), side=_SIDES, share=SHARES)
def as_floats(draft: Draft, *, side: str, share: str) -> str:
    _change(draft, side, share, "{}.0".format)
    return r"\d\.0\b|decimal"


@kind("ids in scientific notation", sources=_ALL, styles=("integer",), side=_SIDES, share=SHARES)
def in_scientific_notation(draft: Draft, *, side: str, share: str) -> str:
    _change(draft, side, share, lambda own: f"{int(own):.5E}")
    return r"\dE\+|scientific"


@kind("leading zeros lost", sources=_ALL, styles=("padded",), side=_SIDES, share=SHARES)
def without_leading_zeros(draft: Draft, *, side: str, share: str) -> str:
    _change(draft, side, share, lambda own: own.lstrip("0"))
    return r"leading zero|'0+\d+'"


@kind(
    "a prefix of ids", sources=_ALL, styles=ANY_STYLE, side=_SIDES, share=SHARES,
    prefix=("shop-", "urn:x:"),
)  # fmt: skip
def prefixed(draft: Draft, *, side: str, share: str, prefix: str) -> str:
    _change(draft, side, share, lambda own: prefix + own)
    return rf"prefix|{prefix}"


@kind("ids in another case", sources=_ALL, styles=("text", "uuid"), side=_SIDES, share=SHARES)
def in_upper_case(draft: Draft, *, side: str, share: str) -> str:
    _change(draft, side, share, str.upper)
    return r"upper case|lower case|letter case|KÄUFER|STÜCK"


@kind(
    "space around ids", sources=_ALL, styles=ANY_STYLE, side=_SIDES, share=SHARES,
    told={}, space=(" ", "\t", "\u00a0", "\u200b"), where=("after", "before"),
)  # fmt: skip
def spaced(draft: Draft, *, side: str, share: str, space: str, where: str) -> str:
    _change(draft, side, share, lambda own: own + space if where == "after" else space + own)
    return r"white space|space around|invisible|\\u200b|\\xa0|\\t|prefix|suffix"


@kind("quotes around ids", sources=_ALL, styles=ANY_STYLE, side=_SIDES, share=SHARES)
def quoted(draft: Draft, *, side: str, share: str) -> str:
    _change(draft, side, share, '"{}"'.format)
    return r"quote|\"'|'\""


@kind(
    "decomposed Unicode in ids", sources=_ALL, styles=("text",), told={}, side=_SIDES, share=SHARES,
)  # fmt: skip
def decomposed(draft: Draft, *, side: str, share: str) -> str:
    _change(draft, side, share, lambda own: unicodedata.normalize("NFD", own))
    return r"Unicode|normali"


@kind("garbled ids", sources=_ALL, styles=("text",), side=_SIDES, share=SHARES)
def garbled(draft: Draft, *, side: str, share: str) -> str:
    _change(draft, side, share, lambda own: own.encode().decode("latin-1"))
    return r"KÃ|StÃ|\\xc3|encod|mojibake"


@kind(
    "words for nothing as ids", sources=_ALL, styles=ANY_STYLE, told={}, side=_SIDES,
    share=SHARES, word=("nan", "None", "NULL", "N/A", "null", "NaN", "<NA>"),
)  # fmt: skip
def words_for_nothing(draft: Draft, *, side: str, share: str, word: str) -> str:
    _change(draft, side, share, lambda _: word)
    return rf"'{re.escape(word)}'|look like missing|missing value"


@kind("empty ids", sources=_ALL, styles=ANY_STYLE, side=_SIDES, share=SHARES)
def empty(draft: Draft, *, side: str, share: str) -> str:
    _change(draft, side, share, lambda _: "")
    return r"(user_id|item_id)\b.*(empty|missing|no id|holds null)|empty (user_id|item_id)"


@kind("one id for many", sources=_ALL, styles=ANY_STYLE, side=_SIDES, share=SHARES)
def one_for_many(draft: Draft, *, side: str, share: str) -> str:
    _change(draft, side, share, lambda _: "0")
    return r"'0'|one (user|item)|(users|items) of version \S+ are kept|interactions, version"


@kind("numbered anew", sources=_ALL, styles=ANY_STYLE, side=_SIDES)
def numbered_anew(draft: Draft, *, side: str) -> str:
    for column in _columns(side):
        values = draft.log[column]
        distinct = sorted(set(values))
        others = dict(zip(distinct, draft.random.permutation(distinct).tolist(), strict=True))
        draft.log[column] = [others[own] for own in values]
    return r"numbered anew|renumber"


@kind("columns swapped", sources=_ALL, styles=ANY_STYLE)
def swapped(draft: Draft) -> str:
    log = draft.log
    log["user_id"], log["item_id"] = log["item_id"], log["user_id"]
    return r"swapped|\d+ of 300 users of version|none of its \d+ items is in"
