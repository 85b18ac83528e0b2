import pytest

from tests.integration.forking import Forker

PUBLISHER = "tests.integration.publication.publisher"


@pytest.fixture(scope="session")
def publisher():
    with Forker.of(PUBLISHER) as running:
        yield running


@pytest.fixture(scope="session")
def other_publisher():
    with Forker.of(PUBLISHER) as running:
        yield running
