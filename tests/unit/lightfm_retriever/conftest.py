"""Volumes that tests may spoil."""

from types import SimpleNamespace

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import promote
from tests import publications


def copied(templates, name, tmp_path):
    """A volume of its own, whose label `current` names the newest version."""
    folder, versions = templates
    volume = publications.copy(folder / name, tmp_path / name)
    older, version = versions[name][0], versions[name][-1]
    directory, older_directory = (layout.version_dir(volume, own) for own in (version, older))
    return SimpleNamespace(
        volume=volume,
        older=older,
        version=version,
        directory=directory,
        older_directory=older_directory,
    )


@pytest.fixture(scope="session")
def _templates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("templates")
    extended = publications.publish(folder / "extended", seed=3, extended=True)
    item_item = publications.publish_item_item(folder / "item_item", seed=3)
    versions = {"published": publications.daily(folder / "published", 2), "extended": [extended]}
    versions["item_item"] = [item_item]
    for name, made in versions.items():
        promote(folder / name, made[-1])
    return folder, versions


@pytest.fixture
def published(_templates, tmp_path):
    return copied(_templates, "published", tmp_path)


@pytest.fixture
def extended(_templates, tmp_path):
    return copied(_templates, "extended", tmp_path)


@pytest.fixture
def item_item(_templates, tmp_path):
    return copied(_templates, "item_item", tmp_path)
