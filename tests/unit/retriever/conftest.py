"""Publications that tests may spoil."""

from __future__ import annotations

from collections.abc import Callable
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


class Templates:
    """One publication by each backend, made when it is first asked for, and copies of it."""

    def __init__(self, make_directory: Callable[[str], Path]) -> None:
        self._make_directory = make_directory
        self._made: dict[str, Published] = {}

    def copy(self, backend: str, directory: Path) -> Published:
        if backend not in self._made:
            volume = self._make_directory(backend) / "volume"
            self._made[backend] = Published(volume, retrievable.publish(volume, backend=backend))
        template = self._made[backend]
        return Published(publications.copy(template.volume, directory / backend), template.version)


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return Templates(tmp_path_factory.mktemp)


@pytest.fixture
def published_by(_templates: Templates, tmp_path: Path) -> Callable[[str], Published]:
    """Makes one with indexes of a backend."""
    return lambda backend: _templates.copy(backend, tmp_path)


@pytest.fixture
def published(published_by: Callable[[str], Published]) -> Published:
    """With Annoy indexes."""
    return published_by("annoy")


@pytest.fixture
def published_exact(published_by: Callable[[str], Published]) -> Published:
    """With indexes of the backend `exact`."""
    return published_by("exact")
