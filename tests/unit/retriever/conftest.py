"""Publications that tests may spoil."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from publication import layout
from tests import publications, retrievable


@dataclass(frozen=True)
class Published:
    """A volume with one version, which `current` names."""

    volume: Path
    version: str

    @property
    def directory(self) -> Path:
        return layout.version_dir(self.volume, self.version)


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Published]:
    made = {}
    for backend in ("annoy", "exact"):
        volume = tmp_path_factory.mktemp(backend) / "volume"
        made[backend] = Published(volume, retrievable.publish(volume, backend=backend))
    return made


@pytest.fixture
def published(_templates: dict[str, Published], tmp_path: Path) -> Published:
    """With Annoy indexes."""
    template = _templates["annoy"]
    return Published(publications.copy(template.volume, tmp_path / "volume"), template.version)


@pytest.fixture
def published_exact(_templates: dict[str, Published], tmp_path: Path) -> Published:
    """With indexes of the backend `exact`."""
    template = _templates["exact"]
    return Published(publications.copy(template.volume, tmp_path / "exact"), template.version)
