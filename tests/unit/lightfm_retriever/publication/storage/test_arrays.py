"""No file crashes who maps it, whatever it holds in place of an array."""

import io
import random
from unittest import mock

import numpy as np
import pytest

from lightfm_retriever.publication.errors import InvalidPublicationError, MismatchError
from lightfm_retriever.publication.storage.arrays import map_array
from tests import publications

ARRAY = np.arange(60, dtype=np.float32).reshape(12, 5)


def test_what_is_no_array_is_refused_and_not_unpickled(tmp_path, monkeypatch):
    path, evidence = tmp_path / "x.npy", tmp_path / "unpickled"
    mischief = np.full(ARRAY.shape, publications.Mischief(evidence))
    archive = io.BytesIO()
    np.savez(archive, array=ARRAY)
    for data, reason in (
        (b"", "isn't a .npy array: "),
        (publications.npy(ARRAY)[:-1], "isn't a .npy array: "),
        (publications.npy(mischief), "isn't a .npy array: "),
        (ARRAY.dumps(), "isn't a .npy array: "),
        (archive.getvalue(), "isn't a single .npy array"),
        (publications.npy(np.asfortranarray(ARRAY)), "is in Fortran order, but should be in C order"),
    ):
        path.write_bytes(data)
        with pytest.raises(InvalidPublicationError) as caught:
            map_array(path, np.float32, (12, 5))
        assert caught.value.path == path
        assert caught.value.reason.startswith(reason)
    assert not evidence.exists()
    # Memory that lacks is no fault of an array.
    monkeypatch.setattr(np, "load", mock.Mock(side_effect=MemoryError))
    with pytest.raises(MemoryError):
        map_array(path, np.float32, ARRAY.shape)


def test_an_array_of_another_type_or_shape_is_refused_with_both(tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(publications.npy(ARRAY))
    for dtype, shape, what, expected, found in (
        ("float64", (12, 5), "dtype", np.dtype("float64"), np.dtype("float32")),
        (">f4", (12, 5), "dtype", np.dtype(">f4"), np.dtype("float32")),
        ("float32", (11, 5), "shape", (11, 5), (12, 5)),
        ("float32", (None, 4), "shape", (None, 4), (12, 5)),
        ("float32", (60,), "shape", (60,), (12, 5)),
        ("float32", (12, 5, 1), "shape", (12, 5, 1), (12, 5)),
    ):
        with pytest.raises(MismatchError) as caught:
            map_array(path, dtype, shape)
        assert (caught.value.what, caught.value.expected, caught.value.found) == (what, expected, found)
    for shape in ((12, 5), (None, 5), (None, None)):
        np.testing.assert_array_equal(map_array(path, np.float32, shape), ARRAY)


@pytest.mark.filterwarnings("ignore")  # numpy's, about headers that it has to mend
def test_no_header_of_an_array_crashes_the_reader(tmp_path):
    """numpy reads the header as Python: one byte may make it a different literal, or none."""
    path, original = tmp_path / "x.npy", publications.npy(ARRAY)
    header = original[:128]
    damaged = random.Random(1)  # noqa: S311
    headers = [header.replace(b"(12, 5)", own) for own in (b"(1 2,5)", b"(-12,5)", b"(-1,-1)")]
    headers += [header.replace(b"'<f4'", own) for own in (b"',f4'", b"'O  '", b"'<f0'", b"None ")]
    for _ in range(400):
        data = bytearray(header)
        for _ in range(damaged.randint(1, 3)):
            data[damaged.randrange(128)] = damaged.choice(b"()[]{}',:<>|#\\\n 0123456789\0\xff")
        headers.append(bytes(data))
    refusals = 0
    for data in headers:
        path.write_bytes(data + original[128:])
        try:
            mapped = map_array(path, np.float32, ARRAY.shape)
        except InvalidPublicationError:
            refusals += 1
        else:
            # Every byte that the numbers are mapped from is there.
            assert len(mapped.tobytes()) == len(original) - 128
    assert refusals > 200
