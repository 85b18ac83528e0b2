"""What came later to the format is held against the manifest, its shape and its meaning too."""

from __future__ import annotations

import numpy as np
import pytest

from lightfm_retriever.publication import layout, soundness
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    MismatchError,
    MissingFileError,
)
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.verification import verify
from tests import publications
from tests.unit.lightfm_retriever.publication.test_damaged_files import npy, refused

ADDED = sorted({*publications.EXTENDED_FILES} - {*publications.ALL_FILES})
ARRAYS = [name for name in ADDED if name.endswith(".npy")]
RAGGED = [
    (layout.ATTRIBUTE_ITEMS_OFFSETS, layout.ATTRIBUTE_ITEMS),
    (layout.ITEM_ATTRIBUTES_OFFSETS, layout.ITEM_ATTRIBUTES),
]


def load(extended, name):
    return np.load(extended.directory / name)


def reseal(extended, name, array):
    publications.reseal(extended.directory, name, npy(array))


@pytest.mark.parametrize("name", ADDED)
def test_a_file_that_is_not_as_published_is_named(extended, name):
    path = extended.directory / name
    data = path.read_bytes()
    publications.overwrite(path, data[:-1])
    assert refused(extended, name, MismatchError).what == "size in bytes"
    publications.overwrite(path, data[:-1] + bytes([data[-1] ^ 1]))
    assert refused(extended, name, MismatchError).what == "SHA-256"
    path.unlink()
    refused(extended, name, MissingFileError)
    path.write_bytes(data)
    verify(extended.volume, extended.version)


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_of_another_kind_is_refused_when_it_is_opened(extended, name):
    """From here on the manifest is signed anew: it agrees that the file should be so."""
    array = load(extended, name)
    # Where any length goes, it is the offsets that don't fit.
    any_length = {values: offsets for offsets, values in RAGGED}.get(name, name)
    reshaped = [array[..., None], array[0], array[:-1], np.concatenate([array, array])]
    for spoilt in map(np.ascontiguousarray, reshaped):
        reseal(extended, name, spoilt)
        refused(extended, any_length if spoilt.ndim == 1 else name)
    for dtype in ("int16", "uint32", ">i4", "float16"):
        reseal(extended, name, np.nan_to_num(array).astype(dtype))
        assert refused(extended, name, MismatchError).what == "dtype"
    reseal(extended, name, np.full(array.shape, None))
    refused(extended, name)
    with pytest.raises(InvalidPublicationError):
        open_publication(extended.volume, extended.version)


@pytest.mark.parametrize("name", [layout.ATTRIBUTE_VALUES, layout.USER_FEATURES])
def test_something_else_in_place_of_a_map_of_names_is_refused(extended, name):
    for data in (b"", b"x" * 5000):
        publications.reseal(extended.directory, name, data)
        assert "isn't an id map" in str(refused(extended, name))


def test_names_of_features_and_their_vectors_are_as_many(extended):
    IdMap.build([*publications.USER_FEATURES, "more"]).save(extended.volume / "more")
    data = (extended.volume / "more").read_bytes()
    publications.reseal(extended.directory, layout.USER_FEATURES, data)
    assert refused(extended, layout.USER_FEATURE_VECTORS, MismatchError).what == "shape"


def test_folding_in_that_would_divide_by_nothing_is_refused(extended):
    array = load(extended, layout.FOLD_IN)
    for number, is_refused in ((-1e-6, False), (-1, True)):
        array[2, 1] = number
        reseal(extended, layout.FOLD_IN, array)
        if is_refused:
            assert "row 2 is below 0" in str(refused(extended, layout.FOLD_IN))
        else:
            verify(extended.volume, extended.version)


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("name", [layout.USER_FEATURE_VECTORS, layout.FOLD_IN])
def test_a_number_that_is_not_finite_is_refused(extended, name, number):
    array = load(extended, name)
    array[2, 1] = number
    reseal(extended, name, array)
    assert "row 2 isn't finite" in str(refused(extended, name))


@pytest.mark.parametrize("row", [-1, publications.ITEMS, "twice"])
@pytest.mark.parametrize("name", [layout.ID_RANKS, layout.POPULAR_ITEMS, layout.NUMBER_ORDER])
def test_rows_that_are_no_permutation_are_refused(extended, name, row):
    array = load(extended, name)
    own = array if array.ndim == 1 else array[1]
    own[3] = own[4] if row == "twice" else row
    reseal(extended, name, array)
    assert ("another one twice" if row == "twice" else "range") in str(refused(extended, name))


@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_a_ranking_that_popularity_does_not_give_is_refused(extended, monkeypatch, chunk):
    monkeypatch.setattr(soundness, "_CHUNK_ROWS", chunk)
    verify(extended.volume, extended.version)
    ranking, counts = load(extended, layout.POPULAR_ITEMS), load(extended, layout.POPULARITY)
    for place in range(publications.ITEMS - 1):
        swapped = ranking.copy()
        swapped[[place, place + 1]] = ranking[[place + 1, place]]
        reseal(extended, layout.POPULAR_ITEMS, swapped)
        # By number of users, or by id where that is the same.
        assert f"place {place + 1} should be before" in str(refused(extended, layout.POPULAR_ITEMS))
    assert len({*counts}) < publications.ITEMS
    reseal(extended, layout.POPULAR_ITEMS, ranking)
    counts[ranking[-1]] = -1
    reseal(extended, layout.POPULARITY, counts)
    assert "is below 0" in str(refused(extended, layout.POPULARITY))


