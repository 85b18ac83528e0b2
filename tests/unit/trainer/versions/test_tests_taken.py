"""Metrics are compared where both versions took the same test, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication import reader
from lightfm_retriever.publication.facts.evaluation import EvaluationFacts
from tests import publications
from trainer.evaluation.held_out_test import fingerprint
from trainer.versions.diff import diff
from trainer.versions.tests_taken import TakenTest, taken_by, why_incomparable


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A publication with held-out items, whose manifest doesn't describe the test, as older ones."""
    folder = tmp_path_factory.mktemp("volume")
    return reader.open_publication(folder, publications.publish(folder, extended=True))


def with_test(version, test, *, users=9, interactions=30):
    facts = EvaluationFacts(
        test=test * 64, users=users, evaluated_users=users, interactions=interactions, errors={}
    )
    return replace(version, manifest=replace(version.manifest, evaluation=facts))


def without_test(version, name):
    return replace(version, held_out=None, manifest=replace(version.manifest, version=name))


def test_the_test_of_an_older_version_is_that_of_its_files(opened):
    users = np.flatnonzero(np.diff(opened.held_out.offsets))
    own = fingerprint(opened.items, opened.users, opened.held_out, users)
    count = len(opened.held_out.values)
    split = opened.manifest.dataset.split
    assert taken_by(opened) == TakenTest(own, len(users), count, split)
    described = replace(
        opened,
        manifest=replace(
            opened.manifest,
            evaluation=EvaluationFacts(test=own, users=1, evaluated_users=1, interactions=1, errors={}),
        ),
    )
    assert why_incomparable(opened, described) == why_incomparable(opened, opened) == ""
    assert taken_by(without_test(opened, "v")) is None


def test_it_is_said_why_metrics_cannot_be_compared(opened):
    one, other = with_test(opened, "a"), with_test(opened, "b", users=4, interactions=8)
    split = opened.manifest.dataset.split
    assert why_incomparable(one, other) == (
        "the versions were measured on different tests: one on 9 users and 30 interactions (split "
        f"{split}), the other on 4 users and 8 interactions (split {split})"
    )
    alike = why_incomparable(one, with_test(opened, "c"))
    assert alike.endswith(f"each on 9 users and 30 interactions (split {split}), but not the same ones")
    untested = without_test(opened, "v")
    assert why_incomparable(one, untested) == why_incomparable(untested, one)
    assert why_incomparable(one, untested) == "version v was measured on no test"
    # Without any test, the metrics are others.
    assert why_incomparable(untested, untested) == ""


def test_a_diff_refuses_to_compare_metrics_of_different_tests(tmp_path):
    def publish(seed):
        return publications.publish(tmp_path, seed=seed, extended=True)

    first, again, other = publish(1), publish(1), publish(2)
    same = diff(tmp_path, first, again, seed=1)
    assert (same.metrics_problem, [own.name for own in same.metrics]) == ("", ["precision_at_10"])
    different = diff(tmp_path, first, other, seed=1)
    assert different.metrics == []
    assert different.metrics_problem.startswith("the versions were measured on different tests: ")
    assert different.overlap is not None
