from __future__ import annotations

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import promote
from tests import publications
from trainer.promotion.predecessor import find, labels_of


def test_it_is_what_the_label_names_or_else_what_everybody_gets(tmp_path):
    first, second = (publications.publish(tmp_path, seed=seed) for seed in (1, 2))
    assert find(tmp_path, "beta") is None
    promote(tmp_path, first)
    promote(tmp_path, second, label="other")
    found = find(tmp_path, "beta")
    assert (found.label, found.version, found.expected) == ("current", first, None)
    assert found.publication.manifest.version == first
    other = find(tmp_path, "other")
    assert (other.version, other.expected) == (second, second)
    assert labels_of("beta") == ["beta", "current"]
    assert labels_of("current") == ["current"]


def test_a_canary_is_held_against_what_everybody_gets(tmp_path):
    first, second = (publications.publish(tmp_path, seed=seed) for seed in (1, 2))
    promote(tmp_path, second, label="canary")
    assert find(tmp_path, "canary").version == second
    promote(tmp_path, first)
    found = find(tmp_path, "canary")
    assert (found.label, found.version, found.expected) == ("current", first, second)


def test_a_label_whose_file_is_gone_has_a_history(tmp_path):
    first, second = (publications.publish(tmp_path, seed=seed) for seed in (1, 2))
    for version in (first, second):
        promote(tmp_path, version)
    layout.label_file(tmp_path, "current").unlink()
    found = find(tmp_path, "current")
    assert (found.version, found.publication, found.expected) == (second, None, None)
    assert "doesn't exist" in found.problem or "No such file" in found.problem


def test_without_a_label_nothing_is_replaced(tmp_path):
    promote(tmp_path, publications.publish(tmp_path))
    assert find(tmp_path, None) is None
    assert labels_of(None) == []


def test_what_cannot_be_used_is_told_and_not_passed_over(tmp_path):
    version = publications.publish(tmp_path)
    promote(tmp_path, version, label="canary")
    path = layout.version_dir(tmp_path, version) / layout.ITEM_IDS
    publications.overwrite(path, path.read_bytes()[::-1])
    found = find(tmp_path, "canary")
    assert (found.version, found.publication) == (version, None)
    assert "items.trie: SHA-256" in found.problem
    layout.label_file(tmp_path, "canary").write_text("nonsense")
    assert "should hold a version's name" in find(tmp_path, "canary").problem
