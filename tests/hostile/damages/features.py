"""Items, users, their features and attributes: of other ids, of another kind, or gone."""

from __future__ import annotations

import math
import re
from typing import Any

import pyarrow as pa

from tests.hostile.damage import ANY_STYLE, kind
from tests.hostile.draft import GOODS, PEOPLE, SHARES, Draft
from tests.hostile.writing import TABLES, TEXTS

_RECIPES = ("features",)
_TABLES = {"items": (GOODS, "item_id"), "users": (PEOPLE, "user_id")}
_NUMBER_NOW_TEXT = r"price"


@kind(
    "items or users of other ids", styles=ANY_STYLE, recipes=_RECIPES, side=("items", "users"),
    form=("shop-{}", "{}.0", "0{}", "{} "), share=("all", "half", "percent"),
)  # fmt: skip
def other_ids(draft: Draft, *, side: str, form: str, share: str) -> str:
    table, column = _TABLES[side]
    draft.change(column, share, form.format, table=table)
    start = re.escape(form.format("").strip())
    return (
        rf"none of its|in the interactions|have no features|{start}\d"
        if start
        else r"in the interactions|have no features"
    )


@kind("few items or users", styles=ANY_STYLE, recipes=_RECIPES, side=("items", "users"), rows=(3, 30))
def few(draft: Draft, *, side: str, rows: int) -> str:
    draft.keep(range(rows), table=_TABLES[side][0])
    return r"have no features|values of '|features of version|in the interactions|titles|have the title"


@kind("items twice", styles=ANY_STYLE, recipes=_RECIPES, side=("items", "users"))
def twice(draft: Draft, *, side: str) -> str:
    table, column = _TABLES[side]
    draft.keep([*range(len(draft.tables[table][column]))] * 2, table=table)
    return rf"{column} .* is also in row"


@kind(
    "a word among prices",
    recipes=_RECIPES,
    word=("N/A", "on request", "-", "nan", "NULL", "inf"),
    share=("one", "few", "half"),
)
def word_among_prices(draft: Draft, *, word: str, share: str) -> str:
    draft.change("price", share, lambda _: word, table=GOODS)
    return _NUMBER_NOW_TEXT


@kind(
    "prices with what they are in",
    recipes=_RECIPES,
    share=SHARES,
    form=("€ {:.2f}", "{:.2f} EUR", "1.{:03.0f},00", "{:.2f}%"),
)
def currency(draft: Draft, *, share: str, form: str) -> str:
    draft.change("price", share, lambda own: own if own is None else form.format(own), table=GOODS)
    return _NUMBER_NOW_TEXT


@kind("all prices missing", recipes=_RECIPES)
def no_prices(draft: Draft) -> str:
    draft.change("price", "all", lambda _: None, table=GOODS)
    return _NUMBER_NOW_TEXT


@kind("most prices missing", recipes=_RECIPES)
def few_prices(draft: Draft) -> str:
    prices = draft.tables[GOODS]["price"]
    prices[1:] = [None] * (len(prices) - 1)
    return _NUMBER_NOW_TEXT


@kind("numbers for words", recipes=_RECIPES)
def numbers_for_words(draft: Draft) -> str:
    draft.change("released", "all", lambda own: int(own[:4]), table=GOODS)
    return r"released"


@kind(
    "a column gone", recipes=_RECIPES, column=("price", "genres", "age", "country", "title", "released")
)
def column_gone(draft: Draft, *, column: str) -> str:
    table = PEOPLE if column in ("age", "country") else GOODS
    draft.tables[table][f"new_{column}"] = draft.tables[table].pop(column)
    return rf"\b{column}\b|titles"


@kind("titles of other items", recipes=_RECIPES)
def titles_shuffled(draft: Draft) -> str:
    titles = draft.tables[GOODS]["title"]
    draft.tables[GOODS]["title"] = draft.random.permutation(titles).tolist()
    return r"have the title|numbered anew"


@kind("genres as Python's lists", recipes=_RECIPES, form=("repr", "json", "set"))
def lists_as_text(draft: Draft, *, form: str) -> str:
    forms: dict[str, Any] = {
        "repr": str,
        "json": lambda own: str(own).replace("'", '"'),
        "set": lambda own: "{" + str(own)[1:-1] + "}",
    }
    draft.change("genres", "all", forms[form], table=GOODS)
    return r"genres|separator"


@kind("another separator", recipes=_RECIPES, separator=(";", ",", ", ", " / "), share=("all", "half"))
def other_separator(draft: Draft, *, separator: str, share: str) -> str:
    draft.change("genres", share, separator.join, table=GOODS)
    return r"genres|separator"


@kind("genres in another case", recipes=_RECIPES, share=("all", "half"))
def genres_upper(draft: Draft, *, share: str) -> str:
    draft.change("genres", share, lambda own: [name.upper() for name in own], table=GOODS)
    return r"genres|upper case"


@kind("ages as floats", recipes=_RECIPES, sources=TABLES, share=("all", "half", "one"))
def ages_as_floats(draft: Draft, *, share: str) -> str:
    draft.change("age", "all", float, table=PEOPLE)
    draft.change("age", "one", lambda _: None, table=PEOPLE)
    return r"'users\.age'|\bage\b"


@kind("all ages missing", recipes=_RECIPES)
def no_ages(draft: Draft) -> str:
    draft.change("age", "all", lambda _: None, table=PEOPLE)
    return r"users\.age|\bage\b"


@kind("countries by name", recipes=_RECIPES)
def countries(draft: Draft) -> str:
    draft.change(
        "country", "all", {"AT": "Austria", "CH": "Switzerland", "DE": "Germany"}.get, table=PEOPLE
    )
    return r"country"


def _nested(values: pa.Table, make: Any) -> list[pa.Table]:
    made = [make(own) for own in values.column("genres").to_pylist()]
    return [values.set_column(values.column_names.index("genres"), "genres", pa.array(made))]


@kind(
    "nested genres",
    sources=("parquet", "folder"),
    recipes=_RECIPES,
    form=("lists", "struct", "structs", "bytes"),
)
def nested(draft: Draft, *, form: str) -> str:
    forms: dict[str, Any] = {
        "lists": lambda own: [own],
        "struct": lambda own: {"first": own[0], "second": own[1]},
        "structs": lambda own: [{"name": name} for name in own],
        "bytes": lambda own: own[0].encode(),
    }
    draft.as_arrow(lambda values: _nested(values, forms[form]), table=GOODS)
    return r"genres"


@kind("space in lists of genres", sources=("parquet", "folder"), recipes=_RECIPES, accepted=True)
def spaced(draft: Draft) -> str:
    draft.change("genres", "half", lambda own: [f" {name} " for name in own], table=GOODS)
    return r"genres"


@kind("prices without an end", sources=TEXTS, recipes=_RECIPES, value=(1e300, -1e300, 1e-300))
def huge_prices(draft: Draft, *, value: float) -> str:
    draft.change("price", "one", lambda _: value, table=GOODS)
    assert math.isfinite(value)
    return r"price"
