import pytest

from lightfm_retriever.publication import reader
from tests.unit.trainer.report import catalogue


@pytest.fixture(scope="session")
def subject(tmp_path_factory):
    """A small publication, opened."""
    volume = tmp_path_factory.mktemp("subject") / "volume"
    return reader.open_publication(volume, catalogue.publish_to(volume))
