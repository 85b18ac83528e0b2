import os

import pytest


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    """What isn't given has its default, whatever is set where the tests run."""
    for name in [name for name in os.environ if name.startswith("TRAINER_")]:
        monkeypatch.delenv(name)
