from __future__ import annotations

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import promote
from tests import publications
from trainer.promotion.predecessor import find, labels_of


@pytest.fixture
def two(tmp_path):
    return [publications.publish(tmp_path, seed=seed) for seed in (1, 2)]


def test_it_is_what_the_label_names_or_else_what_everybody_gets(tmp_path, two):
    first, second = two
    assert find(tmp_path, "beta") is None
    promote(tmp_path, first)
    promote(tmp_path, second, label="other")
    found = find(tmp_path, "beta")
    assert (found.label, found.version, found.expected) == ("current", first, None)
    assert found.publication.manifest.version == first
    other = find(tmp_path, "other")
    assert (other.version, other.expected) == (second, second)
    assert find(tmp_path, None) is None
    assert labels_of("beta") == ["beta", "current"]
    assert labels_of("current") == ["current"]
    assert labels_of(None) == []


def test_a_canary_is_held_against_what_everybody_gets(tmp_path, two):
    promote(tmp_path, two[1], label="canary")
    assert find(tmp_path, "canary").version == two[1]
    promote(tmp_path, two[0])
    found = find(tmp_path, "canary")
    assert (found.label, found.version, found.expected) == ("current", two[0], two[1])


def test_what_cannot_be_used_is_told_and_not_passed_over(tmp_path, two):
    for version in two:
        promote(tmp_path, version)
    path = layout.version_dir(tmp_path, two[1]) / layout.ITEM_IDS
    publications.overwrite(path, path.read_bytes()[::-1])
    found = find(tmp_path, "current")
    assert (found.version, found.publication, found.expected) == (two[1], None, two[1])
    assert "items.trie: SHA-256" in found.problem
    layout.label_file(tmp_path, "current").write_text("nonsense")
    assert "should hold a version's name" in find(tmp_path, "current").problem
    # A label whose file is gone has a history.
    layout.label_file(tmp_path, "current").unlink()
    found = find(tmp_path, "current")
    assert (found.version, found.publication, found.expected) == (two[1], None, None)
    assert "doesn't exist" in found.problem
