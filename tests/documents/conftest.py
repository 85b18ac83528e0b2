from pathlib import Path

import pytest

from tests.documents.demo_volume import publish


@pytest.fixture(scope="session")
def demo_volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volume that `make demo` publishes."""
    return publish(tmp_path_factory.mktemp("demo") / "volume")
