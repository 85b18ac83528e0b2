from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lightfm_retriever.publication import layout, reader
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.manifest import WayFacts
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.writer import Staging
from tests import publications
from tests.measured_vectors import evaluate_vectors
from tests.retrievable import ragged
from trainer.evaluation import held_out_test
from trainer.fitting.embeddings import Embeddings
from trainer.promotion import measurement
from trainer.promotion.gates import Gates
from trainer.promotion.measurement import compare, coverage, measure
from trainer.promotion.predecessor import find

VERSION = layout.version_name(publications.NOON, "3fa9c1")
OLDER = layout.version_name(publications.NOON, "000000")
LETTERS = "abcdefghijklmno"


def falling(*names):
    """The first name has the highest score."""
    return {name: float(len(names) - place) for place, name in enumerate(names)}


def model(scores, *, seen=None, held_out=None):
    """A version in memory that gives each user, by name, to each item, by name, such a score."""
    users, items = IdMap.build(scores), IdMap.build(next(iter(scores.values())))
    names = [users.external_id(row) for row in range(len(users))]

    def rows(of):
        return ragged(sorted(items.rows((of or {}).get(user, ()))) for user in names)

    table = np.zeros((len(users), len(items) + 1), dtype=np.float32)
    for row, user in enumerate(names):
        table[row, items.rows(scores[user])] = [*scores[user].values()]
    # An item for each dimension.
    vectors = np.eye(len(items), len(items) + 1, dtype=np.float32), table
    return SimpleNamespace(
        manifest=SimpleNamespace(version=VERSION),
        items=items,
        users=users,
        neighbours=None,
        vectors=vectors,
        item_vectors=vectors[0],
        user_vectors=vectors[1],
        seen=rows(seen),
        held_out=None if held_out is None else rows(held_out),
    )


def of_u(*names, seen="", held_out=None):
    positives = None if held_out is None else {"u": held_out}
    return model({"u": falling(*(names or LETTERS))}, seen={"u": seen}, held_out=positives)


FALLING, RISING = falling(*LETTERS), falling(*LETTERS[::-1])
LIKED = {"u": "ajk", "v": "lm"}
GONE = [f"gone {number}" for number in range(10)]


@pytest.mark.parametrize(
    ("after", "before", "expected", "trained_on"),
    [
        # Fifteen items, so five are below the top ten. After: u gets a..j, so a and j; v gets c..l, so
        # l. Before: u gets o..f, so j and k; v l and m.
        (
            model(dict.fromkeys("uv", FALLING), seen={"v": "ab"}, held_out=LIKED),
            model(dict.fromkeys("uv", RISING)),
            ((0.2 + 0.2) / 2, (0.2 + 0.1) / 2),
            0,
        ),
        # What the user has seen since is left out, and not what was seen before: without a and b, both
        # get c..l. One of two positives was training data of the version before.
        (of_u(seen="ab", held_out="cl"), of_u(seen="cd"), (0.2, 0.2), 0.5),
        # Items that the version before doesn't know are missed, and those that are gone take places.
        (
            of_u("new 1", "new 2", *LETTERS, held_out=["new 1", "new 2", "a"]),
            of_u(*LETTERS, *GONE[:2]),
            (0.1, 0.3),
            0,
        ),
        (of_u(held_out="a"), of_u(*GONE, *LETTERS), (0, 0.1), 0),
        # Users whom the version before doesn't know get nothing from it.
        *(
            (
                model(dict.fromkeys(["new", "u", "x"], FALLING), held_out={"new": ["a"], "u": ["a"]}),
                model(dict.fromkeys(known, FALLING)),
                (precision, 0.1),
                0,
            )
            for known, precision in ((["gone", "u"], 0.05), (["gone"], 0))
        ),
    ],
)
def test_a_version_before_is_held_against_the_new_test_part(after, before, expected, trained_on):
    before.manifest.version = OLDER
    compared = compare(after, before, seed=1)
    found = (compared.precision_at_10, compared.candidate_precision_at_10)
    assert found == pytest.approx(expected)
    assert (compared.version, compared.trained_on, compared.problem) == (OLDER, trained_on, "")


def test_without_a_test_part_or_users_there_is_nothing_to_compare():
    for held_out in (None, ""):
        compared = compare(of_u(held_out=held_out), of_u(), seed=1)
        assert compared.precision_at_10 is None
        assert compared.problem == f"version {VERSION} has no test interactions"
    nobody = of_u()
    nobody.users, nobody.user_vectors, nobody.seen = IdMap.build([]), np.zeros((0, 16)), ragged([])
    assert compare(of_u(held_out="a"), nobody, seed=1).common is None


def test_a_version_is_as_good_as_itself_also_by_some_of_many_users(tmp_path, monkeypatch):
    opened = reader.open_publication(tmp_path, publications.publish(tmp_path, seed=4))
    compared = compare(opened, opened, seed=1)
    assert compared.precision_at_10 == compared.candidate_precision_at_10 > 0
    embeddings = Embeddings(opened.item_vectors, opened.user_vectors)
    metrics = evaluate_vectors(embeddings, seen=opened.seen, held_out=opened.held_out)
    assert compared.precision_at_10 == pytest.approx(metrics["test_precision_at_10_unseen"])
    monkeypatch.setattr(held_out_test, "MAX_USERS", 3)
    drawn = [compare(opened, opened, seed=seed) for seed in range(8)]
    assert all(own.precision_at_10 == own.candidate_precision_at_10 for own in drawn)
    assert len({own.precision_at_10 for own in drawn}) > 1


