"""An item-item model is published, measured, compared, and answered from."""

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    NoVectorsError,
    VectorError,
)
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from lightfm_retriever.publication.verification import verify
from retriever.answering.questions import Options, WeightedItems
from retriever.answering.snapshot import open_snapshot
from tests import item_item
from tests.retrievable import recommend
from tests.unit.trainer.publishing.test_publish import run
from tests.unit.trainer.publishing.test_publish import source as of_vectors
from trainer.evaluation.of_versions import exact_answers
from trainer.fitting.embeddings import Embeddings, Trained
from trainer.fitting.scores import top
from trainer.promotion import judging
from trainer.promotion.gates import Gates
from trainer.promotion.measurement import compare, coverage, measure
from trainer.promotion.predecessor import find
from trainer.report.subject import embeddings_of
from trainer.versions.diff import diff


def held_out(seen, items):
    """For each user two items of the same kind that aren't seen."""
    rows = [
        np.setdiff1d(np.arange(user % 4, items, 4), seen[user])[:2] if user else []
        for user in range(len(seen))
    ]
    owners = np.repeat(np.arange(len(seen)), [len(own) for own in rows])
    return ragged.of_owners(owners, np.concatenate(rows).astype(np.int64), len(seen))


def test_what_is_published_is_read_back_without_vectors_or_indexes(tmp_path):
    of = item_item.source()
    published = run(tmp_path, of)
    manifest = verify(tmp_path, published.manifest.version)
    assert manifest == published.manifest
    assert (manifest.format_version, manifest.components, manifest.indexes) == (2, 0, {})
    assert (manifest.family, manifest.kind) == ("ease", "neighbours")
    assert "annoy" not in manifest.libraries
    # No index is built or measured.
    assert (list(published.seconds), published.warnings) == (["publish", "verify"], [])
    expected = {*layout.REQUIRED_FILES["neighbours"], layout.ID_RANKS}
    assert manifest.files.keys() == expected | {layout.POPULARITY, layout.POPULAR_ITEMS}
    opened = open_publication(tmp_path, manifest.version)
    np.testing.assert_array_equal(opened.neighbours.weights, of.neighbours.weights)
    # A second time they are the same bytes.
    again = run(tmp_path, item_item.source()).manifest
    assert again.files == manifest.files


def test_profiles_are_published_where_they_are_not_what_is_seen(tmp_path):
    of = item_item.source()
    fewer = ragged.of_owners(of.seen.owners[::2], of.seen.values[::2], len(of.seen))
    version = run(tmp_path, replace(of, profiles=fewer)).manifest.version
    verify(tmp_path, version)
    opened = open_publication(tmp_path, version)
    np.testing.assert_array_equal(opened.profiles.values, fewer.values)
    snapshot = open_snapshot(tmp_path, version)
    for user in (3, 11, 39):
        row = opened.users.row(f"u{user}")
        answer = recommend(snapshot, f"u{user}")
        scores = of.neighbours.scores(fewer[row])
        assert not {*answer.rows.tolist()} & {*opened.seen[row].tolist()}
        np.testing.assert_array_equal(answer.scores, scores[answer.rows])


def test_the_model_says_in_training_what_a_retriever_answers(tmp_path):
    of = item_item.source()
    snapshot = open_snapshot(tmp_path, run(tmp_path, of).manifest.version)
    users = np.arange(len(of.users))
    expected = top(of.scores, users, of.seen, 10)
    answered = 0
    for row in users.tolist():
        answer = recommend(snapshot, of.users.external_id(row))
        answered += len(answer.rows)
        np.testing.assert_array_equal(answer.rows, expected[row][: len(answer.rows)])
    assert answered > 100
    ids = [of.items.external_id(row) for row in of.seen[5]]
    session = recommend(snapshot, WeightedItems(ids), Options(limit=10))
    user = recommend(snapshot, of.users.external_id(5))
    assert session.scores.tobytes() == user.scores.tobytes()


