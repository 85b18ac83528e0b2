"""Volumes that tests may spoil."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import promote
from tests import publications


@dataclass(frozen=True)
class Published:
    """A volume of two versions; the label `current` names the newer."""

    volume: Path
    older: str
    version: str

    @property
    def directory(self) -> Path:
        """The newer version's."""
        return layout.version_dir(self.volume, self.version)

    @property
    def older_directory(self) -> Path:
        return layout.version_dir(self.volume, self.older)


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Published:
    volume = tmp_path_factory.mktemp("template") / "volume"
    older = publications.publish(volume, seed=1, clock=lambda: publications.NOON - timedelta(days=1))
    promote(volume, older)
    version = publications.publish(volume, seed=2, clock=lambda: publications.NOON)
    promote(volume, version)
    return Published(volume, older, version)


@pytest.fixture
def published(_template: Published, tmp_path: Path) -> Published:
    return Published(
        publications.copy(_template.volume, tmp_path / "volume"), _template.older, _template.version
    )


@pytest.fixture(scope="session")
def _extended(tmp_path_factory: pytest.TempPathFactory) -> Published:
    volume = tmp_path_factory.mktemp("extended") / "volume"
    version = publications.publish(volume, seed=3, clock=lambda: publications.NOON, extended=True)
    promote(volume, version)
    return Published(volume, version, version)


@pytest.fixture
def extended(_extended: Published, tmp_path: Path) -> Published:
    """A volume of one version, which has all that came later to the format."""
    return Published(
        publications.copy(_extended.volume, tmp_path / "extended"), _extended.older, _extended.version
    )
