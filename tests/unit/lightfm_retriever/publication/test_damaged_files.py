"""Whatever happens to a file, reading the version says which one it was, and never crashes."""

from __future__ import annotations

import io
import os
import random
import shutil

import marisa_trie
import numpy as np
import pytest

from lightfm_retriever.publication import layout, soundness
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    MismatchError,
    MissingFileError,
    VersionNotFoundError,
)
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.verification import verify
from tests import publications

ARRAYS = [name for name in publications.ALL_FILES if name.endswith(".npy")]
SWAPS = [
    (name, other)
    for name in publications.ALL_FILES
    for other in publications.ALL_FILES
    if name != other
]

every_file = pytest.mark.parametrize("name", publications.ALL_FILES)
every_array = pytest.mark.parametrize("name", ARRAYS)


def refused(published, name, error=InvalidPublicationError):
    """`verify` refuses the version because of this file."""
    with pytest.raises(error) as caught:
        verify(published.volume, published.version)
    assert caught.value.path == published.directory / name
    assert str(caught.value).startswith(str(published.directory / name))
    return caught.value


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize("kept", [0.0, 0.5, 1.0], ids=["empty", "half", "but one byte"])
@every_file
def test_a_truncated_file(published, name, kept):
    path = published.directory / name
    data = path.read_bytes()
    publications.overwrite(path, data[: min(int(len(data) * kept), len(data) - 1)])
    error = refused(published, name, MismatchError)
    assert (error.expected, error.found) == (len(data), path.stat().st_size)


@pytest.mark.parametrize("more", [b"\0", b"\0" * 4096])
@every_file
def test_an_extended_file(published, name, more):
    path = published.directory / name
    data = path.read_bytes()
    publications.overwrite(path, data + more)
    error = refused(published, name, MismatchError)
    assert (error.expected, error.found) == (len(data), len(data) + len(more))


