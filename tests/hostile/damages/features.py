"""Items, users, their features and attributes: of other ids, of another kind, or gone."""

import re
from functools import partial
from typing import Any

import pyarrow as pa

from tests.hostile.damage import changes, kind
from tests.hostile.draft import GOODS, PEOPLE, SHARES, Draft
from tests.hostile.writing import PARQUET, TABLES, TEXTS

_RECIPES = ("features",)
_TABLES = {"items": (GOODS, "item_id"), "users": (PEOPLE, "user_id")}
_NUMBER_NOW_TEXT = r"price"
_kind = partial(kind, recipes=_RECIPES)
_goods = partial(changes, table=GOODS, recipes=_RECIPES)
_people = partial(changes, table=PEOPLE, recipes=_RECIPES)
_prices = partial(_goods, "price", cause=_NUMBER_NOW_TEXT)
_genres = partial(_goods, "genres", cause=r"genres|separator")


@_kind(
    "items or users of other ids",
    side=("items", "users"),
    form=("shop-{}", "{}.0", "0{}", "{} "),
    share=("all", "half", "percent"),
)
def other_ids(draft: Draft, *, side: str, form: str, share: str) -> str:
    table, column = _TABLES[side]
    draft.change(column, share, form.format, table=table)
    start = re.escape(form.format("").strip())
    begins = rf"|none of its|{start}\d" if start else ""
    return rf"in the interactions|have no features{begins}"


@_kind("few items or users", side=("items", "users"), rows=(3, 30))
def few(draft: Draft, *, side: str, rows: int) -> str:
    draft.keep(range(rows), table=_TABLES[side][0])
    return r"have no features|values of '|features of version|in the interactions|titles|same title"


@_kind("items twice", side=("items", "users"))
def twice(draft: Draft, *, side: str) -> str:
    table, column = _TABLES[side]
    draft.keep([*range(len(draft.tables[table][column]))] * 2, table=table)
    return rf"{column} .* is also in row"


# One word makes a column of numbers one of text.
_prices(
    "a word among prices",
    lambda _, word: word,
    word=("N/A", "on request", "-", "nan", "NULL", "inf"),
    share=("one", "few", "half"),
)
_prices(
    "prices with what they are in",
    lambda own, form: own if own is None else form.format(own),
    share=SHARES,
    form=("€ {:.2f}", "{:.2f} EUR", "1.{:03.0f},00", "{:.2f}%"),
)
_prices("all prices missing", lambda _: None)


@_kind("most prices missing")
def few_prices(draft: Draft) -> str:
    prices = draft.tables[GOODS]["price"]
    prices[1:] = [None] * (len(prices) - 1)
    return _NUMBER_NOW_TEXT


# Dates become years, and text a number.
_goods("released", "numbers for words", lambda own: int(own[:4]), r"released")


@_kind("a column gone", column=("price", "genres", "age", "country", "title", "released"))
def column_gone(draft: Draft, *, column: str) -> str:
    table = PEOPLE if column in ("age", "country") else GOODS
    draft.tables[table][f"new_{column}"] = draft.tables[table].pop(column)
    return rf"\b{column}\b|titles"


@_kind("titles of other items")
def titles_shuffled(draft: Draft) -> str:
    titles = draft.tables[GOODS]["title"]
    draft.tables[GOODS]["title"] = draft.random.permutation(titles).tolist()
    return r"same title|renumbered"


# What str() makes of a list.
_LISTS: dict[str, Any] = {
    "repr": str,
    "json": lambda own: str(own).replace("'", '"'),
    "set": lambda own: "{" + str(own)[1:-1] + "}",
}
_genres("genres as Python's lists", lambda own, form: _LISTS[form](own), form=(*_LISTS,))
# Every combination becomes a genre of its own.
_genres(
    "another separator",
    lambda own, separator: separator.join(own),
    separator=(";", ",", ", ", " / "),
    share=("all", "half"),
)
_genres(
    "genres in another case",
    lambda own: [name.upper() for name in own],
    cause=r"genres|upper case",
    share=("all", "half"),
)


@_kind("ages as floats", sources=TABLES, share=("all", "half", "one"))
def ages_as_floats(draft: Draft, *, share: str) -> str:
    draft.change("age", "all", float, table=PEOPLE)
    draft.change("age", "one", lambda _: None, table=PEOPLE)
    return r"'users\.age'|\bage\b"


# An empty column: of no type in Parquet.
_people("age", "all ages missing", lambda _: None, r"users\.age|\bage\b")
_people(
    "country",
    "countries by name",
    {"AT": "Austria", "CH": "Switzerland", "DE": "Germany"}.get,
    r"country",
)


def _nested(values: pa.Table, make: Any) -> list[pa.Table]:
    made = [make(own) for own in values.column("genres").to_pylist()]
    return [values.set_column(values.column_names.index("genres"), "genres", pa.array(made))]


@_kind("nested genres", sources=PARQUET, form=("lists", "struct", "structs", "bytes"))
def nested(draft: Draft, *, form: str) -> str:
    forms: dict[str, Any] = {
        "lists": lambda own: [own],
        "struct": lambda own: {"first": own[0], "second": own[1]},
        "structs": lambda own: [{"name": name} for name in own],
        "bytes": lambda own: own[0].encode(),
    }
    draft.as_arrow(lambda values: _nested(values, forms[form]), table=GOODS)
    return r"genres"


@_kind("space in lists of genres", sources=PARQUET, accepted=True)
def spaced(draft: Draft) -> str:
    draft.change("genres", "half", lambda own: [f" {name} " for name in own], table=GOODS)
    return r"genres"


@_kind("prices without an end", sources=TEXTS, value=(1e300, -1e300, 1e-300))
def huge_prices(draft: Draft, *, value: float) -> str:
    draft.change("price", "one", lambda _: value, table=GOODS)
    return r"price"
