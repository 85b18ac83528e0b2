import gc

import pytest

import lightfm_workbench as wb
from lightfm_retriever.hosting.errors import ArgumentError
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    LabelError,
    VersionNotFoundError,
    VolumeError,
)
from tests import publications


@pytest.fixture
def volume(tmp_path):
    return wb.Volume(tmp_path)


def test_a_version_answers_as_the_model_that_was_published(published, version, model):
    assert version.name == published.version
    users = model.user_ids
    # Annoy found the candidates of one, and all items were scored for the other.
    assert version.recommend(users, exact=True).rows() == model.recommend(users, exact=True).rows()
    assert version.metrics == published.manifest.metrics
    stats = version.stats
    assert (stats["users"], stats["items"]) == (24, 16)
    assert {*stats["recall_at_10"]} == {"similar", "recommend"}
    folder = published.volume.files.folder / "versions" / version.name
    on_disk = sum(file.stat().st_size for file in folder.iterdir() if file.name != "manifest.json")
    assert stats["bytes"] == on_disk
    assert repr(version) == f"<version {version.name}: 24 users, 16 items>"


def test_versions_and_labels_are_listed(volume):
    assert len(volume.versions()) == 0
    first, second = (publications.publish(volume.files.folder, seed=seed) for seed in (1, 2))
    assert volume.promote(first) is None
    assert volume.promote(second) == first
    volume.promote(first, label="canary")
    assert volume.labels() == {"canary": first, "current": second}
    rows = {row["version"]: row for row in volume.versions(metrics=None).rows()}
    assert rows[first]["labels"] == ["canary"]
    assert rows[first]["items"] == publications.ITEMS
    assert {*volume.versions(metrics=["x"]).columns} >= {"version", "x", "problem"}
    assert volume.version("canary").name == volume.version(first).name == first
    found = volume.diff(first)
    assert (found.before, found.after) == (first, second)


def test_what_is_missing_or_damaged_is_named(volume, tmp_path):
    with pytest.raises(LabelError, match="label 'current'"):
        volume.current()
    with pytest.raises(VolumeError, match="doesn't exist"):
        wb.Volume(tmp_path / "none").current()
    with pytest.raises(VersionNotFoundError):
        volume.version("20261124T043500Z-3fa9c1")
    with pytest.raises(ArgumentError, match="ftp:// isn't known"):
        wb.Volume("ftp://bucket")
    name = publications.publish(tmp_path)
    file = tmp_path / "versions" / name / "item_vectors.npy"
    publications.overwrite(file, file.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(InvalidPublicationError, match="item_vectors"):
        volume.version(name)
    assert volume.version(name, verify=False).name == name


def test_a_copy_of_a_version_is_held_as_long_as_it_is_used(volume, monkeypatch):
    name = publications.publish(volume.files.folder)
    held = []

    class Held:
        def __enter__(self):
            held.append(name)
            return volume.files.folder

        def __exit__(self, *_):
            held.clear()

    monkeypatch.setattr(volume.files, "fetched", lambda _: Held())
    opened = volume.version(name)
    assert held == [name]
    del opened
    gc.collect()
    assert held == []
