from __future__ import annotations

import pytest

from tests.unit.trainer.report import catalogue
from trainer.report.subject import OpenedVersion


@pytest.fixture(scope="session")
def subject(tmp_path_factory):
    """A small publication, opened."""
    volume = tmp_path_factory.mktemp("subject") / "volume"
    return OpenedVersion.open(volume, catalogue.publish_to(volume))
