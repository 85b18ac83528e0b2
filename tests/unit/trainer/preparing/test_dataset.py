import unicodedata
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from lightfm_retriever.publication.storage.id_map import IdMap
from tests import datasets
from trainer.data.features import FeatureTable
from trainer.errors import InputError, OptionError, TrainerError
from trainer.preparing.dataset import held_out, id_ranks, most_popular
from trainer.preparing.splits import Splitting

USER_IDS = st.sampled_from(["u", "é", "用户", "10", "9"])
ITEM_IDS = st.sampled_from([*"abcdef", "東京", "a b/c"])
# Sums of these are exact in float32.
WEIGHTS = st.sampled_from([1.0, 2.5, 5.0, 0.0, -1.0])
ROWS = st.lists(st.tuples(USER_IDS, ITEM_IDS, WEIGHTS), min_size=1, max_size=80)
FEATURES = st.lists(st.sampled_from(["g:x", "g:y", "h:x", "a", "item:b"]), max_size=3, unique=True)
ITEM_FEATURES = st.dictionaries(ITEM_IDS | st.sampled_from(["new", "newer"]), FEATURES, max_size=8)
NO_POSITIVES = "have a weight of 0 or less: they count as seen, but not as positives"
UNLEARNED = "with training interactions: the model can't learn them, so they are left out"
BY_FEATURES = "have no training interactions: their vectors come from their features alone"
LOST = "have neither training interactions nor features that the model can learn: they are left out"


def summed(rows):
    weights = defaultdict(float)
    for user, item, weight in rows:
        weights[user, item] += weight
    return dict(weights)


def ids(id_map):
    return {id_map.external_id(row) for row in range(len(id_map))}


def build(rows, **options):
    """A dataset, from rows that leave a positive to train on."""
    try:
        return datasets.dataset(rows, **options)
    except TrainerError:
        assume(False)
        raise


# Of three users with 31 rows, one has more than ten.
@given(st.lists(st.tuples(st.sampled_from("uvw"), ITEM_IDS, WEIGHTS), min_size=31, max_size=60))
def test_first_10_tests_on_the_first_ten_of_each_user_in_file_order(rows):
    dataset = build(rows, split="first-10")
    before, train, test = Counter(), [], []
    for row in rows:
        (test if before[row[0]] < 10 else train).append(row)
        before[row[0]] += 1
    users, items = {user for user, _, _ in train}, {item for _, item, _ in train}
    assert datasets.pairs(dataset, dataset.train) == summed(train)
    assert datasets.pairs(dataset, dataset.test) == {
        (user, item): weight
        for (user, item), weight in summed(test).items()
        if user in users and item in items and (user, item) not in summed(train)
    }
    assert (ids(dataset.users), ids(dataset.items)) == (users, items)
    assert dataset.train.dtype == np.float32


@given(ROWS, ITEM_FEATURES, st.dictionaries(ITEM_IDS | st.just("new"), st.text(max_size=5)))
def test_an_item_has_its_own_column_when_it_was_trained_on_its_features_and_its_title(
    rows, features, titles
):
    """Without a test set everything is trained on."""
    features = {"new": []} | {item: features.get(item, []) for item in features | titles}
    dataset = build(rows, items=datasets.table(features, titles=titles))
    assert datasets.pairs(dataset, dataset.train) == summed(rows)
    assert dataset.test.nnz == 0
    warm = {item for _, item, _ in rows}
    # Of each item's features those that an item with interactions has too.
    known = {name for item, own in features.items() if item in warm for name in own}
    learned = {item: sorted(known.intersection(own)) for item, own in features.items()}
    assert ids(dataset.items) == warm | {item for item, own in learned.items() if own}
    count = len(dataset.items)
    assert dataset.item_features.shape == (count, count + len(known))
    assert dataset.item_feature_names == sorted(known)
    matrix = dataset.item_features.toarray()
    for row in range(count):
        item = dataset.items.external_id(row)
        found = [
            column if column < count else dataset.item_feature_names[column - count]
            for column in np.flatnonzero(matrix[row])
        ]
        assert found == [*([row] if item in warm else []), *learned.get(item, [])]
        np.testing.assert_allclose(matrix[row][matrix[row] > 0], 1 / len(found), rtol=1e-6)
        assert dataset.titles[row] == titles.get(item, "")