@pytest.mark.parametrize("seed", range(5))
@every_file
def test_a_flipped_bit(published, name, seed):
    path = published.directory / name
    data = bytearray(path.read_bytes())
    bit = random.Random(f"{name} {seed}").randrange(8 * len(data))  # noqa: S311
    data[bit // 8] ^= 1 << bit % 8
    publications.overwrite(path, bytes(data))
    error = refused(published, name, MismatchError)
    assert error.what == "SHA-256"
    assert error.expected != error.found


@pytest.mark.parametrize(("name", "other"), SWAPS)
def test_two_files_swapped(published, name, other):
    one, two = published.directory / name, published.directory / other
    contents = {one: two.read_bytes(), two: one.read_bytes()}
    for path, data in contents.items():
        publications.overwrite(path, data)
    with pytest.raises(MismatchError) as caught:
        verify(published.volume, published.version)
    assert caught.value.path in contents


# The ids and titles are the same in both versions, and how many items were seen or held out.
@pytest.mark.parametrize(
    "name",
    [
        layout.ITEM_VECTORS,
        layout.USER_VECTORS,
        layout.ITEM_NORMS,
        layout.SEEN_ITEMS,
        layout.HELD_OUT_ITEMS,
        publications.SIMILAR_FILE,
        publications.RECOMMEND_FILE,
    ],
)
def test_the_file_of_another_version(published, name):
    data = (published.older_directory / name).read_bytes()
    assert len(data) == (published.directory / name).stat().st_size
    publications.overwrite(published.directory / name, data)
    assert refused(published, name, MismatchError).what == "SHA-256"


@every_file
def test_a_removed_file(published, name):
    (published.directory / name).unlink()
    refused(published, name, MissingFileError)
    with pytest.raises(MissingFileError):
        open_publication(published.volume, published.version)


@every_file
def test_a_dangling_link(published, name):
    path = published.directory / name
    path.unlink()
    path.symlink_to("nowhere")
    refused(published, name, MissingFileError)


@every_file
def test_a_directory_in_place_of_a_file(published, name):
    path = published.directory / name
    path.unlink()
    path.mkdir()
    refused(published, name)


@every_file
def test_a_directory_of_the_same_size_in_place_of_a_file(published, name):
    path = published.directory / name
    path.unlink()
    path.mkdir()
    size = path.stat().st_size
    publications.edit_manifest(
        published.directory, lambda content: content["files"][name].update(size=size)
    )
    refused(published, name)
    if not name.endswith(".annoy"):  # which only `verify` reads
        with pytest.raises(InvalidPublicationError) as caught:
            open_publication(published.volume, published.version)
        assert caught.value.path == path


def test_a_file_in_place_of_the_version(published):
    shutil.rmtree(published.directory)
    published.directory.write_bytes(b"")
    with pytest.raises(VersionNotFoundError, match=published.version):
        verify(published.volume, published.version)


# From here on the manifest is signed anew: it agrees that the file should be so.


class _Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.mkdir, (str(self._path),)


@every_array
def test_a_pickled_array_is_refused_and_not_unpickled(published, name, tmp_path):
    evidence = tmp_path / "unpickled"
    shape = np.load(published.directory / name).shape
    pickled = np.full(shape or 1, _Touch(evidence), dtype=object)
    publications.reseal(published.directory, name, npy(pickled))
    refused(published, name)
    assert not evidence.exists()


@every_array
def test_a_bare_pickle_is_refused(published, name):
    publications.reseal(published.directory, name, np.load(published.directory / name).dumps())
    refused(published, name)


@every_array
def test_an_archive_of_arrays_is_refused(published, name):
    file = io.BytesIO()
    np.savez(file, array=np.load(published.directory / name))
    publications.reseal(published.directory, name, file.getvalue())
    refused(published, name)


@pytest.mark.parametrize("name", [layout.ITEM_VECTORS, layout.USER_VECTORS])
def test_fortran_order_is_refused(published, name):
    array = np.asfortranarray(np.load(published.directory / name))
    publications.reseal(published.directory, name, npy(array))
    assert "Fortran order" in str(refused(published, name))


@pytest.mark.parametrize(
    "dtype", ["float64", "float16", ">f4", "int16", "uint16", "complex64", "S4", "M8[s]"]
)
@every_array
def test_another_dtype_is_refused(published, name, dtype):
    array = np.load(published.directory / name).astype("int64").astype(dtype)
    publications.reseal(published.directory, name, npy(array))
    error = refused(published, name, MismatchError)
    assert (error.what, error.found) == ("dtype", np.dtype(dtype))


@pytest.mark.parametrize(
    "reshape",
    [
        lambda array: array[:-1],
        lambda array: array[..., None],
        lambda array: array[0],
        lambda array: np.concatenate([array, array]),
    ],
    ids=["shorter", "deeper", "flatter", "longer"],
)
@every_array
def test_another_shape_is_refused(published, name, reshape):
    array = np.ascontiguousarray(reshape(np.load(published.directory / name)))
    publications.reseal(published.directory, name, npy(array))
    # Where any length goes, it is the offsets that don't fit.
    offsets = {layout.SEEN_ITEMS: layout.SEEN_OFFSETS} | {
        values: offsets for offsets, values in layout.OPTIONAL_PAIRS
    }
    any_length = array.ndim == 1
    refused(published, offsets.get(name, name) if any_length else name)


@pytest.mark.parametrize("factor", [0, -1, 0.99, 1.01, 1e30, np.nan, np.inf])
@pytest.mark.parametrize("row", [0, publications.ITEMS - 1])
def test_a_norm_that_is_not_the_embeddings_is_refused(published, row, factor):
    array = np.load(published.directory / layout.ITEM_NORMS)
    array[row] *= np.float32(factor)
    publications.reseal(published.directory, layout.ITEM_NORMS, npy(array))
    reason = str(refused(published, layout.ITEM_NORMS))
    assert f"norm {row} isn't that of the embedding" in reason


def test_norms_may_differ_by_rounding_but_not_by_the_bias(published):
    vectors = np.load(published.directory / layout.ITEM_VECTORS)
    for name, norms, fits in (
        ("float32", np.linalg.norm(vectors[:, :-1], axis=1), True),
        ("with bias", np.linalg.norm(vectors, axis=1), False),
    ):
        publications.reseal(published.directory, layout.ITEM_NORMS, npy(norms))
        assert norms.dtype == np.float32, name
        if fits:
            verify(published.volume, published.version)
        else:
            refused(published, layout.ITEM_NORMS)


def test_a_wrong_norm_beyond_the_first_chunk_is_named(published, monkeypatch):
    monkeypatch.setattr(soundness, "_CHUNK_ROWS", 5)
    array = np.load(published.directory / layout.ITEM_NORMS)
    array[7] *= 2
    publications.reseal(published.directory, layout.ITEM_NORMS, npy(array))
    assert "norm 7 isn't" in str(refused(published, layout.ITEM_NORMS))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [layout.ITEM_VECTORS, layout.USER_VECTORS])
def test_a_number_that_is_not_finite_is_refused(published, name, number):
    array = np.load(published.directory / name)
    array[3, 1] = number
    publications.reseal(published.directory, name, npy(array))
    assert "row 3 isn't finite" in str(refused(published, name))


@pytest.mark.parametrize("number", [1.1e15, -3e38])
@pytest.mark.parametrize("name", [layout.ITEM_VECTORS, layout.USER_VECTORS])
def test_a_number_that_makes_scores_infinite_is_refused(published, name, number):
    array = np.load(published.directory / name)
    array[3, 1] = number
    publications.reseal(published.directory, name, npy(array))
    assert "row 3 has a number beyond 1e+15" in str(refused(published, name))


def test_an_embedding_without_direction_is_refused(published):
    array = np.load(published.directory / layout.ITEM_VECTORS)
    array[3, :-1] = 0
    publications.reseal(published.directory, layout.ITEM_VECTORS, npy(array))
    assert "embedding 3 is zero" in str(refused(published, layout.ITEM_VECTORS))


