import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import promote
from tests import publications
from trainer.promotion.predecessor import find


@pytest.fixture
def two(tmp_path):
    return [publications.publish(tmp_path, seed=seed) for seed in (1, 2)]


def found(volume, label):
    own = find(volume, label)
    return own and (own.label, own.version, own.expected)


def test_it_is_what_the_label_names_or_else_what_everybody_gets(tmp_path, two):
    first, second = two
    assert found(tmp_path, "beta") is None
    promote(tmp_path, first)
    promote(tmp_path, second, label="other")
    assert found(tmp_path, "beta") == ("current", first, None)
    assert find(tmp_path, "beta").publication.manifest.version == first
    assert found(tmp_path, "other") == ("other", second, second)
    assert found(tmp_path, None) is None
    # A canary is compared with the version that all users get.
    promote(tmp_path, second, label="canary")
    assert found(tmp_path, "canary") == ("current", first, second)
    layout.label_file(tmp_path, "current").unlink()
    layout.history_file(tmp_path, "current").unlink()
    assert found(tmp_path, "canary") == ("canary", second, second)


def test_what_cannot_be_used_is_told_and_not_passed_over(tmp_path, two):
    for version in two:
        promote(tmp_path, version)
    path = layout.version_dir(tmp_path, two[1]) / layout.ITEM_IDS
    publications.overwrite(path, path.read_bytes()[::-1])
    assert found(tmp_path, "current") == ("current", two[1], two[1])
    damaged = find(tmp_path, "current")
    assert damaged.publication is None
    assert "items.trie: SHA-256" in damaged.problem
    layout.label_file(tmp_path, "current").write_text("nonsense")
    assert "should contain a version name" in find(tmp_path, "current").problem
    # A label whose file is gone has a history.
    layout.label_file(tmp_path, "current").unlink()
    assert found(tmp_path, "current") == ("current", two[1], None)
    assert "doesn't exist" in find(tmp_path, "current").problem