@given(ROWS, st.dictionaries(USER_IDS | st.just("new"), FEATURES, max_size=6))
def test_users_are_treated_as_items_are(rows, features):
    table = datasets.table(features)
    mirrored = build([(item, user, weight) for user, item, weight in rows], items=table)
    dataset = datasets.dataset(rows, users=table)
    assert ids(dataset.users) == ids(mirrored.items)
    np.testing.assert_array_equal(dataset.user_features.toarray(), mirrored.item_features.toarray())
    assert dataset.user_feature_names == mirrored.item_feature_names
    assert dataset.titles is None


@given(ROWS, ITEM_FEATURES)
def test_seen_are_the_rows_trained_on_and_features_are_learned_of_those(rows, features):
    dataset = build(rows, items=datasets.table(features), split="random")
    seen = dataset.seen()
    assert (seen.offsets.dtype, seen.values.dtype) == (np.int64, np.int32)
    assert len(seen.offsets) == len(dataset.users) + 1
    pairs = datasets.pairs(dataset, dataset.train)
    for row in range(len(dataset.users)):
        own = dataset.users.external_id(row)
        items = [dataset.items.row(item) for user, item in pairs if user == own]
        assert seen[row].tolist() == sorted(items)
    # Its own column tells that an item was trained on.
    trained = dataset.item_features[dataset.item_features.diagonal() > 0]
    assert (trained[:, len(dataset.items) :].getnnz(axis=0) > 0).all()
    assert (dataset.item_features.getnnz(axis=1) > 0).all()


def test_what_is_published_by_features_alone_and_what_is_left_out_are_counted():
    """Of a feature that nobody with training interactions has nothing can be learned."""
    learned = {"a": ["g:x", "g:y"], "new": ["g:x"], "newer": ["g:y", "g:z"]}
    items = {**learned, "lost": ["g:z"], "nothing": []}
    users = {"u": ["k:1"], "w": ["k:1"], "x": ["k:2"]}
    dataset = datasets.dataset(
        [("u", "a", 1.0), ("u", "b", 1.0), ("v", "c", 1.0)],
        items=datasets.table(items),
        users=datasets.table(users, name="users.csv"),
    )
    assert ids(dataset.items) == {"a", "b", "c", "new", "newer"}
    assert ids(dataset.users) == {"u", "v", "w"}
    assert (dataset.item_feature_names, dataset.user_feature_names) == (["g:x", "g:y"], ["k:1"])
    assert (dataset.item_columns, dataset.user_columns) == (["g"], ["k"])
    # The rest of a row still sums to 1.
    newer = dataset.item_features[dataset.items.row("newer")].toarray()[0]
    assert newer.tolist() == [*[0.0] * 6, 1.0]
    assert dataset.warnings == [
        warning
        for kind, more in (("item", 2), ("user", 1))
        for warning in (
            f"1 features of {kind}s.csv belong to no {kind} {UNLEARNED}",
            f"{more} {kind}s of {kind}s.csv {BY_FEATURES}",
            f"{more} {kind}s of {kind}s.csv {LOST}",
            f"{more} {kind}s aren't in {kind}s.csv: they have no features",
        )
    ]


def test_what_is_repeated_or_no_positive_is_counted():
    rows = [("u", "a", 1.0), ("u", "a", 2.0), ("u", "a", 2.0), ("u", "b", 0.0), ("u", "c", -1.0)]
    assert datasets.dataset(rows).warnings == [
        "2 of 5 training interactions repeat a pair of user and item: the weights are summed",
        f"2 training interactions of interactions.csv {NO_POSITIVES}",
    ]


