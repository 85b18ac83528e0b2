"""What is measured of real retrievers, without one; the real ones are in the integration tests."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.trainer.report import catalogue
from trainer.errors import TrainerError
from trainer.report import deployment
from trainer.report.subject import interpolated

VERSION, OLDER = "20261124T120000Z-3fa9c1", "20261124T110000Z-000000"


def status(*versions, failed=()):
    """What GetStatus answers where the workers serve these versions."""
    return SimpleNamespace(
        workers=[SimpleNamespace(version=version) for version in versions],
        failed_versions=[SimpleNamespace(version=version, reason="is broken") for version in failed],
    )


@pytest.fixture
def waits(monkeypatch):
    """Wait for VERSION while the statuses are these; returns those that weren't asked for."""

    def waits(*statuses):
        coming = iter(statuses)
        stub = SimpleNamespace(GetStatus=lambda *_, **__: next(coming))
        monkeypatch.setattr(deployment.pb_grpc, "RetrieverServiceStub", lambda _: stub)
        deployment._wait_until_served("there", VERSION)
        return [*coming]

    monkeypatch.setattr(deployment.time, "sleep", lambda _: None)
    monkeypatch.setattr(deployment, "_channel", lambda _: contextlib.nullcontext())
    return waits


def test_a_version_is_served_when_every_worker_serves_it(waits):
    # It has no workers yet, and then such as serve nothing.
    before = [status(), status(""), status("", ""), status(OLDER, VERSION)]
    after = status(OLDER)
    assert waits(*before, status(VERSION, VERSION), after) == [after]


def test_a_version_that_is_refused_or_never_served_is_an_error(monkeypatch, waits):
    with pytest.raises(TrainerError, match=f"the retriever refused {VERSION}: is broken"):
        waits(status("", failed=[OLDER]), status("", failed=[OLDER, VERSION]))
    times = iter([0.0, 1.0, 599.0, 601.0])
    monkeypatch.setattr(deployment.time, "monotonic", lambda: next(times))
    with pytest.raises(TrainerError, match=f"didn't serve {VERSION} within 600 s"):
        waits(status(""), status(""))


def test_a_retriever_that_does_not_start_is_an_error_with_what_it_says(tmp_path, monkeypatch):
    monkeypatch.setattr(deployment.sys, "executable", "/bin/ls")  # which doesn't know -m
    with pytest.raises(TrainerError, match=r"the retriever didn't start: .*ls: "):
        deployment._retriever(tmp_path, workers=1).__enter__()


def test_the_catalogue_is_of_interpolated_items_and_the_publications_users(subject):
    source = deployment._catalogue(subject, 150, 3)
    assert (len(source.items), source.users) == (150, subject.users)
    made = interpolated(subject.item_vectors, 150, seed=3)
    np.testing.assert_array_equal(source.embeddings.item_vectors, made)
    assert (len(source.seen), len(source.seen.values)) == (catalogue.USERS, 0)
