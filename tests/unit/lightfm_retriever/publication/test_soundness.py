"""A version's data is held against its shape, a manifest that agrees with it, and its meaning."""

import marisa_trie
import numpy as np
import pytest

from lightfm_retriever.publication import layout, soundness
from lightfm_retriever.publication.errors import InvalidPublicationError, MismatchError
from lightfm_retriever.publication.layout import FILES
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.verification import verify
from tests import publications
from tests.unit.lightfm_retriever.publication.test_verification import refused

ITEMS = publications.ITEMS
ARRAYS = [name for name in publications.EXTENDED_FILES if name.endswith(".npy")]
RAGGED = [(name, FILES[name].values) for name in ARRAYS if FILES[name].values]
VECTORS = [layout.ITEM_VECTORS, layout.USER_VECTORS, layout.USER_FEATURE_VECTORS, layout.FOLD_IN]
ROWS = [(offsets, values) for offsets, values in RAGGED if FILES[values].of]


def load(extended, name):
    return np.load(extended.directory / name)


def reseal(extended, name, array):
    publications.reseal(extended.directory, name, publications.npy(array))


def spoilt(extended, name, array, at, values):
    """Why the version is refused with other values there, whichever are there now."""
    wrong = array.copy()
    wrong[at] = values
    reseal(extended, name, wrong)
    return str(refused(extended, name))


def in_turn(extended, names):
    """Each of the files, to spoil: then it is as it was."""
    for name in names:
        data = (extended.directory / name).read_bytes()
        yield name
        publications.reseal(extended.directory, name, data)


def reseal_ids(extended, name, ids):
    data = marisa_trie.BinaryTrie([*ids]).tobytes()
    publications.reseal(extended.directory, name, data)


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_of_another_kind_is_refused_when_it_is_opened(extended, name):
    array = load(extended, name)
    # Where any length goes, it is the offsets that don't fit.
    any_length = {values: offsets for offsets, values in RAGGED}.get(name, name)
    reshaped = [array[..., None], array[0], array[:-1], np.concatenate([array, array])]
    for wrong in map(np.ascontiguousarray, reshaped):
        reseal(extended, name, wrong)
        refused(extended, any_length if wrong.ndim == 1 else name)
    for dtype in ("int16", ">i4", "float16"):
        reseal(extended, name, np.nan_to_num(array).astype(dtype))
        error = refused(extended, name, MismatchError)
        assert (error.what, error.found) == ("dtype", np.dtype(dtype))
    reseal(extended, name, np.full(array.shape, None))
    refused(extended, name)
    with pytest.raises(InvalidPublicationError):
        open_publication(extended.volume, extended.version)


def test_a_number_that_cannot_be_is_refused(extended):
    for names, at, numbers, reason in (
        (VECTORS, (2, 1), [np.nan, np.inf, -np.inf], "row 2 isn't finite"),
        (VECTORS, (2, 1), [1.1e15, -3e38], "row 2 has a number beyond 1e+15"),
        ([layout.ITEM_VECTORS], (3, slice(-1)), [0], "embedding 3 is zero"),
        ([layout.FOLD_IN], (2, 1), [-1], "a number of row 2 is below 0"),
        ([layout.NUMBERS, layout.NUMBER_SORTED], (1, 0), [np.inf, -np.inf], "row 1 has an infinite"),
        ([values for _, values in ROWS], 2, [-1, 2**31 - 1, -(2**31)], "range of "),
        ([offsets for offsets, _ in RAGGED], 0, [1], "offsets run from 1 to"),
        ([offsets for offsets, _ in RAGGED], -1, [1, 2**62], "offsets run from 0 to"),
        ([offsets for offsets, _ in RAGGED], 2, [10**6, -1], "offsets decrease"),
        ([layout.POPULARITY], 3, [-1], "that of row 3 is below 0"),
        ([layout.ID_RANKS, layout.POPULAR_ITEMS], 3, [-1, ITEMS], "range of item rows is "),
        ([layout.NUMBER_ORDER], (1, 3), [-1, ITEMS], "range of item rows is "),
    ):
        for name in in_turn(extended, names):
            array = load(extended, name)
            for number in numbers:
                message = spoilt(extended, name, array, at, number)
                assert reason in message
                assert not reason.startswith("range") or f"{number}" in message
                assert "item rows" not in reason or message.endswith(f"should be 0..{ITEMS - 1}")
    # On their bounds they are sound.
    for name, at, number in (
        (layout.FOLD_IN, (2, 1), -1e-6),
        (layout.ITEM_VECTORS, (2, -1), 1e15),
        (layout.USER_VECTORS, (2, 1), -1e15),
    ):
        array = load(extended, name)
        array[at] = number
        reseal(extended, name, array)
    verify(extended.volume, extended.version)


def test_norms_may_differ_from_the_embeddings_by_rounding_only(extended, monkeypatch):
    monkeypatch.setattr(soundness, "_CHUNK_ROWS", 5)
    right = load(extended, layout.ITEM_NORMS)
    for row in (0, 7, ITEMS - 1):
        for factor in (-1, 0.99, 1.01, np.nan):
            reason = spoilt(extended, layout.ITEM_NORMS, right, row, right[row] * np.float32(factor))
            assert f"norm {row} isn't that of the embedding" in reason
    vectors = load(extended, layout.ITEM_VECTORS)
    reseal(extended, layout.ITEM_NORMS, np.linalg.norm(vectors, axis=1))
    refused(extended, layout.ITEM_NORMS)
    reseal(extended, layout.ITEM_NORMS, np.linalg.norm(vectors[:, :-1], axis=1))
    verify(extended.volume, extended.version)


