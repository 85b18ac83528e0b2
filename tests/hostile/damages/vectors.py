"""Vectors of a model that are no use, no numbers, or not those of the ids beside them."""

from functools import partial
from typing import Any

import numpy as np

from tests.hostile.damage import kind
from tests.hostile.damages.features import titles_shuffled
from tests.hostile.draft import GOODS, Draft

_kind = partial(kind, sources=("vectors",))
_of_a_side = partial(_kind, side=("item", "user"))
_FEW_FIRST = ("few", "one", "half", "all")


def _rows(draft: Draft, side: str, share: str) -> list[int]:
    count = len(draft.sides[side].ids)
    wanted = {"one": 1, "few": 3, "half": count // 2, "all": count}[share]
    return sorted(draft.random.choice(count, wanted, replace=False).tolist())


def _file(side: str) -> str:
    return rf"{side}\.npy|{side}_biases\.npy|{side}\.txt|{side} vectors?"


@_of_a_side("huge vectors", share=_FEW_FIRST, size=(1e30, 1e20, 1e15, 1e8))
def huge(draft: Draft, *, side: str, share: str, size: float) -> str:
    draft.sides[side].vectors[_rows(draft, side, share)] *= size
    return rf"{_file(side)}|precision@10|recall@10"


@_of_a_side("tiny vectors", share=("all", "half", "few"), size=(1e-25, 1e-40, 1e-10))
def tiny(draft: Draft, *, side: str, share: str, size: float) -> str:
    own = draft.sides[side]
    own.vectors = own.vectors.astype(np.float64)
    own.vectors[_rows(draft, side, share)] *= size
    return rf"{_file(side)}|precision@10|recall@10"


@_of_a_side("vectors that aren't finite", share=_FEW_FIRST, value=("nan", "inf"))
def not_finite(draft: Draft, *, side: str, share: str, value: str) -> str:
    draft.sides[side].vectors[_rows(draft, side, share)] = float(value)
    return _file(side)


@_of_a_side("biases that aren't finite", value=("nan", "inf", "1e30"))
def bad_biases(draft: Draft, *, side: str, value: str) -> str:
    biases = draft.sides[side].biases
    assert biases is not None
    biases[_rows(draft, side, "few")] = float(value)
    return rf"{_file(side)}|bias|precision@10"


@_of_a_side("zero vectors", share=_FEW_FIRST)
def zero(draft: Draft, *, side: str, share: str) -> str:
    draft.sides[side].vectors[_rows(draft, side, share)] = 0
    return rf"{_file(side)}|zero|precision@10"


@_of_a_side("heavy-tailed lengths", spread=(1.0, 3.0))
def heavy_tails(draft: Draft, *, side: str, spread: float) -> str:
    own = draft.sides[side]
    lengths = np.exp(spread * draft.random.normal(size=(len(own.ids), 1)))
    own.vectors = own.vectors * lengths.astype(np.float32)
    return rf"{_file(side)}|precision@10|recall@10"


@_of_a_side("ids in another order")
def shuffled(draft: Draft, *, side: str) -> str:
    own = draft.sides[side]
    own.ids = draft.random.permutation(own.ids).tolist()
    return r"precision@10|another order|another row|renumbered"


@_of_a_side("another model's vectors")
def another_model(draft: Draft, *, side: str) -> str:
    own = draft.sides[side]
    turn, _ = np.linalg.qr(draft.random.normal(size=(own.vectors.shape[1],) * 2))
    own.vectors = (own.vectors @ turn).astype(np.float32)
    return r"precision@10"


@_of_a_side("vectors lying on their side")
def transposed(draft: Draft, *, side: str) -> str:
    draft.sides[side].vectors = draft.sides[side].vectors.T
    return _file(side)


@_of_a_side("vectors of 16 bits", times=(1e5, 1e6))
def overflowing(draft: Draft, *, side: str, times: float) -> str:
    with np.errstate(over="ignore"):
        draft.sides[side].vectors = (draft.sides[side].vectors * times).astype(np.float16)
    return _file(side)


@_of_a_side(
    "vectors of other types", accepted=True, form=("float16", "float64", "big-endian", "columns first")
)
def other_types(draft: Draft, *, side: str, form: str) -> str:
    own = draft.sides[side]
    forms: dict[str, Any] = {"float16": np.float16, "float64": np.float64, "big-endian": ">f4"}
    own.vectors = (
        np.asfortranarray(own.vectors) if form == "columns first" else own.vectors.astype(forms[form])
    )
    return _file(side)


@_of_a_side("a vector too few", what=("vector", "id", "bias"))
def too_few(draft: Draft, *, side: str, what: str) -> str:
    own = draft.sides[side]
    if what == "vector":
        own.vectors = own.vectors[:-1]
    elif what == "id":
        own.ids = own.ids[:-1]
    elif own.biases is not None:
        own.biases = own.biases[:-1]
    return _file(side)


@_of_a_side("a header among ids", instead=(True, False))
def id_header(draft: Draft, *, side: str, instead: bool) -> str:
    own = draft.sides[side]
    own.ids = [f"{side}_id", *(own.ids[:-1] if instead else own.ids)]
    return rf"{_file(side)}|precision@10"


@_of_a_side("ids twice among vectors")
def ids_twice(draft: Draft, *, side: str) -> str:
    own = draft.sides[side]
    own.ids = [*own.ids[:-1], own.ids[0]]
    return rf"{_file(side)}"


@_of_a_side("ids of vectors in another form", form=("{}.0", "shop-{}", "{} "))
def other_form(draft: Draft, *, side: str, form: str) -> str:
    own = draft.sides[side]
    own.ids = [form.format(external_id) for external_id in own.ids]
    return r"none of its \d+|decimal|prefix|white space|suffix|\.0'|shop-|no user was evaluated"


@_kind("sides mixed up")
def sides_mixed_up(draft: Draft) -> str:
    draft.sides = {"item": draft.sides["user"], "user": draft.sides["item"]}
    return r"\d+ of 300 users of version|of 120 items of version|none of its \d+|(item|user)\.(npy|txt)"


@_kind("seen items of other ids", column=("user_id", "item_id"), share=("all", "half"))
def seen_of_others(draft: Draft, *, column: str, share: str) -> str:
    draft.change(column, share, "shop-{}".format)
    return r"seen\.csv|interactions, version"


@_kind("held-out items of other ids", column=("user_id", "item_id"))
def held_out_of_others(draft: Draft, *, column: str) -> str:
    draft.held_out[column] = [f"shop-{own}" for own in draft.held_out[column]]
    return r"later\.csv|no user was evaluated"


_kind("titles of other items beside vectors")(titles_shuffled)


@_kind("items of other ids beside vectors", share=("all", "half"))
def items_of_others(draft: Draft, *, share: str) -> str:
    draft.change("item_id", share, "shop-{}".format, table=GOODS)
    return r"goods\.csv|shop-"


@_kind("a word among prices beside vectors", word=("N/A", "-"))
def word_among_prices(draft: Draft, *, word: str) -> str:
    draft.change("price", "one", lambda _: word, table=GOODS)
    return r"price"


@_of_a_side("no .npy", what=("cut", "text", "nothing", "pickle"))
def no_array(draft: Draft, *, side: str, what: str) -> str:
    if what == "pickle":
        draft.sides[side].vectors = np.array([{"a": 1}], dtype=object)
        return _file(side)
    contents = {"text": b"0.1 0.2\n0.3 0.4\n", "nothing": b""}
    draft.as_bytes(lambda own: contents.get(what, own[: len(own) // 2]), table=side)
    return _file(side)
