import numpy as np
import pytest

from retriever.answering import queries
from retriever.errors import SnapshotError
from retriever.worker.warm_up import warm_up
from tests import retrievable


def vectors(rows):
    return np.random.default_rng(rows).normal(size=(rows, 3))


@pytest.mark.parametrize(("items", "users"), [(1, 0), (1, 1), (2, 1), (19, 20), (21, 39), (1000, 41)])
def test_it_asks_all_over_the_publication_and_makes_way_after_each(monkeypatch, items, users):
    """Calls of others wait for the GIL meanwhile."""
    asked, asked_before = [], []
    for name in ("plan_similar_items", "plan_recommend"):
        ask = getattr(queries, name)

        def noted(snapshot, of, options, ask=ask):
            asked.append(of)
            # So that the index is asked in any case.
            assert options.search.effort == 1.0
            return ask(snapshot, of, options)

        monkeypatch.setattr(queries, name, noted)
    snapshot = retrievable.snapshot(vectors(items), vectors(users))
    warm_up(snapshot, make_way=lambda: asked_before.append(len(asked)))
    assert asked_before == [*range(1, len(asked) + 1)]
    for kind, count in (("item", items), ("user", users)):
        rows = [int(each.removeprefix(f"{kind}-")) for each in asked if each.startswith(kind)]
        assert min(20, count) <= len(rows) < 40
        assert rows[:1] == [0][:count]
        assert np.diff([*rows, count]).max(initial=0) <= max(1, count / 20)


def test_items_without_any_neighbour_are_an_error_that_names_the_version():
    """Where numbers aren't comparable nothing is best."""
    broken = retrievable.snapshot(np.full((30, 3), np.nan), np.ones((1, 3)), version="v7")
    with pytest.raises(SnapshotError, match="version v7: no similar items found for item 'item-0'"):
        warm_up(broken)


def test_an_item_of_an_item_item_model_may_have_no_neighbour():
    warm_up(retrievable.item_item_snapshot([{1: 1.0}, {}, {0: -1.0}], seen=[[], [0]]))
