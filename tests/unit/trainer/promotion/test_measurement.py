from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication import layout, reader
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.vectors.vector_space import fold_biases
from lightfm_retriever.publication.writer import Staging
from tests import publications
from tests.retrievable import ragged
from trainer.evaluation import of_vectors
from trainer.evaluation.of_vectors import evaluate_vectors
from trainer.fitting.embeddings import Embeddings
from trainer.promotion import measurement, predecessor
from trainer.promotion.gates import Gates
from trainer.promotion.judging import check
from trainer.promotion.measurement import compare, coverage, measure

VERSION = layout.version_name(publications.NOON, "3fa9c1")
OLDER = layout.version_name(publications.NOON, "000000")


def model(tmp_path, scores, *, seen=None, held_out=None, version=VERSION):
    """A version in memory that gives each user, by name, to each item, by name, such a score."""
    users = IdMap.build(scores)
    items = IdMap.build(next(iter(scores.values()), {}))

    def rows(of):
        named = of or {}
        return ragged(
            sorted(items.row(item) for item in named.get(users.external_id(row), ()))
            for row in range(len(users))
        )

    table = np.zeros((len(users), len(items)), dtype=np.float32)
    for user, own in scores.items():
        for item, score in own.items():
            table[users.row(user), items.row(item)] = score
    # An item for each dimension.
    identity = np.eye(len(items), dtype=np.float32)
    return Publication(
        directory=tmp_path,
        manifest=replace(
            publications.complete_manifest(), version=version, items=len(items), users=len(users)
        ),
        items=items,
        users=users,
        item_vectors=fold_biases(identity, np.zeros(len(items), dtype=np.float32)),
        user_vectors=fold_biases(table, np.zeros(len(users), dtype=np.float32)),
        seen=rows(seen),
        item_norms=None,
        titles=None,
        held_out=None if held_out is None else rows(held_out),
    )


def falling(*names):
    """The first name has the highest score."""
    return {name: float(len(names) - place) for place, name in enumerate(names)}


LETTERS = "abcdefghijklmno"


def test_a_version_before_is_held_against_the_new_test_part(tmp_path):
    # Fifteen items, so five are below the top ten.
    after = model(
        tmp_path,
        {"u": falling(*LETTERS), "v": falling(*LETTERS)},
        seen={"v": ["a", "b"]},
        held_out={"u": ["a", "j", "k"], "v": ["l", "m"]},
    )
    before = model(
        tmp_path, {"u": falling(*LETTERS[::-1]), "v": falling(*LETTERS[::-1])}, version=OLDER
    )
    compared = compare(after, before, seed=1)
    # After: u gets a..j, so a and j; v gets c..l, so l. Before: u gets o..f, so j and k; v l and m.
    assert compared.candidate_precision_at_10 == pytest.approx((0.2 + 0.1) / 2)
    assert compared.precision_at_10 == pytest.approx((0.2 + 0.2) / 2)
    assert (compared.version, compared.trained_on, compared.problem) == (OLDER, 0, "")


def test_the_version_before_leaves_out_what_the_user_has_seen_since_and_not_what_it_knew(tmp_path):
    after = model(
        tmp_path, {"u": falling(*LETTERS)}, seen={"u": ["a", "b"]}, held_out={"u": ["c", "l"]}
    )
    before = model(tmp_path, {"u": falling(*LETTERS)}, seen={"u": ["c", "d"]}, version=OLDER)
    compared = compare(after, before, seed=1)
    # Without a and b, both get c..l.
    assert compared.precision_at_10 == compared.candidate_precision_at_10 == pytest.approx(0.2)
    # One of two positives was training data of the version before.
    assert compared.trained_on == 0.5


def test_items_that_the_version_before_does_not_know_are_missed(tmp_path):
    after = model(
        tmp_path, {"u": falling("new 1", "new 2", *LETTERS)}, held_out={"u": ["new 1", "new 2", "a"]}
    )
    before = model(tmp_path, {"u": falling(*LETTERS, "gone 1", "gone 2")}, version=OLDER)
    compared = compare(after, before, seed=1)
    assert compared.candidate_precision_at_10 == pytest.approx(0.3)
    assert compared.precision_at_10 == pytest.approx(0.1)


