"""Many questions at once: what each gets, what fails alone, and what ends them all.

Any questions together are in test_all_questions.py.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import Attributes, TextColumn
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from retriever.answering import batches, pages, queries
from retriever.answering.batches import answer_all
from retriever.answering.pages import Page, Position
from retriever.answering.questions import (
    Options,
    Search,
    UserFeatures,
    ValueCondition,
    WeightedItems,
    always_wanted,
)
from retriever.errors import AbandonedError, InvalidArgumentError, PageExpiredError, UnknownIdError
from tests import retrievable
from tests.retrievable import DictIdMap, FixedIndex

COUNT = 30
FEATURES = ["age:25-34", "country:DE"]
OTHER_VERSION = "20261125T043500Z-3fa9c2"
FORGED = "forged"
PAGE = Page(pages.fingerprint(b"a request"))


def snapshot(**changes):
    """Numbers at random, so that nothing is equal to anything else."""
    random = np.random.default_rng(1)
    items, users = random.normal(size=(2, COUNT, 5)).astype(np.float32)
    seen = [sorted(random.permutation(COUNT)[: 3 + row % 4].tolist()) for row in range(COUNT)]
    fold_in = FoldIn.build(items, users, retrievable.ragged(seen), seed=1)
    assert fold_in is not None
    popularity = np.arange(COUNT, dtype=np.int32)
    return retrievable.snapshot(
        items,
        users,
        seen=seen,
        attributes=Attributes.build(
            [TextColumn("genres", [["odd" if row % 2 else "even"] for row in range(COUNT)])], COUNT
        ),
        fold_in=fold_in.array,
        popularity=popularity,
        popular_items=popularity[::-1].copy(),
        user_features=DictIdMap(FEATURES),
        user_feature_vectors=random.normal(size=(2, 5)).astype(np.float32),
        **changes,
    )


SNAPSHOT = snapshot()


def token(version):
    """Of a page that begins after five results."""
    key = SNAPSHOT.publication.manifest.files[layout.ITEM_VECTORS].sha256
    return pages.encode(Position(0, 5), PAGE, version=version, key=key)


def answers_of(asked, own=SNAPSHOT, **how):
    return answer_all(own, asked, lambda one: queries.plan_recommend(own, *one), **how)


def told(answer):
    """As something that can be compared."""
    return structs.replace(answer, rows=answer.rows.tolist(), scores=answer.scores.tolist())


def alone(asked):
    """What each question gets alone."""
    answers = [told(queries.recommend(SNAPSHOT, *one)) for one in asked]
    # A product of matrices rounds otherwise than one of a matrix and a vector.
    return [structs.replace(one, scores=pytest.approx(one.scores, abs=1e-5)) for one in answers]


MIXED = [
    ("user-0", Options()),
    ("user-1", Options(limit=40)),
    (WeightedItems(["item-1", "item-2", "nothing"]), Options(limit=3)),
    (UserFeatures(FEATURES), Options()),
    ("user-2", Options(conditions=[ValueCondition("genres", "any", ["odd"])])),
    ("user-3", Options(page=PAGE)),
    ("user-3", Options(page=replace(PAGE, token=token(SNAPSHOT.version)))),
    ("user-4", Options(diversity=0.5)),
    ("nobody", Options(unknown_ids="popular")),
    ("user-5", Options(explain=True, exclude_seen=False)),
]
BAD = [
    (("nobody", Options()), UnknownIdError),
    ((WeightedItems(["nothing"]), Options()), UnknownIdError),
    ((UserFeatures(["x:y"]), Options()), UnknownIdError),
    (("user-0", Options(conditions=[ValueCondition("color", "any", ["red"])])), InvalidArgumentError),
    (("user-0", Options(page=replace(PAGE, token=FORGED))), InvalidArgumentError),
    (("user-0", Options(page=replace(PAGE, token=token(OTHER_VERSION)))), PageExpiredError),
]


@pytest.mark.parametrize("size", [1, COUNT, 3 * COUNT + 1, batches._PRODUCT_SIZE])
def test_a_mixture_is_answered_in_its_order_whatever_the_size_of_a_product(monkeypatch, size):
    monkeypatch.setattr(batches, "_PRODUCT_SIZE", size)
    answers = answers_of(MIXED)
    assert [told(answer) for answer in answers] == alone(MIXED)
    sources = ["folded_in", "features", *["personalized"] * 4, "popular", "personalized"]
    assert [answer.source for answer in answers] == ["personalized"] * 2 + sources
    # The pages follow one another.
    first, second = answers[5:7]
    assert second.rows.tolist()[:5] == first.rows.tolist()[5:]


def test_a_bad_entry_fails_alone():
    for place, (bad, error) in zip((0, 4, len(MIXED), 1, 2, 3), BAD, strict=True):
        answers = answers_of([*MIXED[:place], bad, *MIXED[place:]])
        assert isinstance(answers.pop(place), error)
        assert [told(answer) for answer in answers] == alone(MIXED)
    asked, errors = zip(*BAD, strict=True)
    assert [type(answer) for answer in answers_of(asked)] == [*errors]


def test_what_fails_in_the_search_or_after_it_fails_alone(monkeypatch):
    """Such as a version that lacks what only a search finds out."""
    asked = [MIXED[0], ("nobody", Options(unknown_ids="popular")), MIXED[4], MIXED[9]]
    poor = replace(SNAPSHOT, publication=snapshot().publication)
    poor.publication.popular_items = None
    monkeypatch.setattr(queries, "explain", lambda *_: 1 / 0)
    names = ["RankedRows", "NotPublishedError", "RankedRows", "ZeroDivisionError"]
    assert [type(answer).__name__ for answer in answers_of(asked, poor)] == names


def test_who_left_ends_the_whole_batch_at_any_stage():
    """Not as an error of one entry: nobody reads the others either."""
    # Once planned, before the product, and before each search of its own: filter, pages and popular.
    for last in range(2 + 4 + 1):
        left = iter([None] * last)

        def checkpoint(*_, left=left, **__):
            if next(left, ...) is ...:
                raise AbandonedError("the caller cancelled")
            return always_wanted()

        with pytest.raises(AbandonedError) if last < 2 + 4 else nullcontext():
            answers_of(MIXED, checkpoint=checkpoint)
        assert next(left, ...) is ...


def test_an_index_is_asked_for_what_is_too_much_for_a_product(monkeypatch):
    index = FixedIndex(range(COUNT))
    own = snapshot(recommend=index)
    asked = [("user-0", Options(limit=1)), ("user-1", Options(limit=2))]
    monkeypatch.setattr(batches, "_PRODUCT_ITEMS", COUNT)
    assert all(answer.exact for answer in answers_of(asked, own))
    assert index.asked == []
    monkeypatch.setattr(batches, "_PRODUCT_ITEMS", COUNT - 1)
    asked.append(("user-2", Options(limit=1, search=Search(exact=True))))
    assert [answer.exact for answer in answers_of(asked, own)] == [False, False, True]
    assert len(index.asked) == 2
