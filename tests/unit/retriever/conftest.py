"""Publications that tests may spoil."""

import functools
from dataclasses import dataclass
from pathlib import Path

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.reader import Publication, open_publication
from tests import publications, retrievable


@dataclass(frozen=True)
class Published:
    """A volume with one version, which `current` names."""

    volume: Path
    version: str

    @property
    def directory(self) -> Path:
        return layout.version_dir(self.volume, self.version)

    def open(self) -> Publication:
        return open_publication(self.volume, self.version)


@pytest.fixture(scope="session")
def _template(tmp_path_factory):
    """One publication by each backend, made when it is first asked for."""

    @functools.cache
    def make(backend):
        volume = tmp_path_factory.mktemp(backend) / "volume"
        return Published(volume, retrievable.publish(volume, backend=backend))

    return make


@pytest.fixture
def published_by(_template, tmp_path):
    """Makes a copy of one with indexes of a backend."""

    def copy(backend):
        template = _template(backend)
        return Published(publications.copy(template.volume, tmp_path / backend), template.version)

    return copy


@pytest.fixture
def published(published_by):
    """With Annoy indexes."""
    return published_by("annoy")
