import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.ragged import Ragged, from_texts, text


@given(st.lists(st.text(max_size=20), max_size=20))
def test_texts_are_stored_as_utf8_end_to_end_and_come_back(texts):
    column = from_texts(texts)
    assert column.offsets.dtype == np.int64
    assert column.values.dtype == np.uint8
    assert column.values.tobytes() == "".join(texts).encode()
    assert column.problem() is None
    assert [text(column, row) for row in range(len(column))] == texts


def test_what_is_no_utf8_is_a_text_all_the_same():
    column = from_texts(["a\ud800b", "c"])
    assert [text(column, row) for row in (0, 1)] == ["a?b", "c"]
    column = Ragged(np.array([0, 2]), np.array([0xFF, 0x61], dtype=np.uint8))
    assert text(column, 0) == "\N{REPLACEMENT CHARACTER}a"


@given(st.lists(st.lists(st.integers(0, 5), max_size=4)), st.integers(1, 5))
def test_rows_are_views_and_the_first_that_does_not_ascend_is_found_in_any_chunks(rows, chunk):
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    values = np.array([value for row in rows for value in row], dtype=np.int32)
    column = Ragged(offsets, values)
    made = [column[row] for row in range(len(column))]
    assert [row.tolist() for row in made] == rows
    assert all(not row.size or np.shares_memory(row, values) for row in made)
    wrong = [row for row, own in enumerate(rows) if own != sorted(set(own))]
    assert column.first_not_ascending(chunk=chunk) == (wrong[0] if wrong else None)
    assert column.owners.tolist() == [row for row, own in enumerate(rows) for _ in own]
    shuffled = np.random.default_rng(chunk).permutation(len(values))
    sound = ragged.of_pairs(column.owners[shuffled], values[shuffled], len(rows))
    assert sound.problem() is sound.first_not_ascending() is None
    assert [sound[row].tolist() for row in range(len(rows))] == [sorted({*own}) for own in rows]
    assert [ragged.empty(len(rows))[row].tolist() for row in range(len(rows))] == [[] for _ in rows]


def test_the_problem_is_said():
    for offsets, problem in (
        ([1, 3], "run from 1 to 3, not from 0 to 3"),
        ([0, 2], "run from 0 to 2, not from 0 to 3"),
        ([0, 4], "run from 0 to 4, not from 0 to 3"),
        ([0, 2, 1, 3], "decrease"),
        ([0, 4, 3], "decrease"),
        ([0, 2, 2, 3], None),
    ):
        assert Ragged(np.array(offsets), np.zeros(3, dtype=np.int32)).problem() == problem


@given(
    st.lists(st.integers(0, 40), max_size=20),
    st.sets(st.integers(0, 40)).map(sorted),
    st.sampled_from([np.int32, np.int64]),
)
def test_rows_are_found_among_ascending_ones(rows, ascending, dtype):
    found = ragged.are_among(np.array(rows, dtype=np.int64), np.array(ascending, dtype=dtype))
    assert found.tolist() == [row in ascending for row in rows]
    assert found.dtype == bool
