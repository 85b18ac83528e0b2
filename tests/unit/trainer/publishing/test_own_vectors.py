"""Vectors of any model as files: every format that they may come in, and what is wrong with others."""

import gzip
import io
import pickle
import tempfile
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES
from tests import datasets, publications
from tests.measured_vectors import evaluate_vectors
from trainer.errors import InputError, OptionError
from trainer.publishing.own_vectors import OwnVectors, read_own_vectors

# Numpy's would be one more line on the terminal, which says nothing of the file.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

ITEMS, USERS = ["b", "a", "東京", "d", "c"], ["u2", "u1", "Ünal"]
ITEM_VECTORS = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
USER_VECTORS = np.random.default_rng(2).normal(size=(3, 3)).astype(np.float32)
ITEM_BIASES = np.array([0.5, -1, 2, 0, 0.25], dtype=np.float32)
USER_BIASES = np.array([3, -0.5, 0], dtype=np.float32)


def save(path, array):
    np.save(path, array)
    return path


def save_ids(path, ids):
    path.write_text("".join(f"{one}\n" for one in ids), "utf-8", newline="")
    return path


@pytest.fixture
def items(tmp_path):
    """Files of items only."""
    return OwnVectors(
        item_vectors=save(tmp_path / "items.npy", ITEM_VECTORS),
        item_ids=save_ids(tmp_path / "items.txt", ITEMS),
    )


@pytest.fixture
def both(tmp_path, items):
    """Files of items and users, with biases."""
    return replace(
        items,
        item_biases=save(tmp_path / "item_biases.npy", ITEM_BIASES),
        user_vectors=save(tmp_path / "users.npy", USER_VECTORS),
        user_ids=save_ids(tmp_path / "users.txt", USERS),
        user_biases=save(tmp_path / "user_biases.npy", USER_BIASES),
    )


def read(files):
    """Read, with a copy of the vectors in a file that has no name, so that the folder may be shared."""
    return read_own_vectors(files, Path(tempfile.gettempdir()))


def refused(files, path, reason, row=None):
    with pytest.raises(InputError) as caught:
        read(files)
    assert (caught.value.path, caught.value.row) == (path, row)
    assert str(caught.value).startswith(f"{path}")
    assert reason in str(caught.value)


def item_vectors(source, ids=ITEMS):
    """Vectors with biases, in the order of ids."""
    return source.embeddings.item_vectors[[source.items.row(one) for one in ids]]


def user_vectors(source, ids=USERS):
    return source.embeddings.user_vectors[[source.users.row(one) for one in ids]]


# What other programs end a line at, and what looks like an end of text.
_BREAKS = "\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}\x85\x0b\x0c\x1c\x1d\x1e\0\t \r"
_CHARACTERS = st.characters(
    exclude_categories=["Cs"], exclude_characters="\n\N{ZERO WIDTH NO-BREAK SPACE}"
)
_IDS = st.lists(
    st.text(_CHARACTERS | st.sampled_from(_BREAKS), min_size=1, max_size=12).filter(
        lambda one: not one.endswith("\r")
    ),
    min_size=1,
    max_size=30,
    unique=True,
)


@given(ids=_IDS, end=st.sampled_from(["\n", "\r\n"]), mark=st.booleans(), last=st.booleans())
@example(ids=["x\N{LINE SEPARATOR}y", "x", "y"], end="\n", mark=False, last=False)
@example(ids=["cafe\N{COMBINING ACUTE ACCENT}", "café"], end="\r\n", mark=True, last=True)
@example(ids=["ORC", "BZh", "%PDF-"], end="\n", mark=False, last=True)
@example(ids=["\0"], end="\n", mark=False, last=False)
@example(ids=["é" * (MAX_ID_BYTES // 2), " ", "0", "00"], end="\r\n", mark=False, last=False)
def test_a_vector_keeps_its_id_whatever_the_ids_and_their_order(ids, end, mark, last):
    vectors = np.arange(1, 2 * len(ids) + 1, dtype=np.float32).reshape(-1, 2)
    biases = -np.arange(len(ids), dtype=np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = end.join(ids) + (end if last else "")
        # What Windows puts before the text.
        (folder / "ids").write_bytes(text.encode("utf-8-sig" if mark else "utf-8"))
        files = OwnVectors(
            item_vectors=save(folder / "v.npy", vectors),
            item_ids=folder / "ids",
            item_biases=save(folder / "b.npy", biases),
            user_vectors=folder / "v.npy",
            user_ids=folder / "ids",
        )
        source = read(files)
    assert len(source.items) == len(source.users) == len(ids)
    expected = np.column_stack([vectors, biases])
    np.testing.assert_array_equal(item_vectors(source, ids), expected)
    expected[:, -1] = 0
    np.testing.assert_array_equal(user_vectors(source, ids), expected)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "kind", ["f2", "f4", "f8", ">f4", ">f8", np.longdouble, "i1", "i8", ">i4", "u1", "u8"]
)
def test_numbers_of_every_kind_and_order_are_read_as_float32(tmp_path, items, kind, order):
    vectors = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12], [13, 14, 100]], dtype=kind)
    biases = np.array([5, 4, 3, 2, 1], dtype=kind)
    if np.dtype(kind).kind == "f":
        vectors += np.array(0.25, dtype=kind)
    files = replace(
        items,
        item_vectors=save(tmp_path / "v.npy", np.asarray(vectors, order=order)),
        item_biases=save(tmp_path / "b.npy", biases),
    )
    source = read(files)
    of = source.embeddings.item_vectors
    assert (of.dtype, of.flags.c_contiguous, source.warnings) == (np.float32, True, [])
    np.testing.assert_array_equal(item_vectors(source), np.column_stack([vectors, biases]))


