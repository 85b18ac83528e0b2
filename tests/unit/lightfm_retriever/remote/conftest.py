"""A store in memory, and versions to bring to it or to fetch."""

import pytest

from lightfm_retriever.publication import reader
from tests import publications
from tests.unit.lightfm_retriever.remote.stores import MadeUp


@pytest.fixture
def store():
    return MadeUp()


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """A folder of three versions, each with some files of its own. Copy it before spoiling it."""
    folder = tmp_path_factory.mktemp("source")
    publications.daily(folder, 3)
    return folder


@pytest.fixture(scope="session")
def names(source):
    return reader.list_versions(source)


@pytest.fixture
def version(names):
    return names[0]
