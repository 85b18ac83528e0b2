"""What all backends promise, each for both questions."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lightfm_retriever.publication import layout
from retriever.index import open_index
from tests.unit.retriever.index import asking
from tests.unit.retriever.index.asking import filed, names


@names
@filed
@pytest.mark.parametrize("effort", [0.1, 1.0, 100.0])
def test_it_proposes_no_item_twice_and_no_more_than_it_was_asked_for(
    published_by, backend, name, effort
):
    publication = published_by(backend).open()
    index = open_index(publication, name)
    queries = publication.user_vectors if name == layout.RECOMMEND else publication.item_vectors[:, :-1]
    # As they are in a request: rows of what is mapped, which can't be written.
    assert not queries.flags.writeable
    for query in queries:
        for count in (1, 2, 10, 39, 40, 41, 1000):
            rows = index.search(query, count, effort).tolist()
            assert len(rows) == len({*rows}) <= count
            assert {*rows} <= {*range(40)}
            # Asked for everything, it proposes every item.
            assert len(rows) == 40 or count < 40 or effort < 1
            assert index.search(query, count, effort).tolist() == rows


@names
@filed
def test_several_threads_may_search_at_the_same_time(tmp_path, backend, name):
    """With other counts and efforts in each: none is another's."""
    of = asking.Built(tmp_path, name, backend)
    index = of.at(of.index.effort.least)
    asked = [
        (query, count, effort)
        for number, query in enumerate(of.queries)
        for count, effort in [((1, 10, 40, 150)[number % 4], (0.1, 1.0, 5.0, 20.0)[number // 4 % 4])]
    ]
    expected = [index.search(*each).tolist() for each in asked]
    # Otherwise one that mixes them up would be right all the same.
    assert [index.search(query, 10, 1.0).tolist() for query, _, _ in asked] != expected
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            assert [*pool.map(lambda each: index.search(*each).tolist(), asked)] == expected