# Rows of items: what users have seen, and what was held out.
ROWS = [
    (layout.SEEN_OFFSETS, layout.SEEN_ITEMS),
    (layout.HELD_OUT_OFFSETS, layout.HELD_OUT_ITEMS),
]


@pytest.mark.parametrize("spoil", [lambda row: row[::-1], lambda row: np.full_like(row, row[0])])
@pytest.mark.parametrize(("offsets", "values"), ROWS)
def test_items_of_a_user_that_do_not_ascend_are_refused(published, offsets, values, spoil):
    """Whoever looks for one of them bisects."""
    starts = np.load(published.directory / offsets)
    items = np.load(published.directory / values)
    last = len(starts) - 2
    assert starts[-1] - starts[last] > 1
    items[starts[last] :] = spoil(items[starts[last] :])
    publications.reseal(published.directory, values, npy(items))
    reason = str(refused(published, values))
    assert f"the items of user row {last} don't ascend" in reason


@pytest.mark.parametrize("row", [-1, publications.ITEMS, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("name", [values for _, values in ROWS])
def test_an_item_that_does_not_exist_is_refused(published, name, row):
    array = np.load(published.directory / name)
    array[2] = row
    publications.reseal(published.directory, name, npy(array))
    assert str(row) in refused(published, name, MismatchError).found


@pytest.mark.parametrize(("at", "to"), [(0, 1), (-1, 1), (-1, 2**62), (2, 10**6), (2, -1)])
@pytest.mark.parametrize(
    "name", [layout.SEEN_OFFSETS, *(offsets for offsets, _ in layout.OPTIONAL_PAIRS)]
)
def test_offsets_that_lead_astray_are_refused(published, name, at, to):
    array = np.load(published.directory / name)
    array[at] = to
    publications.reseal(published.directory, name, npy(array))
    assert "offsets" in str(refused(published, name))


@pytest.mark.parametrize("name", [layout.ITEM_IDS, layout.USER_IDS])
def test_something_else_in_place_of_an_id_map_is_refused(published, name):
    for data in (b"", b"x" * 5000, npy(np.zeros(5))):
        publications.reseal(published.directory, name, data)
        assert "isn't an id map" in str(refused(published, name))


@pytest.mark.parametrize(
    ("name", "other"), [(layout.ITEM_IDS, layout.USER_IDS), (layout.USER_IDS, layout.ITEM_IDS)]
)
def test_an_id_map_with_another_number_of_ids_is_refused(published, name, other):
    publications.reseal(published.directory, name, (published.directory / other).read_bytes())
    assert refused(published, name, MismatchError).what == "number of ids"


@pytest.mark.parametrize(
    ("name", "count"), [(layout.ITEM_IDS, publications.ITEMS), (layout.USER_IDS, publications.USERS)]
)
def test_an_id_that_is_no_text_is_refused(published, name, count):
    ids = [b"caf\xe9", *(b"%d" % number for number in range(count - 1))]
    publications.reseal(published.directory, name, marisa_trie.BinaryTrie(ids).tobytes())
    assert "isn't UTF-8" in str(refused(published, name))


@pytest.mark.filterwarnings("ignore")  # numpy's, about headers that it has to mend
def test_no_header_of_an_array_crashes_the_reader(published):
    """numpy reads the header as Python: one byte may make it a different literal, or none."""
    name = layout.ITEM_VECTORS
    path = published.directory / name
    original = path.read_bytes()
    header = original[:128]
    damaged = random.Random(1)  # noqa: S311
    headers = [
        header.replace(b"(12, 5)", shape) for shape in (b"(1 2,5)", b"(-12,5)", b"(-1,-1)", b"(0,0,0)")
    ]
    headers += [
        header.replace(b"'<f4'", dtype) for dtype in (b"',f4'", b"'O  '", b"'<f0'", b"'<V9'", b"None ")
    ]
    for _ in range(1500):
        data = bytearray(header)
        for _ in range(damaged.randint(1, 3)):
            data[damaged.randrange(128)] = damaged.choice(
                [damaged.randrange(256), *b"()[]{}',:<>|#\\\n 0123456789"]
            )
        headers.append(bytes(data))
    assert {len(data) for data in headers} == {128}
    refusals = 0
    for data in headers:
        publications.overwrite(path, data + original[128:])
        try:
            opened = open_publication(published.volume, published.version)
        except InvalidPublicationError as error:
            assert error.path == path  # noqa: PT017
            refusals += 1
        else:
            # Only `verify` reads the numbers; here every byte that they are mapped from is there.
            assert opened.item_vectors.shape == (publications.ITEMS, publications.COMPONENTS + 1)
            assert len(opened.item_vectors.tobytes()) == len(original) - 128
    assert refusals > 1000
