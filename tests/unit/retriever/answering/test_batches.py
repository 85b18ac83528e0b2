"""Many questions at once: in their order, and what ends them all.

Any questions together are in test_all_questions.py, and entries of a batch in worker/test_service.py.
"""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import Attributes, TextColumn
from retriever.answering import batches, pages, queries
from retriever.answering.batches import answer_all
from retriever.answering.pages import Page, Position
from retriever.answering.questions import Options, Search, ValueCondition, always_wanted
from retriever.errors import AbandonedError
from tests import retrievable
from tests.retrievable import FixedIndex

COUNT = 30
PAGE = Page(pages.fingerprint(b"a request"))


def snapshot(**changes):
    """Numbers at random, so that nothing is equal to anything else."""
    items, users = np.random.default_rng(1).normal(size=(2, COUNT, 5)).astype(np.float32)
    columns = [TextColumn("genres", [["odd" if row % 2 else "even"] for row in range(COUNT)])]
    popularity = np.arange(COUNT, dtype=np.int32)
    return retrievable.snapshot(
        items,
        users,
        seen=[[row, *range(row + 1, row + 4)] if row < COUNT - 4 else [] for row in range(COUNT)],
        attributes=Attributes.build(columns, COUNT),
        popularity=popularity,
        popular_items=popularity[::-1].copy(),
        **changes,
    )


SNAPSHOT = snapshot()
KEY = SNAPSHOT.publication.manifest.files[layout.ITEM_VECTORS].sha256
SECOND = pages.encode(Position(0, 5), PAGE, version=SNAPSHOT.version, key=KEY)
MIXED = [
    ("user-0", Options()),
    ("user-1", Options(limit=40)),
    ("user-2", Options(conditions=[ValueCondition("genres", "any", ["odd"])])),
    ("user-3", Options(page=PAGE)),
    ("user-3", Options(page=replace(PAGE, token=SECOND))),
    ("user-4", Options(diversity=0.5)),
    ("nobody", Options(unknown_ids="popular")),
    ("user-5", Options(explain=True, exclude_seen=False)),
]


def answers_of(asked, own=SNAPSHOT, **how):
    return answer_all(own, asked, lambda one: queries.plan_recommend(own, *one), **how)


def told(answer):
    """As something that can be compared."""
    return structs.replace(answer, rows=answer.rows.tolist(), scores=answer.scores.tolist())


@pytest.mark.parametrize("size", [1, COUNT, 3 * COUNT + 1, batches._PRODUCT_SIZE])
def test_a_mixture_is_answered_in_its_order_whatever_the_size_of_a_product(monkeypatch, size):
    monkeypatch.setattr(batches, "_PRODUCT_SIZE", size)
    for asked, answer in zip(MIXED, answers_of(MIXED), strict=True):
        alone = told(retrievable.recommend(SNAPSHOT, *asked))
        # A product of matrices rounds otherwise than one of a matrix and a vector.
        assert told(answer) == structs.replace(alone, scores=pytest.approx(alone.scores, abs=1e-5))


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
    asked = [("user-0", Options(limit=1)), ("user-1", Options(limit=1, search=Search(exact=True)))]
    for most, exact in ((COUNT, [True, True]), (COUNT - 1, [False, True])):
        monkeypatch.setattr(batches, "_PRODUCT_ITEMS", most)
        assert [answer.exact for answer in answers_of(asked, own)] == exact
    assert len(index.asked) == 1
