"""A version of an item-item model: what is written is read, and what can't be is refused."""

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    MismatchError,
    NoVectorsError,
    VectorError,
    VolumeError,
)
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.storage.ragged import Ragged, empty
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.writer import Staging
from tests import publications
from tests.unit.lightfm_retriever.publication.test_soundness import load, reseal, spoilt
from tests.unit.lightfm_retriever.publication.test_verification import refused

OFFSETS, ROWS, WEIGHTS = layout.REQUIRED_FILES["neighbours"][-3:]


def test_the_names_are_those_of_the_neighbours():
    assert [OFFSETS, ROWS, WEIGHTS] == [
        layout.NEIGHBOUR_OFFSETS,
        layout.NEIGHBOUR_ITEMS,
        layout.NEIGHBOUR_WEIGHTS,
    ]


def test_what_is_written_is_mapped(item_item):
    facts = verify(item_item.volume, item_item.version)
    assert (facts.format_version, facts.components, facts.indexes) == (2, 0, {})
    assert (facts.kind, facts.family) == ("neighbours", "ease")
    opened = open_publication(item_item.volume, item_item.version)
    random = np.random.default_rng(3)
    for user in range(publications.USERS):
        random.choice(publications.ITEMS, size=user, replace=False)
    made = publications.neighbours(random, publications.ITEMS)
    assert opened.neighbours is not None
    np.testing.assert_array_equal(opened.neighbours.rows.offsets, made.rows.offsets)
    np.testing.assert_array_equal(opened.neighbours.rows.values, made.rows.values)
    np.testing.assert_array_equal(opened.neighbours.weights, made.weights)
    assert (made.weights < 0).any()
    assert opened.profiles is not None
    assert [own.tolist() for own in map(opened.profiles.__getitem__, range(6))] == [
        opened.seen[row][:-1].tolist() for row in range(6)
    ]
    for array in (opened.neighbours.weights, opened.neighbours.rows.values, opened.profiles.values):
        assert not array.flags.writeable
        assert not array.flags.owndata
    assert opened.item_vectors is opened.user_vectors is opened.fold_in is None
    with pytest.raises(NoVectorsError, match=f"version {item_item.version} has no vectors.*ease"):
        assert opened.vectors


def test_a_version_of_vectors_has_no_neighbours(published):
    opened = open_publication(published.volume, published.version)
    assert opened.neighbours is opened.profiles is None
    assert opened.vectors == (opened.item_vectors, opened.user_vectors)


def test_without_profiles_the_seen_items_are_the_profile(item_item):
    for name in publications.PROFILE_FILES:
        (item_item.directory / name).unlink()
    publications.edit_manifest(
        item_item.directory,
        lambda content: [content["files"].pop(name) for name in publications.PROFILE_FILES],
    )
    verify(item_item.volume, item_item.version)
    assert open_publication(item_item.volume, item_item.version).profiles is None


@pytest.mark.parametrize("name", [OFFSETS, ROWS, WEIGHTS, *publications.PROFILE_FILES])
def test_an_array_of_another_kind_is_refused(item_item, name):
    array = load(item_item, name)
    for wrong in (array[..., None], array.astype(np.float64), array.astype(np.int16)):
        reseal(item_item, name, wrong)
        with pytest.raises(MismatchError, match=name):
            open_publication(item_item.volume, item_item.version)


def test_neighbours_and_weights_of_other_lengths_are_refused(item_item):
    weights = load(item_item, WEIGHTS)
    for wrong in (weights[:-1], np.append(weights, weights[0])):
        reseal(item_item, WEIGHTS, wrong)
        with pytest.raises(MismatchError, match=rf"weights\.npy: shape is \({len(wrong)},\)"):
            open_publication(item_item.volume, item_item.version)


def test_numbers_that_cannot_be_are_refused(item_item):
    weights, rows, offsets = (load(item_item, name) for name in (WEIGHTS, ROWS, OFFSETS))
    for number, reason in ((np.nan, "isn't finite"), (-np.inf, "isn't finite"), (1e16, "beyond 1e")):
        assert f"row 2 {reason}" in spoilt(item_item, WEIGHTS, weights, 2, number).replace(
            "has a number ", ""
        )
    reseal(item_item, WEIGHTS, weights)
    for row in (-1, publications.ITEMS):
        assert "range of item rows" in spoilt(item_item, ROWS, rows, 0, row)
    longest = int(np.diff(offsets).argmax())
    start, end = offsets[longest : longest + 2]
    assert end - start >= 2
    backwards = rows[start:end][::-1]
    said = spoilt(item_item, ROWS, rows, slice(start, end), backwards)
    assert f"the items of item row {longest} don't ascend" in said
    reseal(item_item, ROWS, rows)
    wrong = offsets.copy()
    wrong[longest + 1] = start - 1 if start else end + 10_000
    reseal(item_item, OFFSETS, wrong)
    assert "offsets" in str(refused(item_item, OFFSETS))


def test_an_item_that_is_its_own_neighbour_is_refused(tmp_path):
    rows = Ragged(np.array([0, 1, 1, 2]), np.array([1, 2], dtype=np.int32))
    facts = publications.item_item_facts(items=3, users=0)
    with Staging(tmp_path) as staging:
        staging.add_id_map(layout.ITEM_IDS, publications.IdMap.build("abc"))
        staging.add_id_map(layout.USER_IDS, publications.IdMap.build([]))
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, empty(0))
        staging.add_neighbours(Neighbours(rows, np.ones(2, dtype=np.float32)))
        sealed = staging.seal(facts)
        with pytest.raises(InvalidPublicationError, match="item row 2 is a neighbour of itself"):
            staging.verify(sealed)


def test_a_staged_version_needs_all_files_of_its_kind(tmp_path):
    rows = Ragged(np.array([0, 1, 1]), np.array([1], dtype=np.int32))
    with Staging(tmp_path) as staging:
        staging.add_ragged(OFFSETS, ROWS, rows)
        with pytest.raises(MismatchError, match=r"shape is \(2,\), but should be \(1,\)"):
            staging.add_array(WEIGHTS, np.ones(2, dtype=np.float32))
        with pytest.raises(VectorError, match="not every number is finite"):
            staging.add_array(WEIGHTS, np.array([np.nan], dtype=np.float32))
        with pytest.raises(VolumeError, match=r"items\.trie wasn't staged"):
            staging.seal(publications.item_item_facts(items=2, users=0))
