"""Large arrays, some rows at a time: the same results as of all at once."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import VectorError
from lightfm_retriever.publication.storage.chunks import row_chunks
from lightfm_retriever.publication.vectors import vector_space
from lightfm_retriever.publication.writer import Staging

# More than one chunk, and the last one isn't full.
ROWS = 20_000


def vectors(dimensions):
    made = np.random.default_rng(1).normal(size=(ROWS, dimensions)).astype(np.float32)
    # The longest is in the last chunk.
    made[-1] *= 9
    return made


@given(st.integers(0, 30), st.integers(1, 12))
def test_chunks_are_all_rows_once_in_order(count, size):
    chunks = [[*range(count)][rows] for rows in row_chunks(count, size)]
    assert [row for chunk in chunks for row in chunk] == [*range(count)]
    assert all(1 <= len(chunk) <= size for chunk in chunks)


def test_norms_and_missing_lengths_are_to_the_bit_those_of_all_at_once():
    for of in (vectors(65), vectors(66)[:, :-1]):
        squares = np.einsum("ij,ij->i", of, of, dtype=np.float64)
        assert np.array_equal(vector_space.row_norms(of), np.sqrt(squares).astype(np.float32))
        missing = np.sqrt(squares.max() - squares).astype(np.float32)
        assert np.array_equal(vector_space.missing_lengths(of), missing)
        assert np.array_equal(vector_space.augment_items(of), np.column_stack([of, missing]))
        assert missing[-1] == 0


@pytest.mark.parametrize("view", [lambda of: of[:, :-1], np.asfortranarray])
def test_a_bad_row_is_found_wherever_it_is(tmp_path, view):
    for row in (0, 8191, 8192, ROWS - 1):
        of = view(vectors(20))
        for number, reason in ((np.nan, "aren't finite"), (0, "are zero")):
            of[row] = number
            with pytest.raises(VectorError, match=rf"1 of {ROWS} items {reason}, first at row {row}:"):
                vector_space.check_indexable(of, what="item")
        of[row, 3] = np.inf
        with Staging(tmp_path) as staging, pytest.raises(VectorError, match="not every number is"):
            staging.add_array(layout.ITEM_VECTORS, of)


def test_staging_and_measuring_take_little_memory(tmp_path):
    of = np.ones((ROWS, 500), dtype=np.float32)
    assert of.nbytes == 40_000_000
    tracemalloc.start()
    try:
        with Staging(tmp_path) as staging:
            # NumPy itself writes 16 MB at a time, twice in memory: what is wanted is no copy of all.
            staging.add_array(layout.ITEM_VECTORS, of)
            assert tracemalloc.get_traced_memory()[1] < 38_000_000
            tracemalloc.reset_peak()
            of[-1, -1] = np.inf
            for name in (layout.ITEM_VECTORS, layout.NUMBERS):
                with pytest.raises(VectorError):
                    staging.add_array(name, of)
        of[-1, -1] = 1
        vector_space.row_norms(of)
        vector_space.missing_lengths(of)
        vector_space.check_indexable(of, what="item")
        # A truth for each number would be 10 MB.
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