def test_rows_that_do_not_ascend_or_are_no_permutation_are_refused(extended):
    for offsets, values in ROWS:
        starts, array = load(extended, offsets), load(extended, values)
        row = int(np.flatnonzero(np.diff(starts) > 1)[-1])
        own = slice(starts[row], starts[row + 1])
        size = FILES[offsets].shape.partition(" ")[0]
        owner = {"users": "user row", "items": "item row", "tokens": "token"}[size]
        for wrong in (array[own][::-1], np.full_like(array[own], array[own][0])):
            what = f"the {FILES[values].of} of {owner} {row} don't ascend"
            assert what in spoilt(extended, values, array, own, wrong)
        reseal(extended, values, array)
    for name in in_turn(extended, (layout.ID_RANKS, layout.POPULAR_ITEMS, layout.NUMBER_ORDER)):
        array = load(extended, name)
        own = array if array.ndim == 1 else array[1]
        gone = own[3]
        own[3] = own[4]
        reseal(extended, name, array)
        assert f"{gone} isn't there, but another one twice" in str(refused(extended, name))


@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_a_ranking_that_popularity_does_not_give_is_refused(extended, monkeypatch, chunk):
    monkeypatch.setattr(soundness, "_CHUNK_ROWS", chunk)
    verify(extended.volume, extended.version)
    ranking, counts = load(extended, layout.POPULAR_ITEMS), load(extended, layout.POPULARITY)
    # By number of users, or by id where that is the same.
    assert len({*counts}) < ITEMS
    for place in range(ITEMS - 1):
        turned = ranking[[place + 1, place]]
        reason = spoilt(extended, layout.POPULAR_ITEMS, ranking, [place, place + 1], turned)
        assert f"place {place + 1} should be before" in reason


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_posting_lists_that_are_no_inverse_of_tokens_are_refused(extended, monkeypatch, chunk):
    monkeypatch.setattr(soundness, "_CHUNK_ROWS", chunk)
    verify(extended.volume, extended.version)
    names = layout.ATTRIBUTE_ITEMS_OFFSETS, layout.ATTRIBUTE_ITEMS
    starts, rows = (load(extended, name) for name in names)
    refusals = 0
    for token in range(len(starts) - 1):
        # The last item of the list gives its place to one that hasn't the value.
        last = starts[token + 1] - 1
        for row in range(rows[last] + 1, ITEMS):
            reason = spoilt(extended, layout.ATTRIBUTE_ITEMS, rows, last, row)
            assert "aren't those that have it" in reason
            refusals += 1
    assert refusals > 2
    # One item more in one list, and less in the next.
    reseal(extended, layout.ATTRIBUTE_ITEMS, rows)
    for token in range(1, len(starts) - 1):
        moved = starts.copy()
        moved[token] += 1
        reseal(extended, layout.ATTRIBUTE_ITEMS_OFFSETS, moved)
        with pytest.raises(InvalidPublicationError, match=r"don't ascend|aren't those that have it"):
            verify(extended.volume, extended.version)
    # One list lacks an item.
    starts[-1] -= 1
    reseal(extended, layout.ATTRIBUTE_ITEMS_OFFSETS, starts)
    reseal(extended, layout.ATTRIBUTE_ITEMS, rows[:-1])
    error = refused(extended, layout.ATTRIBUTE_ITEMS, MismatchError)
    assert (error.expected, error.found) == (len(rows), len(rows) - 1)


def test_numbers_in_another_order_are_refused(extended):
    order, ordered = load(extended, layout.NUMBER_ORDER), load(extended, layout.NUMBER_SORTED)
    for place, number in ((0, 1800.0), (0, np.nan), (-1, 3000.0)):
        reason = spoilt(extended, layout.NUMBER_SORTED, ordered, (0, place), number)
        assert "row 0 isn't row 0 of numbers in order" in reason
    for row in range(len(order)):
        for place in range(ITEMS - 1):
            values, two, turned = ordered.copy(), [place, place + 1], [place + 1, place]
            values[row, two] = ordered[row, turned]
            reseal(extended, layout.NUMBER_SORTED, values)
            # By value, by row where that is the same, and those without one last.
            reason = spoilt(extended, layout.NUMBER_ORDER, order, (row, two), order[row, turned])
            assert f"row {row} isn't in the order of numbers" in reason


def test_an_id_map_with_another_number_of_ids_is_refused(extended):
    counts = {layout.ITEM_IDS: ITEMS, layout.USER_IDS: publications.USERS}
    for name in in_turn(extended, counts):
        count = counts[name]
        for other in (count - 1, count + 1):
            reseal_ids(extended, name, (b"%d" % number for number in range(other)))
            error = refused(extended, name, MismatchError)
            assert (error.what, error.expected, error.found) == ("number of ids", count, other)
        reseal_ids(extended, name, [b"caf\xe9", *(b"%d" % number for number in range(count - 1))])
        assert "isn't UTF-8" in str(refused(extended, name))
    reseal_ids(extended, layout.USER_FEATURES, map(str.encode, [*publications.USER_FEATURES, "more"]))
    assert refused(extended, layout.USER_FEATURE_VECTORS, MismatchError).what == "shape"


def test_a_value_of_no_text_attribute_is_refused(extended):
    text = publications.ATTRIBUTES.text
    keys = [text.values.external_id(token) for token in range(1, len(text.values))]
    for key in ("0:", "1:x", "7:x", "00:x"):
        reseal_ids(extended, layout.ATTRIBUTE_VALUES, map(str.encode, [*keys, key]))
        assert repr(key) in str(refused(extended, layout.ATTRIBUTE_VALUES))
