"""One table of a version's files: what an entry says holds for who stages, opens and verifies."""

from __future__ import annotations

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import InvalidPublicationError, MismatchError
from lightfm_retriever.publication.layout import FILES, FileSpec
from lightfm_retriever.publication.manifest import FORMAT_VERSION
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.writer import Staging
from tests import publications
from tests.unit.lightfm_retriever.publication.storage.test_arrays import npy

NAME = "novel.npy"
ARRAY = np.arange(publications.ITEMS * 6, dtype=np.float32).reshape(publications.ITEMS, 6)
WRONG = {
    "dtype": ARRAY.astype(np.float64),
    "integers": ARRAY.astype(np.int32),
    "rows": ARRAY[:-1],
    "columns": ARRAY[:, :-1],
    "dimensions": ARRAY[0],
}
# Of each user some items.
STARTS = np.minimum(np.arange(publications.USERS + 1), 2) * 3
ROWS = np.array([1, 2, 5, 0, 3, 11], dtype=np.int32)


@pytest.fixture
def new_entry(monkeypatch):
    """All that a new array takes."""
    spec = FileSpec(NAME, "made up", "items, components + 2", "float32", group="novel")
    monkeypatch.setitem(FILES, NAME, spec)


@pytest.fixture
def new_rows(monkeypatch):
    offsets = FileSpec("o.npy", "made up", "users + 1", "int64", group="novel", values="v.npy")
    values = FileSpec("v.npy", "made up", "v", "int32", "novel", "ascending", of="items")
    for spec in (offsets, values):
        monkeypatch.setitem(FILES, spec.name, spec)


def publish(volume, **arrays):
    with Staging(volume) as staging:
        publications.stage(staging)
        for name, array in arrays.items():
            staging.add_array(f"{name}.npy", array)
        return staging.publish(publications.facts()).version


@pytest.mark.usefixtures("new_entry")
def test_a_new_array_is_one_entry(tmp_path, published):
    version = publish(tmp_path, novel=ARRAY)
    verify(tmp_path, version)
    opened = open_publication(tmp_path, version).files[NAME]
    np.testing.assert_array_equal(opened, ARRAY)
    assert not opened.flags.writeable
    spoilt = ARRAY.copy()
    spoilt[3, 1] = np.nan
    publications.reseal(layout.version_dir(tmp_path, version), NAME, npy(spoilt))
    with pytest.raises(InvalidPublicationError, match=r"novel\.npy: row 3 isn't finite"):
        verify(tmp_path, version)
    # A version from before the entry is read.
    verify(published.volume, published.version)
    assert NAME not in open_publication(published.volume, published.version).files


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.usefixtures("new_entry")
def test_what_the_entry_does_not_say_is_refused_when_it_is_staged_and_read(tmp_path, wrong):
    with Staging(tmp_path) as staging:
        publications.stage(staging)
        with pytest.raises(MismatchError, match=r"^novel\.npy: (dtype|shape) is ") as caught:
            staging.add_array(NAME, wrong)
        assert not staging.path(NAME).exists()
        staging.add_array(NAME, ARRAY)
        version = staging.publish(publications.facts()).version
    if caught.value.what == "shape":
        assert (caught.value.expected, caught.value.found) == (ARRAY.shape, wrong.shape)
    directory = layout.version_dir(tmp_path, version)
    publications.reseal(directory, NAME, npy(wrong))
    for read in (open_publication, verify):
        with pytest.raises(MismatchError) as read_caught:
            read(tmp_path, version)
        assert read_caught.value.path == directory / NAME
        assert read_caught.value.what == caught.value.what


@pytest.mark.usefixtures("new_rows")
@pytest.mark.parametrize(
    ("offsets", "values", "problem"),
    [
        (STARTS, ROWS, None),
        (STARTS, ROWS[:-1], r"o\.npy: offsets run from 0 to 6, not from 0 to 5"),
        (STARTS[::-1] - STARTS[-1], ROWS, r"o\.npy: offsets run"),
        (STARTS, ROWS + 1, r"v\.npy: range of item rows is 1\.\.12, but should be 0\.\.11"),
        (STARTS, ROWS[::-1], r"v\.npy: the items of user row 0 don't ascend"),
    ],
)
def test_new_ragged_rows_are_two(tmp_path, offsets, values, problem):
    version = publish(tmp_path, o=offsets, v=values)
    if problem is None:
        verify(tmp_path, version)
    else:
        with pytest.raises(InvalidPublicationError, match=problem):
            verify(tmp_path, version)


def test_a_map_of_other_ids_than_rows_were_staged_is_refused(tmp_path):
    with Staging(tmp_path) as staging:
        staging.add_array(layout.ITEM_VECTORS, np.ones((3, 2), dtype=np.float32))
        with pytest.raises(MismatchError, match=r"^items\.trie: number of ids is 2, but should be 3"):
            staging.add_id_map(layout.ITEM_IDS, IdMap.build(["a", "b"]))
        nothing = Ragged(np.zeros(5, dtype=np.int64), np.zeros(0, dtype=np.int32))
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, nothing)
        with pytest.raises(MismatchError, match=r"shape is \(3, 2\), but should be \(4, 2\)"):
            staging.add_array(layout.USER_VECTORS, np.ones((3, 2), dtype=np.float32))


@pytest.mark.parametrize(
    ("shape", "lengths", "sizes"),
    [
        ("items", (7,), {"items": 7}),
        ("users + 1", (6,), {"users": 5}),
        ("2 components + 3, components", (11, 4), {"components": 4}),
        ("n, components + 1", (None, 5), {"components": 4}),
        ("", (), {}),
    ],
)
def test_a_shape_is_told_by_sizes_and_tells_them(shape, lengths, sizes):
    spec = FileSpec("x.npy", "", shape, "int32")
    assert spec.lengths({"items": 7, "users": 5, "components": 4}) == lengths
    assert dict(spec.sizes(tuple(9 if length is None else length for length in lengths))) == sizes


def test_every_entry_is_sound():
    known = {"items", "users", "components", "numbers"}.union(
        *(own.shape.split() for own in FILES.values() if not own.dtype)
    )
    for spec in FILES.values():
        named = [length for length in spec.shape.split(", ") if length]
        told = [size for size, _ in spec.sizes((9,) * len(named))]
        assert len(spec.lengths({})) == len(named)
        # One that is misspelt would be any number.
        assert {*told, *filter(None, [spec.of])} <= known
        assert spec.what
        assert 1 <= spec.since <= FORMAT_VERSION
        if spec.values:
            assert (spec.dtype, FILES[spec.values].group) == ("int64", spec.group)
        if spec.dtype:
            np.dtype(spec.dtype)