def test_items_alone_are_enough(items):
    source = read(items)
    np.testing.assert_array_equal(item_vectors(source), np.column_stack([ITEM_VECTORS, np.zeros(5)]))
    assert source.embeddings.user_vectors.shape == (0, 4)
    assert len(source.seen) == len(source.users) == 0
    assert (source.held_out, source.titles, source.metrics) == (None, None, {})
    assert (source.facts.name, source.facts.split) == ("items.npy", "none")


def test_a_user_without_a_direction_is_a_warning_while_others_have_one(both):
    """Somebody of whom nothing is known gets what the items' biases say."""
    own = f"in {both.user_ids}, 'Ünal'"
    for factors, said in (
        ([0, 0, 0], "3 of 3 vectors are zero"),
        ([1, 1, 0], f"1 of 3 vectors are zero; the first is that of row 3 {own}, with a length of 0"),
        ([1, 1, 1e-25], f"1 of 3 vectors are shorter than 1e-15; the first is that of row 3 {own}"),
    ):
        vectors = USER_VECTORS * np.array(factors, dtype=np.float32)[:, None]
        save(both.user_vectors, vectors)
        source = read(both)
        [warning] = source.warnings
        assert warning.startswith(said)
        np.testing.assert_array_equal(user_vectors(source)[:, :-1], vectors)


def test_many_vectors_are_mapped_in_the_order_of_their_ids_and_never_copied_as_a_whole(tmp_path):
    count = 50_000
    random = np.random.default_rng(3)
    numbers = random.permutation(count)
    vectors = random.normal(size=(count, 64)).astype(np.float32)
    biases = random.normal(size=count)
    files = OwnVectors(
        item_vectors=save(tmp_path / "v.npy", vectors),
        item_ids=save_ids(tmp_path / "ids", [f"i{number}" for number in numbers]),
        item_biases=save(tmp_path / "b.npy", biases),
    )
    tracemalloc.start()
    try:
        source = read(files)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < vectors.nbytes * 0.7
    rows = [source.items.row(f"i{number}") for number in numbers]
    read_back = source.embeddings.item_vectors[rows]
    assert np.array_equal(read_back, np.column_stack([vectors, biases.astype(np.float32)]))
    assert not source.embeddings.item_vectors.flags.writeable


def by_id(source, rows):
    """Each user's items, by their ids."""
    return {
        user: {source.items.external_id(row) for row in rows[source.users.row(user)].tolist()}
        for user in USERS
    }