@pytest.mark.parametrize(
    ("before", "after", "counts", "precision"),
    [
        # Of the user's three likes the one before was trained on two, and the new one on two others:
        # only d is known to neither, and both models find it.
        (of_u(seen="ab", held_out="c"), of_u(seen="ac", held_out="bd"), (1, 1, 1), (0.1, 0.1)),
        # All that is held out was trained on.
        (of_u(seen="ab"), of_u(seen="c", held_out="a"), (1, 1, 0), (0, 0)),
        # Of two users one is known.
        (
            of_u(),
            model({"u": RISING, "v": FALLING}, held_out={"u": "a", "v": "a"}),
            (2, 1, 1),
            (0.1, 0),
        ),
        # What either saw of the users is left out of both rankings.
        (of_u(seen="ab"), of_u(held_out="l"), (1, 1, 1), (0.1, 0.1)),
        (of_u(), of_u(seen="abc", held_out="lm"), (1, 1, 1), (0.2, 0.2)),
    ],
)
def test_what_a_version_was_trained_on_does_not_make_it_look_better(before, after, counts, precision):
    common = compare(after, before, seed=1).common
    assert (common.users, common.in_common, common.known) == counts
    assert (common.before, common.after) == pytest.approx(precision)
    # One user's difference has no spread, and proves nothing.
    assert common.error == (np.inf if common.known else 0)


def test_the_error_is_that_of_the_mean_difference():
    before = model(dict.fromkeys("uvw", FALLING))
    after = model(dict.fromkeys("uvw", RISING), held_out={"u": "a", "v": "a", "w": "o"})
    common = compare(after, before, seed=1).common
    assert (common.before, common.after) == pytest.approx((0.2 / 3, 0.1 / 3))
    assert common.error == pytest.approx(np.std([0.1, 0.1, -0.1], ddof=1) / np.sqrt(3))


def test_coverage_counts_unseen_items_that_someone_gets(monkeypatch):
    def covered(made, seed=1):
        return coverage(made, seed=seed)

    # u gets c..l, v gets l and a..i: a..l are twelve of fifteen.
    other = falling("l", *LETTERS.replace("l", ""))
    made = model({"u": FALLING, "v": other}, seen={"u": "ab"})
    assert covered(made) == pytest.approx(12 / 15)
    assert covered(of_u(seen=LETTERS[:12])) == pytest.approx(3 / 15)
    assert coverage(SimpleNamespace(**{**vars(made), "users": []}), seed=1) is None
    made = model({f"u{number}": falling(*np.roll([*LETTERS], number)) for number in range(15)})
    assert covered(made) == 1
    monkeypatch.setattr(measurement, "SAMPLED_USERS", 2)
    drawn = [covered(made, seed) for seed in range(20)]
    assert drawn == [covered(made, seed) for seed in range(20)]
    assert all(10 / 15 < share <= 1 for share in drawn)
    assert len({*drawn}) > 1


PRECISION = {"": 0.1, "_unseen": 0.25, "_trained": 0.2, "_popular": 0.15}
METRICS = {f"test_precision_at_10{kind}": value for kind, value in PRECISION.items()}
METRICS |= {"test_auc": 0.8, "test_auc_unseen": 0.9, "evaluated_users": 6.0}
ALL = Gates(min_coverage=0.1, max_relative_loss=0.1)


def test_a_published_version_is_measured_by_its_manifest_and_files(tmp_path, monkeypatch):
    old = publications.publish(tmp_path)
    promote(tmp_path, old)
    with Staging(tmp_path) as staging:
        publications.stage(staging, seed=2)
        facts = publications.facts(metrics=METRICS)
        way = WayFacts(recall_at_10=0.75, query_microseconds=1.0, effort=1.0, depths=[])
        recommend = replace(facts.indexes["recommend"], ways={"session": way})
        indexes = {**facts.indexes, "recommend": recommend}
        version = staging.publish(replace(facts, indexes=indexes)).version
    opened = reader.open_publication(tmp_path, version)
    found = measure(tmp_path, version, gates=ALL, before=find(tmp_path, "current"), seed=1)
    assert (found.precision_at_10, found.auc, found.evaluated_users) == (0.25, 0.9, 6)
    assert (found.trained_precision_at_10, found.popular_precision_at_10) == (0.2, 0.15)
    # The worst of all ways of asking.
    assert found.recall_at_10 == {"similar": 1.0, "recommend": 0.75}
    assert found.worst_question == {"recommend": "session"}
    assert (found.target_recall, found.users) == (0.95, publications.USERS)
    assert found.coverage == coverage(opened, seed=1)
    assert found.baseline == compare(opened, reader.open_publication(tmp_path, old), seed=1)
    layout.label_file(tmp_path, "current").write_text("nonsense")
    found = measure(tmp_path, version, gates=ALL, before=find(tmp_path, "current"), seed=1)
    assert found.baseline.precision_at_10 is None
    assert "should contain a version name" in found.baseline.problem
    # What no gate asks for isn't computed.
    monkeypatch.setattr(measurement, "coverage", None)
    found = measure(tmp_path, old, gates=Gates(min_auc=0.5), before=None, seed=1)
    assert (found.precision_at_10, found.coverage, found.baseline) == (None, None, None)
