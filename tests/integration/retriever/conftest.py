"""Retrievers as real processes, on volumes of their own."""

import contextlib
import itertools

import pytest

from lightfm_retriever.publication import labels
from tests.load import models
from tests.service import Service


@contextlib.contextmanager
def _starting(directory):
    """Starts retrievers whose logs go there, and ends them after the block."""
    numbers = itertools.count()
    with contextlib.ExitStack() as stack:

        def start(volume, *, serving=True, **options):
            flags = {"workers": 2, "poll_seconds": 0.05, "drain_seconds": 0, **options}
            log = directory / f"retriever-{next(numbers)}.log"
            service = stack.enter_context(Service(volume, log, **flags))
            if serving:
                service.wait_until(
                    lambda status: (
                        len(status.workers) == flags["workers"]
                        and all(worker.version for worker in status.workers)
                    )
                )
            return service

        yield start


@pytest.fixture
def start(tmp_path):
    """Starts retrievers, and ends them after the test."""
    with _starting(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def start_once(tmp_path_factory):
    """Starts retrievers for all tests of a module."""
    with _starting(tmp_path_factory.mktemp("services")) as start:
        yield start


@pytest.fixture
def volume(tmp_path):
    """A volume with one version, which `current` names."""
    volume = tmp_path / "volume"
    labels.promote(volume, models.publish(volume, "a", 1).version)
    return volume