def with_rows(both, folder, suffix="csv", **rows):
    paths = {name: datasets.write_rows(folder / f"{name}.{suffix}", own) for name, own in rows.items()}
    return replace(both, **paths)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_what_users_have_seen_and_what_is_held_out_are_rows_of_theirs(tmp_path, both, suffix):
    seen = [("u1", "東京", 1.0), ("u1", "a", 5.0), ("Ünal", "d", 0.5), ("u1", "a", 1.0)]
    held_out = [("u2", "b", 1.0), ("u1", "c", 1.0), ("u1", "d", 2.0)]
    source = read(with_rows(both, tmp_path, suffix, seen=seen, held_out=held_out))
    assert source.warnings == []
    assert by_id(source, source.seen) == {"u1": {"東京", "a"}, "Ünal": {"d"}, "u2": set()}
    assert by_id(source, source.held_out) == {"u1": {"c", "d"}, "Ünal": set(), "u2": {"b"}}
    for rows in (source.seen, source.held_out):
        assert rows.problem() is rows.first_not_ascending() is None
        assert rows.values.dtype == np.int32
    # One is there twice.
    assert (source.facts.train_interactions, source.facts.test_interactions) == (3, 3)
    assert source.facts.split == "own"
    expected = evaluate_vectors(source.embeddings, seen=source.seen, held_out=source.held_out)
    # Of u1 alone, who has both seen something and something held out: all items fit among ten.
    kinds = ("trained", "folded_in", "popular")
    cold = dict.fromkeys((f"test_precision_at_10_{kind}" for kind in kinds), pytest.approx(0.2))
    ranked = {f"test_ndcg_at_10_{kind}": source.metrics[f"test_ndcg_at_10_{kind}"] for kind in kinds}
    assert source.metrics == expected | cold | ranked
    assert all(0 < value < 1 for value in ranked.values())
    assert source.metrics["evaluated_users"] == 2


def test_interactions_that_are_no_use_are_left_out_and_counted(tmp_path, both):
    seen = [("u1", "a", 1.0), ("u1", "x", 1.0), ("x", "a", 1.0), ("u2", "b", 0.0), ("u2", "c", -1.0)]
    held_out = [("u1", "b", 1.0), ("a", "u1", 1.0), ("u1", "a", 1.0), ("Ünal", "a", 1.0)]
    files = with_rows(both, tmp_path, seen=seen, held_out=held_out)
    source = read(files)
    assert by_id(source, source.seen) == {"u1": {"a"}, "u2": set(), "Ünal": set()}
    assert by_id(source, source.held_out) == {"u1": {"b"}, "u2": set(), "Ünal": {"a"}}
    assert source.held_out.problem() is None
    assert source.facts.test_interactions == source.metrics["evaluated_users"] == 2
    what = "have a user or an item without a vector, or a weight of 0 or less"
    assert source.warnings == [
        f"4 of 5 rows of {files.seen} {what}: they are left out",
        f"1 of 4 rows of {files.held_out} {what}: they are left out",
        # They aren't recommended, so nobody can say whether they would have been; LightFM refuses them.
        f"1 positives of {files.held_out} are also in {files.seen}: they aren't evaluated",
    ]
    nothing = [("u1", "a", 0.0), ("u2", "b", -1.0)]
    source = read(with_rows(both, tmp_path, seen=nothing, held_out=nothing))
    assert len(source.warnings) == 2
    assert source.seen.offsets.tolist() == source.held_out.offsets.tolist() == [0, 0, 0, 0]
    assert source.metrics == {"evaluated_users": 0.0}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_titles_and_attributes_are_those_of_the_items_that_have_vectors(tmp_path, items, suffix):
    def by_item(of):
        return dict(zip(map(source.items.external_id, range(5)), of, strict=True))

    path = tmp_path / f"items.{suffix}"
    own = {"item_id": ["a", "x", "東京", "b"]}
    datasets.write(path, {**own, "title": ["Film a", "No film", "映画", ""]})
    source = read(replace(items, items=path))
    assert source.warnings == [f"2 items have a vector but aren't in {path}: they have no titles"]
    assert by_item(source.titles) == {"a": "Film a", "東京": "映画", "b": "", "c": "", "d": ""}
    columns = {"year": ["1995", "2001", "", "2003"], "tags": ["war;film", "x", "", "film"]}
    datasets.write(path, {**own, **columns})
    files = replace(items, items=path, item_attributes=["tags", "year"], feature_separator=";")
    source = read(files)
    assert source.warnings == [f"2 items have a vector but aren't in {path}: they have no attributes"]
    # Who gives attributes need not give titles.
    assert source.titles is None
    tags, year = source.attributes
    assert (tags.name, year.name) == ("tags", "year")
    tagged = {item: sorted(values) for item, values in by_item(tags.values).items()}
    assert tagged == {"a": ["film", "war"], "b": ["film"], "東京": [], "c": [], "d": []}
    years = {item: float(value) for item, value in by_item(year.values).items() if value == value}
    assert years == {"a": 1995.0, "b": 2003.0}


