"""A volume of an item-item model that a release has written: see make_golden.py."""

import json

import numpy as np
import pytest

from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.errors import UnsupportedFormatError
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.verification import verify
from retriever.answering.questions import MAX_LIMIT, Options, WeightedItems
from retriever.answering.snapshot import open_snapshot
from tests import publications
from tests.contract import make_golden
from tests.retrievable import recommend

VOLUME = make_golden.GOLDEN / "format-2"
ANSWERS = json.loads(VOLUME.with_suffix(".json").read_text(encoding="utf-8"))
DIRECTORY = layout.version_dir(VOLUME, ANSWERS["version"])


def test_it_verifies_and_says_what_it_is():
    facts = verify(VOLUME, ANSWERS["version"])
    assert facts.format_version == 2
    assert (facts.items, facts.users, facts.components, facts.indexes) == (12, 6, 0, {})
    assert (facts.family, facts.kind) == ("ease", "neighbours")
    content = json.loads((DIRECTORY / layout.MANIFEST).read_bytes())
    assert content["model"] == {"family": "ease", "kind": "neighbours"}
    assert content["checksum"] == publications.checksum(content)


def test_its_files_have_the_names_of_the_format():
    assert sorted(path.name for path in DIRECTORY.iterdir()) == [
        "items.trie",
        "manifest.json",
        "neighbour_items.npy",
        "neighbour_offsets.npy",
        "neighbour_weights.npy",
        "profile_items.npy",
        "profile_offsets.npy",
        "seen_items.npy",
        "seen_offsets.npy",
        "users.trie",
    ]


def test_its_numbers_are_as_they_were():
    golden = open_publication(VOLUME, ANSWERS["version"])
    assert [golden.items.external_id(row) for row in range(12)] == ANSWERS["item_ids"]
    assert [golden.users.external_id(row) for row in range(6)] == ANSWERS["user_ids"]
    for name, rows in (("seen", golden.seen), ("profiles", golden.profiles)):
        assert [rows[row].tolist() for row in range(6)] == ANSWERS[name]
    own = golden.neighbours
    assert [own.rows[row].tolist() for row in range(12)] == ANSWERS["neighbours"]
    ends = own.rows.offsets
    assert [own.weights[ends[row] : ends[row + 1]].tolist() for row in range(12)] == ANSWERS["weights"]


def test_its_answers_are_the_scores_above_0_of_old():
    snapshot = open_snapshot(VOLUME, ANSWERS["version"])
    options = Options(limit=MAX_LIMIT)
    for user_id, seen, profile, scores in zip(
        *(ANSWERS[name] for name in ("user_ids", "seen", "profiles", "scores")), strict=True
    ):
        expected = {row: score for row, score in enumerate(scores) if score > 0 and row not in seen}
        answer = recommend(snapshot, user_id, options)
        assert dict(zip(answer.rows.tolist(), answer.scores.tolist(), strict=True)) == expected
        # It has no ranks of ids, so equal scores are in the order of rows.
        assert answer.rows.tolist() == sorted(expected, key=lambda row: (-expected[row], row))
        if profile:
            session = WeightedItems([ANSWERS["item_ids"][row] for row in profile])
            same = recommend(snapshot, session, Options(limit=MAX_LIMIT, exclude_seen=False))
            np.testing.assert_array_equal(
                same.scores, sorted((x for x in scores if x > 0), reverse=True)
            )


def test_encoding_its_manifest_again_gives_the_same_bytes():
    path = DIRECTORY / layout.MANIFEST
    data = path.read_bytes()
    assert manifest.encode(manifest.decode(data, path=path, version=ANSWERS["version"])) == data


def test_a_release_that_reads_format_1_only_refuses_it_by_its_number(monkeypatch):
    monkeypatch.setattr(manifest, "FORMAT_VERSIONS", (1,))
    with pytest.raises(UnsupportedFormatError, match="is 2, but this release reads 1 only"):
        open_publication(VOLUME, ANSWERS["version"])
