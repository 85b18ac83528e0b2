from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lightfm_retriever.publication.errors import InvalidIdError, InvalidPublicationError
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES, IdMap, check_id
from tests import publications

# Every script, NUL bytes and emoji; Hypothesis leaves surrogates out.
ids = st.text(min_size=1, max_size=60).filter(lambda text: len(text.encode()) <= MAX_ID_BYTES)
LOOK_ALIKES = ["café", unicodedata.normalize("NFD", "café"), "CAFÉ", "cafe", "café ", "café\0"]


# Made here: in a literal of each linters and editors see the same replacement character.
SURROGATES = [chr(0xD800), f"a{chr(0xDFFF)}b", chr(0xDCFF), chr(0xDC00) + chr(0xD800)]


def reopened(id_map, path):
    id_map.save(path)
    return IdMap.open(path)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("id_map") / "items.trie"


@given(st.sets(ids, max_size=30))
@example(set())
@example(set(publications.ITEM_IDS))
@example(set(LOOK_ALIKES))
@example({"\0", "\0\0", "a\0b", "a\0", "a"})
@example({"東京", "东京", "👩‍👩‍👧", "👩", "\U0010ffff", "\ufeff", "\u202eabc"})
def test_ids_and_rows_are_one_to_one_and_without_gaps(path, external_ids):
    id_map = reopened(IdMap.build(external_ids), path)
    rows = {external_id: id_map.row(external_id) for external_id in external_ids}
    assert sorted(rows.values()) == list(range(len(external_ids)))
    assert {id_map.external_id(row): row for row in range(len(id_map))} == rows
    assert all(external_id in id_map for external_id in external_ids)


@given(st.sets(ids, max_size=10), st.text(max_size=20))
def test_an_id_that_was_not_built_in_has_no_row(path, external_ids, other):
    id_map = reopened(IdMap.build(external_ids), path)
    assert (id_map.row(other) is not None) == (other in external_ids)
    assert (other in id_map) == (other in external_ids)


@given(st.lists(ids, max_size=20), st.randoms(use_true_random=False))
def test_rows_do_not_depend_on_the_order_of_the_ids_and_duplicates_count_once(
    path, external_ids, random
):
    first = IdMap.build(external_ids)
    shuffled = external_ids * 2
    random.shuffle(shuffled)
    second = reopened(IdMap.build(shuffled), path)
    assert len(first) == len(second) == len(set(external_ids))
    assert all(first.row(external_id) == second.row(external_id) for external_id in external_ids)


def test_ids_that_look_the_same_are_different_ids():
    id_map = IdMap.build(LOOK_ALIKES)
    assert len(id_map) == len(set(LOOK_ALIKES)) == 6
    id_map = IdMap.build(["café"])
    assert id_map.row("café") == 0
    assert all(id_map.row(other) is None for other in LOOK_ALIKES[1:])


@pytest.mark.parametrize("character", ["a", "é", "東", "🎬"])
def test_the_longest_id_is_measured_in_bytes(character, path):
    size = len(character.encode())
    longest = character * (MAX_ID_BYTES // size) + "x" * (MAX_ID_BYTES % size)
    assert check_id(longest) is longest
    id_map = reopened(IdMap.build([longest]), path)
    assert id_map.external_id(0) == longest
    assert id_map.row(longest + "x") is None
    with pytest.raises(InvalidIdError, match="513 bytes of UTF-8, at most 512"):
        check_id(longest + "x")


def test_an_empty_id_is_refused():
    with pytest.raises(InvalidIdError, match="is empty"):
        IdMap.build(["a", ""])
    assert IdMap.build(["a"]).row("") is None


@pytest.mark.parametrize("surrogate", SURROGATES, ids=ascii)
def test_a_lone_surrogate_is_refused_and_never_found(surrogate):
    with pytest.raises(InvalidIdError, match="lone surrogate") as caught:
        IdMap.build(["a", surrogate])
    assert caught.value.external_id == surrogate
    str(caught.value).encode()  # the message may be logged and sent
    assert IdMap.build(["a"]).row(surrogate) is None
    assert surrogate not in IdMap.build(["a"])


def test_a_long_id_is_cut_short_in_the_message():
    with pytest.raises(InvalidIdError) as caught:
        check_id("x" * 100_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("row", [-1, 3, 2**31, 2**32, 2**64, 2**70])
def test_there_is_no_other_row(row, path):
    id_map = reopened(IdMap.build(["a", "b", "c"]), path)
    with pytest.raises(IndexError, match=r"isn't in 0\.\.2"):
        id_map.external_id(row)


def test_a_row_may_be_a_numpy_integer(path):
    id_map = reopened(IdMap.build(["a", "b", "c"]), path)
    assert {id_map.external_id(row) for row in np.arange(3, dtype=np.int32)} == {"a", "b", "c"}


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", bytes(5000), b"We love Marisa."])
def test_a_file_of_something_else_is_no_id_map(content, tmp_path):
    path = tmp_path / "items.trie"
    path.write_bytes(content)
    with pytest.raises(InvalidPublicationError, match=r"items\.trie: isn't an id map"):
        IdMap.open(path)


@pytest.mark.parametrize("name", ["missing.trie", "."])
def test_what_is_no_file_is_no_id_map(name, tmp_path):
    with pytest.raises(InvalidPublicationError, match="isn't an id map") as caught:
        IdMap.open(tmp_path / name)
    assert caught.value.path == tmp_path / name


def test_an_id_map_that_cannot_be_written_says_why(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        IdMap.build(["a"]).save(tmp_path / "missing" / "items.trie")
    assert caught.value.filename == str(tmp_path / "missing" / "items.trie")


def test_an_open_map_outlives_its_file(tmp_path):
    path = tmp_path / "items.trie"
    id_map = reopened(IdMap.build(publications.ITEM_IDS), path)
    path.unlink()
    assert {id_map.external_id(row) for row in range(len(id_map))} == set(publications.ITEM_IDS)


def test_ids_are_found_by_how_they_begin(tmp_path):
    id_map = reopened(IdMap.build(["a", "ab", "é", "éa", "b"]), tmp_path / "items.trie")
    assert sorted(id_map.starting_with("a")) == ["a", "ab"]
    assert sorted(id_map.starting_with("é")) == ["é", "éa"]
    assert len([*id_map.starting_with("")]) == 5
    assert [*id_map.starting_with("c")] == [*id_map.starting_with("\udcff")] == []
