from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import datasets
from trainer.errors import InputError, OptionError
from trainer.preparing.dataset import held_out
from trainer.preparing.splits import SPLITS, Splitting

# Few different times, so that many rows share one.
ROWS = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("abcdef"), st.integers(0, 8)),
    min_size=1,
    max_size=60,
)


def made(rows):
    return datasets.interactions(
        [(user, item, 1.0) for user, item, _ in rows], timestamps=[float(time) for *_, time in rows]
    )


@given(ROWS, st.floats(0.001, 0.999))
def test_by_time_no_row_to_train_on_is_newer_than_one_to_test_on(rows, share):
    is_test = held_out(made(rows), Splitting("time", 1, share=share))
    assert is_test.sum() == round(share * len(rows))
    ranks = [(time, row) for row, (*_, time) in enumerate(rows)]
    tested = [rank for rank, test in zip(ranks, is_test, strict=True) if test]
    assert {*tested} == {*sorted(ranks)[len(ranks) - len(tested) :]}


@given(ROWS, st.integers(1, 5))
def test_leave_last_k_takes_each_users_newest_and_leaves_the_oldest(rows, count):
    is_test = held_out(made(rows), Splitting("leave-last-k", 1, count))
    by_user = defaultdict(list)
    for row, (user, _, time) in enumerate(rows):
        by_user[user].append((time, row))
    expected = set()
    for ranks in by_user.values():
        newest_first = sorted(ranks, reverse=True)
        expected.update(row for _, row in newest_first[: min(count, len(ranks) - 1)])
    assert set(np.flatnonzero(is_test)) == expected


@given(ROWS, st.sampled_from(SPLITS))
def test_a_split_is_the_same_again_and_leaves_the_rows_alone(rows, split):
    interactions = made(rows)
    first = held_out(interactions, Splitting(split, 3))
    np.testing.assert_array_equal(held_out(interactions, Splitting(split, 3)), first)
    assert (first.dtype, first.shape) == (np.bool_, (len(rows),))


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_random_split_holds_out_a_share(share):
    rows = [(f"u{row % 50}", f"i{row}", row) for row in range(3000)]
    first, second = (held_out(made(rows), Splitting("random", seed, share=share)) for seed in (1, 2))
    assert first.mean() == pytest.approx(share, abs=0.03)
    assert (first != second).any()


@pytest.mark.parametrize(
    ("split", "options", "counts"),
    [
        # (v, a) is held out, but v did a before as well.
        ("leave-last-k", {}, (3, 1, 2)),
        # u keeps b, and v the first of its two a.
        ("leave-last-k", {"split_count": 2}, (2, 2, 2)),
        # All rows of u are newer than all of v: u isn't in the training data.
        ("time", {"split_share": 0.4}, (2, 0, 1)),
    ],
)
def test_a_dataset_is_built_by_each_split_that_needs_times(split, options, counts):
    rows = [("u", "a", 1.0), ("u", "b", 1.0), ("v", "a", 1.0), ("v", "b", 1.0), ("v", "a", 1.0)]
    of = datasets.dataset(rows, split=split, timestamps=[4.0, 3.0, 2.0, 1.0, 0.0], **options)
    assert (of.split, (of.train.nnz, of.test.nnz, len(of.users))) == (split, counts)
    with pytest.raises(
        InputError,
        match=rf"interactions\.csv: there is no column timestamp, which --split {split} needs",
    ):
        datasets.dataset(split=split)


@pytest.mark.parametrize("split", SPLITS)
def test_a_value_out_of_range_is_named_whatever_the_split(split):
    wrong = [("count", 0), ("count", -1)]
    wrong += [("share", share) for share in (0.0, 1.0, -0.1, math.nan, math.inf)]
    for option, value in wrong:
        with pytest.raises(OptionError, match=f"--split-{option} is {value}, but should be"):
            held_out(made([("u", "a", 0)]), Splitting(split, 1, **{option: value}))
