import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lightfm_retriever.publication.errors import InvalidIdError, InvalidPublicationError
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES, IdMap, check_id

# Every script, NUL bytes and emoji; Hypothesis leaves surrogates out.
ids = st.text(min_size=1, max_size=60).filter(lambda text: len(text.encode()) <= MAX_ID_BYTES)
LOOK_ALIKES = ["café", unicodedata.normalize("NFD", "café"), "CAFÉ", "cafe", "café ", "café\0"]


def reopened(id_map, path):
    id_map.save(path)
    return IdMap.open(path)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("id_map") / "items.trie"


@settings(max_examples=40)
@given(st.sets(ids, max_size=20), st.text(max_size=20))
@example(set(LOOK_ALIKES[1:]), LOOK_ALIKES[0])
@example({"\0", "\0\0", "a\0b", "a\0", "a"}, "a\0\0")
@example({"東京", "东京", "👩‍👩‍👧", "👩", "\U0010ffff", "\ufeff", "\u202eabc"}, "京")
def test_ids_and_rows_are_one_to_one_without_gaps(no_waiting_for_the_disk, path, external_ids, other):
    in_order = sorted(external_ids)
    first, id_map = IdMap.build(in_order), reopened(IdMap.build(in_order[::-1] * 2), path)
    rows = {external_id: id_map.row(external_id) for external_id in external_ids}
    assert sorted(rows.values()) == list(range(len(external_ids)))
    assert {id_map.external_id(row): row for row in range(len(id_map))} == rows
    assert {external_id: first.row(external_id) for external_id in external_ids} == rows
    assert all(external_id in id_map for external_id in external_ids)
    assert id_map.rows([*id_map, other]).tolist() == [*range(len(rows)), rows.get(other, -1)]
    assert (id_map.row(other) is not None) == (other in id_map) == (other in external_ids)


@pytest.mark.parametrize("character", ["a", "東"])
def test_the_longest_id_is_measured_in_bytes(character, path):
    size = len(character.encode())
    longest = character * (MAX_ID_BYTES // size) + "x" * (MAX_ID_BYTES % size)
    assert check_id(longest) is longest
    id_map = reopened(IdMap.build([longest]), path)
    assert id_map.external_id(0) == longest
    assert id_map.row(longest + "x") is None
    with pytest.raises(InvalidIdError, match="513 bytes of UTF-8, but may have at most 512"):
        check_id(longest + "x")
    with pytest.raises(InvalidIdError) as caught:
        check_id(character * 100_000)
    assert len(str(caught.value).encode()) < 900


def test_an_empty_id_and_a_lone_surrogate_are_refused_and_never_found():
    # Made here: in a literal of each linters and editors see the same replacement character.
    surrogates = [chr(0xD800), f"a{chr(0xDFFF)}b"]
    for bad in ("", *surrogates):
        with pytest.raises(InvalidIdError, match="lone surrogate" if bad else "is empty") as caught:
            IdMap.build(["a", bad])
        str(caught.value).encode()  # the message may be logged and sent
        assert IdMap.build(["a"]).row(bad) is None
        assert bad not in IdMap.build(["a"])


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY", bytes(5000), b"We love Marisa."])
def test_a_file_of_something_else_is_no_id_map(content, tmp_path):
    path = tmp_path / "items.trie"
    if content is not None:
        path.write_bytes(content)
    for own in (path, tmp_path):
        with pytest.raises(InvalidPublicationError, match="isn't an id map") as caught:
            IdMap.open(own)
        assert caught.value.path == own


def test_ids_are_found_by_row_and_by_how_they_begin_also_when_the_file_is_gone(tmp_path):
    id_map = reopened(IdMap.build(["a", "ab", "é", "éa", "b"]), tmp_path / "items.trie")
    (tmp_path / "items.trie").unlink()
    assert {id_map.external_id(own) for own in np.arange(5, dtype=np.int32)} == {*id_map}
    for row in (-1, 5, 2**32, 2**70):
        with pytest.raises(IndexError, match=r"isn't in 0\.\.4"):
            id_map.external_id(row)
    assert sorted(id_map.starting_with("a")) == ["a", "ab"]
    assert sorted(id_map.starting_with("é")) == ["é", "éa"]
    assert len([*id_map.starting_with("")]) == 5
    assert [*id_map.starting_with("c")] == [*id_map.starting_with("\udcff")] == []