def test_items_that_are_gone_take_places_of_the_version_before(tmp_path):
    gone = [f"gone {number}" for number in range(10)]
    after = model(tmp_path, {"u": falling(*LETTERS)}, held_out={"u": ["a"]})
    before = model(tmp_path, {"u": falling(*gone, *LETTERS)}, version=OLDER)
    assert compare(after, before, seed=1).precision_at_10 == 0


def test_users_whom_the_version_before_does_not_know_get_nothing_from_it(tmp_path):
    after = model(
        tmp_path,
        {user: falling(*LETTERS) for user in ("new", "u", "untested")},
        held_out={"new": ["a"], "u": ["a"]},
    )
    before = model(tmp_path, {user: falling(*LETTERS) for user in ("gone", "u")}, version=OLDER)
    compared = compare(after, before, seed=1)
    assert compared.candidate_precision_at_10 == pytest.approx(0.1)
    assert compared.precision_at_10 == pytest.approx(0.05)
    nobody = model(tmp_path, {"gone": falling(*LETTERS)}, version=OLDER)
    assert compare(after, nobody, seed=1).precision_at_10 == 0


@pytest.mark.parametrize("held_out", [None, {}])
def test_without_a_test_part_there_is_nothing_to_compare(tmp_path, held_out):
    after = model(tmp_path, {"u": falling(*LETTERS)}, held_out=held_out)
    before = model(tmp_path, {"u": falling(*LETTERS)}, version=OLDER)
    compared = compare(after, before, seed=1)
    assert compared.precision_at_10 is None
    assert compared.problem == f"version {VERSION} has no test interactions"


@pytest.fixture
def volume(tmp_path):
    return tmp_path / "volume"


def test_a_version_is_as_good_as_itself(volume):
    opened = reader.open_publication(volume, publications.publish(volume, seed=4))
    compared = compare(opened, opened, seed=1)
    assert compared.precision_at_10 == compared.candidate_precision_at_10 > 0
    metrics = evaluate_vectors(
        Embeddings(opened.item_vectors, opened.user_vectors),
        seen=opened.seen,
        held_out=opened.held_out,
    )
    assert compared.precision_at_10 == pytest.approx(metrics["test_precision_at_10_unseen"])


def test_of_many_test_users_the_same_are_drawn_for_both(volume, monkeypatch):
    monkeypatch.setattr(of_vectors, "MAX_USERS", 3)
    opened = reader.open_publication(volume, publications.publish(volume, seed=4))
    drawn = [compare(opened, opened, seed=seed) for seed in range(8)]
    assert all(own.precision_at_10 == own.candidate_precision_at_10 for own in drawn)
    assert len({own.precision_at_10 for own in drawn}) > 1


def test_coverage_counts_items_that_someone_gets(tmp_path):
    made = model(
        tmp_path,
        {"u": falling(*LETTERS), "v": falling("l", *LETTERS.replace("l", ""))},
        seen={"u": ["a", "b"]},
    )
    # u gets c..l, v gets l and a..i: a..l are twelve of fifteen.
    found = coverage(made.item_vectors, made.user_vectors, made.seen, seed=1)
    assert found == pytest.approx(12 / 15)


def test_coverage_never_counts_what_is_seen(tmp_path):
    made = model(tmp_path, {"u": falling(*LETTERS)}, seen={"u": LETTERS[:12]})
    assert coverage(made.item_vectors, made.user_vectors, made.seen, seed=1) == pytest.approx(3 / 15)


def test_without_users_there_is_no_coverage(tmp_path):
    made = model(tmp_path, {"u": falling(*LETTERS)})
    assert coverage(made.item_vectors, made.user_vectors[:0], ragged([]), seed=1) is None


def test_of_many_users_so_many_are_drawn_by_the_seed(tmp_path, monkeypatch):
    scores = {f"u{number}": falling(*np.roll([*LETTERS], number)) for number in range(15)}
    made = model(tmp_path, scores)
    arguments = made.item_vectors, made.user_vectors, made.seen
    assert coverage(*arguments, seed=1) == 1
    monkeypatch.setattr(measurement, "SAMPLED_USERS", 2)
    drawn = [coverage(*arguments, seed=seed) for seed in range(20)]
    assert drawn == [coverage(*arguments, seed=seed) for seed in range(20)]
    assert {10 / 15 < share <= 1 for share in drawn} == {True}
    assert len({*drawn}) > 1


