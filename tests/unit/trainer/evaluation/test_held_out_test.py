"""A test is its users and positives, by their external ids."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.storage.id_map import IdMap
from tests.unit.trainer.index import cases
from trainer.evaluation.held_out_test import HeldOutTest, fingerprint, joined, rows_of


def printed(pairs, *, more=(), left_out=()):
    """The fingerprint of a test with these ids; `more` ids change the rows."""
    items = IdMap.build(sorted({item for _, item in pairs} | {*more}))
    users = IdMap.build(sorted({user for user, _ in pairs} | {*more}))
    rows = [
        sorted(items.row(item) for user, item in pairs if user == users.external_id(row))
        for row in range(len(users))
    ]
    held_out = cases.rows(rows)
    evaluated = [row for row, own in enumerate(rows) if own and users.external_id(row) not in left_out]
    return fingerprint(items, users, held_out, np.array(evaluated, dtype=np.int64))


ids = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
pairs = st.sets(st.tuples(ids, ids), min_size=1, max_size=8)


@given(pairs, st.sets(ids, max_size=4), pairs)
def test_a_fingerprint_tells_tests_apart_and_nothing_else(one, more, other):
    assert printed(one, more=more) == printed(one)
    assert (printed(one) == printed(other)) == (one == other)
    user = min(one)[0]
    left = {pair for pair in one if pair[0] != user}
    assert not left or printed(one, left_out={user}) == printed(left)


def test_rows_are_chosen_in_any_order_and_what_is_seen_is_a_matrix():
    rows = cases.rows([[1, 2], [], [0]])
    chosen = rows_of(rows, np.array([2, 0, 2]))
    assert [own.tolist() for own in (chosen[0], chosen[1], chosen[2])] == [[0], [1, 2], [0]]
    assert len(joined([])) == 0
    test = HeldOutTest(seen=rows, held_out=rows, popularity=np.zeros(4, dtype=int))
    assert test.interactions.toarray().tolist() == [[0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert test.trained_users == 2