@pytest.mark.parametrize(("at", "to"), [(0, 1), (-1, 1), (2, 10**6), (2, -1)])
@pytest.mark.parametrize("name", [offsets for offsets, _ in RAGGED])
def test_offsets_that_lead_astray_are_refused(extended, name, at, to):
    array = load(extended, name)
    array[at] = to
    reseal(extended, name, array)
    assert "offsets" in str(refused(extended, name))


@pytest.mark.parametrize("value", [-1, 2**31 - 1])
@pytest.mark.parametrize("name", [values for _, values in RAGGED])
def test_rows_and_tokens_that_do_not_exist_are_refused(extended, name, value):
    array = load(extended, name)
    array[2] = value
    reseal(extended, name, array)
    assert str(value) in refused(extended, name, MismatchError).found


@pytest.mark.parametrize(("offsets", "values"), RAGGED)
def test_rows_and_tokens_that_do_not_ascend_are_refused(extended, offsets, values):
    starts, array = load(extended, offsets), load(extended, values)
    row = int(np.flatnonzero(np.diff(starts) > 1)[0])
    array[[starts[row], starts[row] + 1]] = array[[starts[row] + 1, starts[row]]]
    reseal(extended, values, array)
    assert f"{row} don't ascend" in str(refused(extended, values))


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_posting_lists_that_are_not_the_inverse_of_the_items_tokens_are_refused(
    extended, monkeypatch, chunk
):
    monkeypatch.setattr(soundness, "_CHUNK_ROWS", chunk)
    verify(extended.volume, extended.version)
    starts, rows = (
        load(extended, layout.ATTRIBUTE_ITEMS_OFFSETS),
        load(extended, layout.ATTRIBUTE_ITEMS),
    )
    refusals = 0
    for token in range(len(starts) - 1):
        # The last item of the list gives its place to one that hasn't the value.
        lacking = [row for row in range(publications.ITEMS) if row > rows[starts[token + 1] - 1]]
        for row in lacking:
            spoilt = rows.copy()
            spoilt[starts[token + 1] - 1] = row
            reseal(extended, layout.ATTRIBUTE_ITEMS, spoilt)
            assert "aren't those that have it" in str(refused(extended, layout.ATTRIBUTE_ITEMS))
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


def test_a_posting_list_that_lacks_an_item_is_refused(extended):
    starts, rows = (
        load(extended, layout.ATTRIBUTE_ITEMS_OFFSETS),
        load(extended, layout.ATTRIBUTE_ITEMS),
    )
    starts[-1] -= 1
    reseal(extended, layout.ATTRIBUTE_ITEMS_OFFSETS, starts)
    reseal(extended, layout.ATTRIBUTE_ITEMS, rows[:-1])
    assert refused(extended, layout.ATTRIBUTE_ITEMS, MismatchError).found == len(rows) - 1


@pytest.mark.parametrize("key", ["0:", "1:x", "7:x", "x", "00:x", ":x"])
def test_a_value_of_no_text_attribute_is_refused(extended, key):
    text = publications.ATTRIBUTES.text
    keys = [text.values.external_id(token) for token in range(1, len(text.values))]
    IdMap.build([*keys, key]).save(extended.volume / "other")
    data = (extended.volume / "other").read_bytes()
    publications.reseal(extended.directory, layout.ATTRIBUTE_VALUES, data)
    assert repr(key) in str(refused(extended, layout.ATTRIBUTE_VALUES))


@pytest.mark.parametrize("name", [layout.NUMBERS, layout.NUMBER_SORTED])
def test_an_infinite_number_is_refused(extended, name):
    array = load(extended, name)
    array[1, 0] = np.inf
    reseal(extended, name, array)
    assert "row 1 has an infinite number" in str(refused(extended, name))


def test_numbers_in_another_order_are_refused(extended):
    order, ordered = load(extended, layout.NUMBER_ORDER), load(extended, layout.NUMBER_SORTED)
    for row in range(len(order)):
        for place in range(publications.ITEMS - 1):
            swapped, values = order.copy(), ordered.copy()
            two, turned = [place, place + 1], [place + 1, place]
            swapped[row, two] = order[row, turned]
            values[row, two] = ordered[row, turned]
            reseal(extended, layout.NUMBER_ORDER, swapped)
            reseal(extended, layout.NUMBER_SORTED, values)
            # By value, by row where that is the same, and those without one last.
            reason = f"row {row} isn't in the order of numbers"
            assert reason in str(refused(extended, layout.NUMBER_ORDER))


def test_sorted_numbers_that_are_others_are_refused(extended):
    ordered = load(extended, layout.NUMBER_SORTED)
    for place, number in ((0, 1800.0), (0, np.nan), (-1, 3000.0)):
        spoilt = ordered.copy()
        spoilt[0, place] = number
        reseal(extended, layout.NUMBER_SORTED, spoilt)
        assert "row 0 isn't row 0 of numbers in order" in str(refused(extended, layout.NUMBER_SORTED))
