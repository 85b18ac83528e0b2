"""Ids that changed form, are missing, or are no longer those of the same users and items."""

import unicodedata
from functools import partial

from tests.hostile.damage import changes, kind
from tests.hostile.draft import SHARES, Draft
from tests.hostile.writing import TABLES

_ALL = (*TABLES, "events")
_SIDES = ("user_id", "item_id", "both")
_ids = partial(changes, "", sources=_ALL, side=_SIDES, share=SHARES)

_ids("ids as floats", "{}.0".format, r"\d\.0\b|decimal", styles=("integer",))
_ids(
    "ids in scientific notation",
    lambda own: f"{int(own):.5E}",
    r"\dE\+|scientific",
    styles=("integer",),
)
# 007 becomes 7, as where it was taken for a number.
_ids("leading zeros lost", lambda own: own.lstrip("0"), r"leading zero|'0+\d+'", styles=("padded",))
_ids(
    "a prefix of ids",
    lambda own, prefix: prefix + own,
    r"prefix|shop-|urn:x:",
    prefix=("shop-", "urn:x:"),
)
# As databases that don't tell cases apart give them.
_ids(
    "ids in another case",
    lambda own: own.upper(),
    r"upper case|lower case|letter case|KÄUFER|STÜCK",
    styles=("text", "uuid"),
)
# As columns of a fixed width, and copies from web pages, have them.
_ids(
    "space around ids",
    lambda own, space, where: own + space if where == "after" else space + own,
    r"white space|space around|invisible|\\u200b|\\xa0|\\t|prefix|suffix",
    told={},
    space=(" ", "\t", "\u00a0", "\u200b"),
    where=("after", "before"),
)
_ids("quotes around ids", '"{}"'.format, r"quote|\"'|'\"")
# As one kind of file system writes names.
_ids(
    "decomposed Unicode in ids",
    lambda own: unicodedata.normalize("NFD", own),
    r"Unicode|normali",
    styles=("text",),
    told={},
)
# UTF-8 that was read as Latin-1 and written again.
_ids(
    "garbled ids",
    lambda own: own.encode().decode("latin-1"),
    r"KÃ|StÃ|\\xc3|encod|mojibake",
    styles=("text",),
)
_ids(
    "words for nothing as ids",
    lambda _, word: word,
    r"'(nan|None|NULL|N/A|null|NaN|<NA>)'|look like missing|missing value",
    told={},
    word=("nan", "None", "NULL", "N/A", "null", "NaN", "<NA>"),
)
_ids(
    "empty ids",
    lambda _: "",
    r"(user_id|item_id)\b.*(empty|missing|no id|holds null)|empty (user_id|item_id)",
)
# 0 or -1 for whoever isn't known.
_ids(
    "one id for many",
    lambda _: "0",
    r"'0'|one (user|item)|(users|items) of version \S+ are kept|interactions, version",
)


@kind("numbered anew", sources=_ALL, side=_SIDES)
def numbered_anew(draft: Draft, *, side: str) -> str:
    for column in ("user_id", "item_id") if side == "both" else (side,):
        values = draft.log[column]
        distinct = sorted(set(values))
        others = dict(zip(distinct, draft.random.permutation(distinct).tolist(), strict=True))
        draft.log[column] = [others[own] for own in values]
    return r"renumber"


@kind("columns swapped", sources=_ALL)
def swapped(draft: Draft) -> str:
    log = draft.log
    log["user_id"], log["item_id"] = log["item_id"], log["user_id"]
    return r"swapped|\d+ of 300 users of version|none of its \d+ items is in"