def test_interactions_and_items_are_held_against_the_vectors(tmp_path, both):
    def none_of(kind, ids, own, other):
        return (
            f": none of its 2 {kind} ids is in {ids}: for example, {own!r} here and {other!r} there. "
        )

    path, items, users = tmp_path / "rows.csv", both.item_ids, both.user_ids
    neither = f": no row has both an item of {items} and a user of {users}: does the file belong to"
    # They are of other data, or their ids are written in another way.
    for rows, reason, row in (
        ([("u1", "1", 1.0), ("u2", "2", 1.0)], none_of("item", items, "1", "b"), None),
        ([("U2", "a", 1), ("x", "b", 1), ("U2", "b", -1)], none_of("user", users, "U2", "u2"), None),
        ([("u1", "x", 1.0), ("x", "a", 1.0)], neither, None),
        ([("u1", "a", "3e38")], "weight is 3e+38, but should be between", 1),
    ):
        datasets.write_rows(path, rows)
        for name in ("seen", "held_out"):
            refused(replace(both, **{name: path}), path, reason, row)
    for title, ids, attributes, reason in (
        ("name", ["a"], [], ": column title is missing"),
        ("title", ["A", "B"], [], none_of("item", items, "A", "b")),
        ("title", ["a"], ["year"], ": column year is missing; the columns are: item_id, title"),
    ):
        datasets.write(path, {"item_id": ids, title: ids})
        refused(replace(both, items=path, item_attributes=attributes), path, reason)


def not_finite(rows, value, kind="f4"):
    made = ITEM_VECTORS.astype(kind)
    made[rows, 1] = value
    return made


def times(*factors):
    return ITEM_VECTORS * np.array(factors, dtype=np.float64)[:, None]


COUNTED = "are {}; the first is that of row {} in {{folder}}/items.txt, {}"
LENGTH = "'a', with a length of 1e+30: their scores"
WRONG_ARRAYS = [
    (np.ones((6, 3)), "has 6 vectors, but {folder}/items.txt has 5 ids"),
    (not_finite([1, 3], np.nan), "2 of 5 rows aren't finite as float32; the first is row 1,"),
    # A sum of infinities may be no infinity.
    (times(1, 1, 1, np.inf, 1), "1 of 5 rows aren't finite as float32; the first is row 3,"),
    (not_finite([0], 1e39, "f8"), "1 of 5 rows aren't finite as float32; the first is row 0, counted"),
    (times(1, 1, 0, 1, 0), "2 of 5 vectors " + COUNTED.format("zero", 3, "'東京'")),
    (not_finite([1, 3], 1e30), "2 of 5 vectors " + COUNTED.format("longer than 1e+15", 2, LENGTH)),
    (times(*[1e-25] * 5), "5 of 5 vectors " + COUNTED.format("shorter than 1e-15", 1, "'b'")),
    (times(1, 1, 1, 1, 1e-25), "1 of 5 vectors " + COUNTED.format("shorter than 1e-15", 5, "'c'")),
    (np.ones((5, 3, 1)), "has shape (5, 3, 1), but should have 2 dimension(s)"),
    (np.ones((5, 0)), "has vectors of no dimensions"),
    (np.full((5, 3), True), "holds bool, but should hold numbers"),
]


@pytest.mark.parametrize(("array", "reason"), WRONG_ARRAYS)
def test_item_vectors_that_cannot_be_used_are_named_with_the_reason(tmp_path, items, array, reason):
    save(items.item_vectors, array)
    refused(items, items.item_vectors, reason.format(folder=tmp_path))


def test_user_vectors_and_biases_that_cannot_be_used_are_named_with_the_reason(both):
    short = f"1 of 3 vectors are shorter than 1e-15; the first is that of row 2 in {both.user_ids}"
    beyond = "beyond 1e+15; the first is"
    for name, array, reason in (
        ("user_vectors", np.ones((3, 4)), "has vectors of 4 dimensions, but item vectors have 3"),
        ("user_vectors", [[0, 0, 0], [1e-25, 0, 0], [0, 0, 0]], short),
        ("user_biases", np.ones(4), f"has 4 biases, but {both.user_vectors} has 3 vectors"),
        ("item_biases", np.ones(6), f"has 6 biases, but {both.item_vectors} has 5 vectors"),
        (
            "item_biases",
            [0, 0, np.inf, 0, 0],
            "1 of 5 rows aren't finite as float32; the first is row 2",
        ),
        (
            "user_biases",
            [1, 1, -1e30],
            f"1 of 3 biases are {beyond} row 2, counted from 0, with -1e+30",
        ),
    ):
        path = getattr(both, name)
        good = path.read_bytes()
        save(path, np.array(array))
        refused(both, path, reason)
        path.write_bytes(good)