METRICS = {
    "test_precision_at_10": 0.1,
    "test_precision_at_10_unseen": 0.25,
    "test_auc": 0.8,
    "test_auc_unseen": 0.9,
    "evaluated_users": 6.0,
}
ALL = Gates(min_coverage=0.1, max_relative_loss=0.1)


def publish(volume, seed):
    with Staging(volume) as staging:
        publications.stage(staging, seed=seed)
        return staging.publish(publications.facts(metrics=METRICS)).version


def test_a_published_version_is_measured_by_its_manifest_and_files(volume):
    old, version = publish(volume, 1), publish(volume, 2)
    promote(volume, old)
    opened = reader.open_publication(volume, version)
    found = measure(volume, version, gates=ALL, before=predecessor.find(volume, "current"), seed=1)
    assert (found.precision_at_10, found.auc, found.evaluated_users) == (0.25, 0.9, 6)
    assert found.recall_at_10 == {"similar": 1.0, "recommend": 1.0}
    assert found.coverage == coverage(opened.item_vectors, opened.user_vectors, opened.seen, seed=1)
    assert found.baseline == compare(opened, reader.open_publication(volume, old), seed=1)
    assert found.baseline.version == old


def test_without_a_version_before_there_is_no_baseline(volume):
    version = publish(volume, 1)
    found = measure(volume, version, gates=ALL, before=None, seed=1)
    assert found.baseline is None
    assert all(result.passed for result in check(ALL, found))


def test_what_no_gate_asks_for_is_not_computed(volume, monkeypatch):
    version = publications.publish(volume)
    promote(volume, version)
    monkeypatch.setattr(measurement, "coverage", None)
    found = measure(volume, version, gates=Gates(min_auc=0.5), before=None, seed=1)
    assert (found.precision_at_10, found.coverage, found.baseline) == (None, None, None)


def test_a_label_whose_version_is_damaged_gone_or_not_told_fails_the_gate_with_the_reason(volume):
    old, version = publish(volume, 1), publish(volume, 2)
    promote(volume, old)

    def problem():
        found = measure(volume, version, gates=ALL, before=predecessor.find(volume, "current"), seed=1)
        by_name = {result.name: result for result in check(ALL, found)}
        assert by_name["min_coverage"].passed
        assert not by_name["max_relative_loss"].passed
        assert found.baseline.problem in by_name["max_relative_loss"].text
        return found.baseline.problem

    path = layout.version_dir(volume, old) / layout.USER_IDS
    publications.overwrite(path, path.read_bytes()[::-1])
    assert "users.trie: SHA-256 is" in problem()
    layout.label_file(volume, "current").write_text(OLDER)
    assert f"version {OLDER!r} isn't on the volume" in problem()
    layout.label_file(volume, "current").write_text("nonsense")
    assert "should hold a version's name" in problem()


def test_what_a_version_was_trained_on_does_not_make_it_look_better(tmp_path):
    """Of the user's three likes the one before was trained on two, and the new one on two others."""
    scores = {"u": falling(*LETTERS)}
    old = model(tmp_path, scores, seen={"u": ["a", "b"]}, held_out={"u": ["c"]})
    new = model(tmp_path, scores, seen={"u": ["a", "c"]}, held_out={"u": ["b", "d"]}, version=OLDER)
    common = compare(new, old, seed=1).common
    # Only d is known to neither, and both models find it.
    assert (common.users, common.in_common, common.known) == (1, 1, 1)
    assert common.before == common.after == pytest.approx(0.1)


def test_where_all_that_is_held_out_was_trained_on_nothing_is_compared(tmp_path):
    scores = {"u": falling(*LETTERS)}
    old = model(tmp_path, scores, seen={"u": ["a", "b"]})
    new = model(tmp_path, scores, seen={"u": ["c"]}, held_out={"u": ["a"]}, version=OLDER)
    common = compare(new, old, seed=1).common
    assert (common.in_common, common.known) == (1, 0)


def test_a_version_without_users_is_compared_with_nobody(tmp_path):
    scores = {"u": falling(*LETTERS)}
    old = model(tmp_path, scores)
    nobody = replace(old, users=IdMap.build([]), user_vectors=old.user_vectors[:0], seen=ragged([]))
    new = model(tmp_path, scores, held_out={"u": ["a"]}, version=OLDER)
    assert compare(new, nobody, seed=1).common is None