def test_a_test_interaction_that_is_trained_on_too_is_not_evaluated():
    rows = [*((f"{user}", f"i{item}", 1.0) for user in "uv" for item in range(11)), ("u", "i0", 1.0)]
    dataset = datasets.dataset(rows, split="first-10")
    trained = [("u", "i10"), ("v", "i10"), ("u", "i0")]
    assert datasets.pairs(dataset, dataset.train) == dict.fromkeys(trained, 1.0)
    assert datasets.pairs(dataset, dataset.test) == {("v", "i0"): 1.0}
    [warning] = dataset.warnings
    assert warning == (
        "19 of 20 test interactions aren't evaluated: 1 are also in the training data, "
        "18 repeat others, or are of users or items without a training interaction"
    )


def test_a_test_interaction_that_is_no_positive_is_not_evaluated():
    rows = [(user, f"i{item}", 1.0 if item % 2 else -1.0) for user in "uv" for item in range(12)]
    # Two items of each user are trained on, of the third one the ten that all have.
    rows += [("w", f"i{item}", 1.0) for item in (*range(12, 22), *range(10))]
    dataset = datasets.dataset(rows, split="first-10")
    [warning] = [own for own in dataset.warnings if "aren't evaluated" in own]
    assert ": 10 have a weight of 0 or less, 10 repeat others, or are of" in warning
    assert warning.startswith("20 of 30 test interactions aren't evaluated")
    assert len(dataset.held_out().values) == 10


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_what_leaves_nothing_to_train_on_is_named(weight):
    with pytest.raises(TrainerError, match=r"^interactions\.csv: no training interaction has a weight"):
        datasets.dataset([("u", "a", weight), ("u", "b", 1.0), ("u", "b", -1.0)])
    twenty = [(user, f"i{item}", 1.0) for user in "uv" for item in range(10)]
    with pytest.raises(TrainerError, match=r"^interactions\.csv: split 'first-10' leaves no interact"):
        datasets.dataset(twenty, split="first-10")
    assert datasets.dataset([*twenty, ("u", "i10", 1.0)], split="first-10").train.nnz == 1
    with pytest.raises(OptionError, match="--split is 'half', but should be one of first-10, random"):
        datasets.dataset(split="half")
    for split in ("time", "leave-last-k"):
        reason = f"there is no column timestamp, which --split {split} needs"
        with pytest.raises(InputError, match=rf"interactions\.csv: {reason}"):
            datasets.dataset(split=split)


@pytest.mark.parametrize(("kind", "where"), [("item", "interactions"), ("user", "features")])
def test_odd_ids_are_told_of_with_their_rows_and_kept_as_they_are(kind, where):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    there = [composed, "nan", "nan", "cafe", *([decomposed] if where == "interactions" else [])]
    rows = [("u", one, 1.0) if kind == "item" else (one, "a", 1.0) for one in there]
    table = datasets.table({decomposed: ["g:x"], "NULL": ["g:x"], "cafe": ["g:x"]})
    dataset = datasets.dataset(rows, **{f"{kind}s": table})
    assert {composed, decomposed, "cafe", "nan"} <= ids(getattr(dataset, f"{kind}s"))
    marks, alike = dataset.warnings[:2]
    assert marks.startswith(f"{kind} ids 'nan', 'NULL' in 2 rows look like markers of a missing id: ")
    assert alike.startswith(f"{kind} ids 'caf\\xe9' and 'cafe\\u0301' differ only in Unicode norma")


def test_clean_data_warns_of_nothing_new_and_as_many_features_as_items_are_told_of():
    items = datasets.table({f"i{item}": ["g:x"] for item in range(datasets.ITEMS)})
    assert datasets.dataset(items=items).warnings == []
    many = datasets.table({f"i{item}": [f"g:{item}"] for item in range(1001)})
    of_items, of_users = replace(many, warnings=["of items"]), FeatureTable(warnings=["of users"])
    warnings = datasets.dataset(items=of_items, users=of_users).warnings
    assert {"of items", "of users"} <= {*warnings}
    assert any("items.csv has 1001 distinct features for 1001 items" in told for told in warnings)


# ---- what is held out

# Few different times, so that many rows share one.
TIME = st.tuples(st.sampled_from("uvw"), st.sampled_from("abcdef"), st.integers(0, 8))
TIMED = st.lists(TIME, min_size=1, max_size=60)


