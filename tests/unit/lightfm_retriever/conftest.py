"""Volumes that tests may spoil."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
        return layout.version_dir(self.volume, self.version)

    @property
    def older_directory(self) -> Path:
        return layout.version_dir(self.volume, self.older)


def publish(folder: Path, *days: int, extended: bool = False) -> Published:
    """Publish a version for each day, and let the label name the last."""
    versions = []
    for day in days:
        at = publications.NOON - timedelta(days=day)
        facts = {"seed": 3 if extended else 2 - day, "extended": extended}
        versions.append(publications.publish(folder, clock=lambda at=at: at, **facts))
        promote(folder, versions[-1])
    return Published(folder, versions[0], versions[-1])


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(tmp_path_factory.mktemp("template") / "volume", 1, 0)


@pytest.fixture(scope="session")
def _extended(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(tmp_path_factory.mktemp("extended") / "volume", 0, extended=True)


@pytest.fixture
def published(_template: Published, tmp_path: Path) -> Published:
    return replace(_template, volume=publications.copy(_template.volume, tmp_path / "volume"))


@pytest.fixture
def extended(_extended: Published, tmp_path: Path) -> Published:
    return replace(_extended, volume=publications.copy(_extended.volume, tmp_path / "extended"))