def test_a_model_has_all_of_one_kind():
    of = item_item.source()
    embeddings = Embeddings(np.ones((2, 3), np.float32), np.ones((2, 3), np.float32))
    for wrong in (
        {},
        {"embeddings": embeddings, "neighbours": of.neighbours, "profiles": of.seen, "family": "x"},
        {"embeddings": embeddings, "profiles": of.seen},
        {"neighbours": of.neighbours, "family": "x"},
        {"neighbours": of.neighbours, "profiles": of.seen},
    ):
        with pytest.raises(ValueError, match="a model"):
            Trained(**wrong)
    own = Trained(embeddings=embeddings, family="als")
    assert (own.kind, own.scores.items, own.vectors) == ("vectors", 2, embeddings)
    item = Trained(neighbours=of.neighbours, profiles=of.seen, family="ease")
    assert (item.kind, item.scores.items) == ("neighbours", 30)
    with pytest.raises(ValueError, match="no vectors"):
        _ = item.vectors


def test_what_a_retriever_would_refuse_is_not_published(tmp_path):
    of = item_item.source()
    weights = of.neighbours.weights.copy()
    weights[7] = np.nan
    with pytest.raises(VectorError, match=r"neighbour_weights\.npy: not every number is finite"):
        run(tmp_path, replace(of, neighbours=replace(of.neighbours, weights=weights)))
    rows = Ragged(of.neighbours.rows.offsets, of.neighbours.rows.values[::-1].copy())
    with pytest.raises(InvalidPublicationError, match="don't ascend; nothing was published"):
        run(tmp_path, replace(of, neighbours=Neighbours(rows, of.neighbours.weights)))
    assert list(layout.versions_dir(tmp_path).iterdir()) == []


def test_versions_of_any_kinds_are_measured_and_compared(tmp_path):
    of = item_item.source()
    test = held_out(of.seen, 30)
    first = run(tmp_path, of_vectors(items=30, users=40)).manifest.version
    promote(tmp_path, first)
    second = run(tmp_path, replace(of, held_out=test)).manifest.version
    gates = Gates(min_coverage=0.1, max_relative_loss=0.5)
    measured = measure(tmp_path, second, gates=gates, before=find(tmp_path, "current"), seed=1)
    assert (measured.is_exact, measured.recall_at_10) == (True, {})
    new, old = (open_publication(tmp_path, version) for version in (second, first))
    assert measured.coverage == coverage(new, seed=1) > 0.5
    # Of random vectors of other ids: nobody is known to both.
    assert measured.baseline == compare(new, old, seed=1)
    assert measured.baseline.candidate_precision_at_10 > 0.1
    (recall,) = (own for own in judging.check(gates, measured) if own.name == "min_recall")
    assert recall.passed
    assert "no index" in recall.text
    promote(tmp_path, second)
    third = run(tmp_path, of_vectors(items=30, users=40, held_out=test)).manifest.version
    back = measure(tmp_path, third, gates=gates, before=find(tmp_path, "current"), seed=1)
    assert back.recall_at_10.keys() == {"similar", "recommend"}
    assert back.baseline.precision_at_10 > back.baseline.candidate_precision_at_10
    found = diff(tmp_path, second, third, seed=1)
    assert [(own.name, own.before, own.after) for own in found.model] == [
        ("family", "ease", None),
        ("kind", "neighbours", "vectors"),
    ]
    assert {own.before for own in found.indexes} == {None}
    assert found.overlap.users == 40
    assert diff(tmp_path, second, second, seed=1).overlap.mean > 2


def test_answers_have_a_score_above_0_and_nothing_excluded(tmp_path):
    of = item_item.source()
    opened = open_publication(tmp_path, run(tmp_path, of).manifest.version)
    users = np.arange(len(of.users))[::-1].copy()
    answers = [*exact_answers(opened, users, [opened.seen[row] for row in users])]
    for row, found in zip(users.tolist(), answers, strict=True):
        scores = of.neighbours.scores(of.seen[row])
        assert (scores[found] > 0).all()
        assert not {*found.tolist()} & {*of.seen[row].tolist()}
        left = np.setdiff1d(np.flatnonzero(scores > 0), of.seen[row])
        assert len(found) == min(10, len(left))


def test_a_report_compares_indexes_of_vectors_and_says_that_there_are_none(tmp_path):
    opened = open_publication(tmp_path, run(tmp_path, item_item.source()).manifest.version)
    with pytest.raises(NoVectorsError, match="ease, is an item-item model"):
        embeddings_of(opened)