def timed(rows):
    return datasets.interactions(rows, timestamps=[time for *_, time in rows])


@given(TIMED, st.floats(0.001, 0.999))
def test_by_time_no_row_to_train_on_is_newer_than_one_to_test_on(rows, share):
    is_test = held_out(timed(rows), Splitting("time", 1, share=share))
    assert is_test.sum() == round(share * len(rows))
    ranks = [(time, row) for row, (*_, time) in enumerate(rows)]
    tested = [rank for rank, test in zip(ranks, is_test, strict=True) if test]
    assert {*tested} == {*sorted(ranks)[len(ranks) - len(tested) :]}


@given(TIMED, st.integers(1, 5))
def test_leave_last_k_takes_each_users_newest_and_leaves_the_oldest(rows, count):
    is_test = held_out(timed(rows), Splitting("leave-last-k", 1, count))
    by_user = defaultdict(list)
    for row, (user, *_) in sorted(enumerate(rows), key=lambda row: (row[1][2], row[0])):
        by_user[user].append(row)
    expected = {row for own in by_user.values() for row in own[1:][-count:]}
    assert set(np.flatnonzero(is_test)) == expected


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_random_split_holds_out_a_share(share):
    rows = [(f"u{row % 50}", f"i{row}", row) for row in range(3000)]
    first, second = (held_out(timed(rows), Splitting("random", seed, share=share)) for seed in (1, 2))
    assert (first.dtype, first.mean()) == (np.bool_, pytest.approx(share, abs=0.03))
    assert (first != second).any()
    np.testing.assert_array_equal(held_out(timed(rows), Splitting("random", 1, share=share)), first)


# ---- orders of items

ID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


@settings(max_examples=50)
@given(st.lists(ID, max_size=20, unique=True))
@example(["b", "a", "é", "z", "10", "9", "aa", "\U0001f600", "\uffff"])
@example([])
@example([f"{number * 7919 % 20_011:x}é" for number in range(20_000)])
def test_ranks_are_the_ids_places_in_byte_order(ids):
    id_map = IdMap.build(ids)
    ranks = id_ranks(id_map)
    assert ranks.dtype == np.int32
    placed = {rank: id_map.external_id(row).encode() for row, rank in enumerate(ranks)}
    assert [placed[place] for place in range(len(ids))] == sorted(one.encode() for one in ids)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), max_size=20), st.randoms(use_true_random=False))
def test_the_most_popular_come_first_and_equal_ones_by_id(popularity, random):
    ranks = [*range(len(popularity))]
    random.shuffle(ranks)
    rows = most_popular(np.array(popularity, dtype=np.int32), np.array(ranks, dtype=np.int32))
    assert rows.dtype == np.int32
    expected = sorted(range(len(popularity)), key=lambda row: (-popularity[row], ranks[row]))
    assert rows.tolist() == expected
    # The greatest numbers and unsigned ones, too.
    for kind, most in ((np.uint32, 2**32 - 1), (np.int32, 2**31 - 1), (np.uint8, 255)):
        of = np.array([0, most, 1], dtype=kind)
        assert most_popular(of, np.arange(3, dtype=np.int32)).tolist() == [1, 2, 0]


def test_a_datasets_popularity_counts_users_with_a_positive_and_not_interactions():
    twice, others = [("u1", "a", 1.0), ("u1", "a", 5.0)], [("u2", "a", 0.5), ("u2", "b", 3.0)]
    no_positives = [("u3", "a", -1.0), ("u3", "c", 0.0), ("u4", "b", 2.0), ("u4", "b", -2.0)]
    of = datasets.dataset([*twice, *others, *no_positives])
    popularity = of.popularity()
    assert popularity.dtype == np.int32
    counted = {of.items.external_id(row): int(own) for row, own in enumerate(popularity)}
    assert counted == {"a": 2, "b": 1, "c": 0}
    # What is held out makes nothing popular.
    of = datasets.dataset(split="first-10")
    assert of.test.nnz > 0
    assert int(of.popularity().sum()) == of.train.nnz
