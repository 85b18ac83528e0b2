"""Volumes that tests may spoil."""

from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import promote
from tests import publications


def published_at(volume, older, version):
    """A volume of two versions; the label `current` names the newer."""
    named = {"volume": volume, "older": older, "version": version}
    at = partial(layout.version_dir, volume)
    return SimpleNamespace(**named, directory=at(version), older_directory=at(older))


def publish(folder, *days, extended=False):
    """Publish a version for each day, and let the label name the last."""
    versions = []
    for day in days:
        at = publications.NOON - timedelta(days=day)
        facts = {"seed": 3 if extended else 2 - day, "extended": extended}
        versions.append(publications.publish(folder, clock=lambda at=at: at, **facts))
        promote(folder, versions[-1])
    return folder, versions[0], versions[-1]


@pytest.fixture(scope="session")
def _template(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("template") / "volume", 1, 0)


@pytest.fixture(scope="session")
def _extended(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("extended") / "volume", 0, extended=True)


@pytest.fixture
def published(_template, tmp_path):
    return published_at(publications.copy(_template[0], tmp_path / "volume"), *_template[1:])


@pytest.fixture
def extended(_extended, tmp_path):
    return published_at(publications.copy(_extended[0], tmp_path / "extended"), *_extended[1:])