GOOD = publications.npy(ITEM_VECTORS)


@pytest.mark.parametrize("name", ["item_vectors", "item_biases"])
def test_what_is_no_npy_file_is_refused_and_not_executed(tmp_path, both, name):
    mischief = publications.Mischief(tmp_path / "executed")
    path = getattr(both, name)
    pickled = publications.npy(np.full((5, 3) if name == "item_vectors" else 5, mischief))
    archive = io.BytesIO()
    np.savez(archive, a=ITEM_VECTORS)
    for data in (
        *(b"", b"0.1,0.2,0.3\n", GOOD[:5], GOOD[:100], GOOD[:-1], pickle.dumps(mischief), pickled),
        GOOD.replace(b"'shape': (5, 3)", b"'shape': (5, -3"),
        GOOD.replace(b"'<f4'", b"'<q9'"),
        GOOD[:10] + b"\xff" * (len(GOOD) - 10),
        archive.getvalue()[:200],
    ):
        path.write_bytes(data)
        refused(both, path, ": isn't a .npy array: ")
    path.write_bytes(archive.getvalue())
    refused(both, path, ": is an archive of arrays, but should be a single .npy array")
    assert not mischief.path.exists()
    # It would do so where it is loaded carelessly.
    np.load(io.BytesIO(pickled), allow_pickle=True)
    assert mischief.path.exists()


@pytest.mark.parametrize(
    ("data", "row", "reason"),
    [
        (b"b\na\nc\nd\nb\n", 5, "id 'b' is also in row 1"),
        (b"b\na\r\nc\nd\na\n", 5, "id 'a' is also in row 2"),
        (b"b\n\nc\nd\ne\n", 2, "id '': is empty"),
        (b"b\na\nc\nd\n\n", 5, "id '': is empty"),
        (b"b\na\n" + b"x" * 513 + b"\nd\ne\n", 3, "has 513 bytes of UTF-8, but may have at most 512"),
        ("b\né\n".encode("latin-1"), 2, "isn't UTF-8: it holds a byte 0xe9 that isn't UTF-8, in b'b"),
        (b"b\r\na\r\n\x93c\x94", 3, "is the file Windows-1252? Convert it: iconv -f cp1252 -t utf-8 "),
        ("b\na\n".encode("utf-16"), None, "it is text in UTF-16: convert it: iconv -f utf-16 "),
        (gzip.compress(b"b\na\n", mtime=0), None, "isn't UTF-8: it is compressed by gzip: decompress"),
        (b"b\na\n\xed\xa0\x80\nd\ne\n", 3, "isn't UTF-8: "),
        (b"", None, "the file is empty"),
        (b"\xef\xbb\xbf", None, "the file is empty"),
    ],
)
@pytest.mark.parametrize("side", ["item", "user"])
def test_ids_that_cannot_be_used_are_named_with_their_row(both, side, data, row, reason):
    path = getattr(both, f"{side}_ids")
    path.write_bytes(data)
    refused(both, path, reason, row)


def test_marks_of_a_missing_id_are_told_of(both):
    save_ids(both.item_ids, ["NaN", *ITEMS[1:]])
    save_ids(both.user_ids, ["NaN", *USERS[1:]])
    source = read(both)
    for side, warning in zip(("item", "user"), source.warnings, strict=True):
        assert f"{side} ids 'NaN' look like markers of a missing id" in warning
    assert "NaN" in source.items


@pytest.mark.parametrize("name", ["item_vectors", "user_ids", "user_biases", "seen", "items"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, both, name):
    path = tmp_path / "none"
    refused(replace(both, **{name: path}), path, ": No such file or directory")


def test_what_needs_another_file_says_so(both):
    nobody = {"user_vectors": None, "user_ids": None, "user_biases": None}
    for changes, said in (
        ({"user_ids": None}, f"--user-vectors is '{both.user_vectors}', but {{}} --user-ids"),
        ({"user_vectors": None}, "--user-vectors is missing, but {} --user-ids"),
        ({"item_attributes": ["a"]}, "--item-attributes is 'a', but {} --items FILE"),
        ({**nobody, "user_biases": Path("a")}, "--user-biases is 'a', but {} --user-vectors"),
        ({**nobody, "seen": Path("a")}, "--seen is 'a', but {} --user-vectors"),
        ({**nobody, "held_out": Path("a")}, "--held-out is 'a', but {} --user-vectors"),
    ):
        with pytest.raises(OptionError) as caught:
            read(replace(both, **changes))
        assert str(caught.value) == said.format("should be used with")
