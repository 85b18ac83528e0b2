import warnings
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import datasets
from trainer.preparing.matrices import pair_weights

WEIGHTS = st.floats(-1e9, 1e9, width=32, allow_subnormal=False)
ROWS = st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3), WEIGHTS))


def summed(rows):
    users, items, weights = zip(*rows, strict=True) if rows else ([], [], [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = (np.array(own, dtype=np.int32) for own in (users, items))
        return pair_weights(*rows, np.array(weights, dtype=np.float32), (4, 4))[0]


@given(ROWS)
def test_the_weights_of_a_pair_are_summed_up_to_a_bound(rows):
    matrix = summed(rows)
    expected = defaultdict(list)
    for user, item, weight in rows:
        if user >= 0 and item >= 0:
            expected[user, item].append(weight)
    assert (matrix.dtype, matrix.nnz) == (np.float32, len(expected))
    for pair, weights in expected.items():
        exact = np.clip(sum(weights), -1e9, 1e9)
        size = sum(map(abs, weights))
        assert matrix[pair] == pytest.approx(exact, rel=1e-5, abs=2e-6 * size)


@given(st.lists(st.floats(2**-10, 1e9, width=32), min_size=1, max_size=8), st.randoms())
def test_weights_that_cancel_leave_no_positive_whatever_their_order(weights, random):
    both = [*weights, *(-weight for weight in weights)]
    random.shuffle(both)
    matrix = summed([(0, 0, weight) for weight in both])
    assert (matrix.nnz, matrix.data.tolist()) == (1, [0.0])


def test_a_weight_that_is_not_0_stays_so_beside_negative_ones():
    matrix = summed([(0, 0, 2e-38), (1, 1, -1.0), (0, 1, -2e-38), (0, 1, 1e-38)])
    assert matrix[0, 0] > 0 > matrix[0, 1]


def test_sums_beyond_the_bound_are_counted_and_named_and_the_training_goes_on():
    rows = [("u7", "i2", 9e8), ("u3", "i1", -9e8)]
    dataset = datasets.dataset([*datasets.rows(), *rows, *rows])
    assert np.abs(dataset.train.data).max() == 1e9
    [warning] = [warning for warning in dataset.warnings if "sum to more than" in warning]
    assert "2 pairs of user and item of interactions.csv sum to more than 1e+09" in warning
    assert ("user 'u7' and item 'i2'" in warning) or ("user 'u3' and item 'i1'" in warning)
    assert not any("sum to more" in warning for warning in datasets.dataset().warnings)
