"""The benchmark of kinds of index measures what it says."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from tests import datasets
from tests.benchmarks import indexes
from trainer.index import measure


@pytest.fixture
def call(capsys, monkeypatch):
    """Run it; returns its exit status and what it printed."""
    monkeypatch.setattr(measure, "_SECONDS", 0.05)
    monkeypatch.setattr(indexes, "QUERIES", 20)

    def call(*flags):
        monkeypatch.setattr(sys, "argv", ["indexes", *map(str, flags)])
        status = indexes.main()
        return status, capsys.readouterr()

    return call


QUICK = ("--vectors", "heavy-tailed", "--n", 300, "--seed", 1, "--backends", "exact,annoy")


def test_the_result_for_machines_has_every_backend(call):
    status, printed = call(*QUICK, "--target-recall", 0.8, "--json")
    assert (status, printed.err) == (0, "")
    made = json.loads(printed.out)
    assert made["vectors"] == [300, 65]
    assert [one["backend"] for one in made["indexes"]] == ["exact", "annoy"]
    exact, annoy = made["indexes"]
    assert (exact["recall_at_10"], exact["file_bytes"], exact["build"]) == (1, 0, {})
    assert 0.8 <= annoy["recall_at_10"] <= 1
    # The vectors, with one more dimension that makes them equally long.
    assert annoy["file_bytes"] > 300 * 66 * 4
    for one in made["indexes"]:
        assert one["target_recall"] == 0.8
        assert one["query_microseconds"] > 0
        assert one["trials"][0]["backend"] == "exact"


def test_people_get_a_table(call):
    status, printed = call(*QUICK)
    assert status == 0
    title, head, *rows = [line.split() for line in printed.out.splitlines()]
    assert title[:6] == ["300", "heavy-tailed", "vectors", "of", "65", "dimensions;"]
    assert head[0] == "backend"
    assert [row[0] for row in rows] == ["exact", "annoy"]
    assert all(0 <= float(row[-4]) <= 1 for row in rows)
    assert any(one.startswith("trees=") for one in rows[1])


def test_mistakes_are_one_line_and_exit_status_1(call, monkeypatch, tmp_path):
    monkeypatch.setattr(indexes, "DATA_DIR", tmp_path)
    for flags, message in (
        (["--backends", "x"], "--backend is 'x', but should be among auto, annoy"),
        ([*QUICK, "--target-recall", 2], "--target-recall is 2.0, but should be above 0"),
        (["--n", 100], f"dataset 'movielens-100k' isn't in {tmp_path}"),
    ):
        status, printed = call(*flags)
        assert (status, printed.out) == (1, "")
        assert printed.err.startswith(f"error: {message}")
        assert printed.err.count("\n") == 1


def test_heavy_tailed_vectors_have_random_directions_and_log_normal_norms():
    vectors, queries = indexes.make("heavy-tailed", 5000, 1)
    assert (vectors.shape, queries.shape) == ((5000, 65), (indexes.QUERIES, 65))
    assert vectors.dtype == queries.dtype == np.float32
    norms = np.log(np.linalg.norm(vectors, axis=1))
    assert abs(norms.mean()) < 0.1
    assert abs(norms.std() - 1) < 0.1
    directions = vectors / np.exp(norms)[:, None]
    assert np.linalg.norm(directions.mean(axis=0)) < 0.05
    again, other = indexes.make("heavy-tailed", 5000, 1)[0], indexes.make("heavy-tailed", 5000, 2)[0]
    np.testing.assert_array_equal(vectors, again)
    assert not (vectors == other).any(axis=1).any()


@pytest.mark.parametrize("kind", ["interpolated", "repeated"])
def test_the_others_are_made_of_a_trained_models_items(monkeypatch, kind):
    monkeypatch.setattr(
        indexes.movielens, "read_interactions", lambda _: datasets.interactions(datasets.rows())
    )
    monkeypatch.setattr(indexes, "Hyperparameters", lambda seed: datasets.QUICK)  # noqa: ARG005
    vectors, queries = indexes.make(kind, 100, 1)
    components = datasets.QUICK.components
    assert vectors.shape == (100, components + 1)
    assert queries.shape == (datasets.USERS, components + 1)
    # Users, with a one where an item has its bias.
    np.testing.assert_array_equal(queries[:, -1], 1)
    distinct = len(np.unique(vectors, axis=0))
    if kind == "interpolated":
        assert distinct == 100
    else:
        # Items that nobody trained on have no vector.
        assert 10 < distinct <= datasets.ITEMS
        np.testing.assert_array_equal(vectors, np.resize(vectors[:distinct], vectors.shape))
