"""Quality for users without a vector: what is counted, for whom, and that nobody's vector leaks in."""

import numpy as np
import pytest

from tests.measured_vectors import evaluate_vectors
from tests.unit.trainer.index import cases
from trainer.evaluation import held_out_test, of_cold_users
from trainer.evaluation.metric_rows import POPULAR, TRAINED
from trainer.evaluation.of_cold_users import evaluate_cold, evaluated_users, fold_users_in
from trainer.fitting.embeddings import Embeddings

FOLDED = "test_precision_at_10_folded_in"
FEATURES = "test_precision_at_10_features_only"


def ndcg(name):
    return name.replace("precision", "ndcg")


ITEMS = 60


def community(*, users=40, seed=1, components=4):
    """Users who have seen what they like, and have more of it held out."""
    random = np.random.default_rng(seed)
    items = cases.vectors(ITEMS, components + 1, seed=seed)
    items[:, -1] *= 0.1
    tastes = 2 * cases.vectors(users, components + 1, seed=seed + 1)
    liked = np.argsort(-(tastes[:, :-1] @ items[:, :-1].T))[:, :20]
    shuffled = random.permuted(liked, axis=1)
    seen = cases.rows(np.sort(own[: random.integers(3, 11)]) for own in shuffled)
    held_out = cases.rows(np.sort(own[14:]) for own in shuffled)
    return Embeddings(items, tastes), seen, held_out


def evaluated(embeddings, seen, held_out, *, popular=None, **options):
    if popular is None:
        popular = np.argsort(-np.bincount(seen.values, minlength=ITEMS), kind="stable")
    return evaluate_cold(embeddings, seen=seen, held_out=held_out, popular_items=popular, **options)


def emptied(of, users):
    return cases.rows([] if row in users else of[row] for row in range(len(of)))


def precision(item_vectors, vectors, users, seen, held_out):
    """Item by item: the share of held-out ones among ten, a mean over users."""
    shares = []
    for user, vector in zip(users, vectors, strict=True):
        scores = item_vectors[:, :-1] @ vector[:-1] + item_vectors[:, -1]
        unseen = [item for item in range(len(item_vectors)) if item not in seen[user]]
        best = sorted(unseen, key=lambda item: -scores[item])[:10]
        shares.append(len({*best} & {*held_out[user].tolist()}) / 10)
    return pytest.approx(np.mean(shares))


def test_folded_in_users_get_most_of_what_trained_ones_get_and_more_than_the_popular():
    found = evaluated(*community(users=300), seed=3)
    assert found.keys() == {*(FOLDED, POPULAR, TRAINED), *map(ndcg, (FOLDED, POPULAR, TRAINED))}
    # Of sessions of 3 to 10 items, while the vectors here are the truth itself.
    assert 1.5 * found[POPULAR] < 0.7 * found[TRAINED] < found[FOLDED] < found[TRAINED]


def test_the_metrics_are_what_counting_gives_for_users_with_both_positives_and_seen_items():
    embeddings, seen, held_out = community()
    seen, held_out = emptied(seen, {0, 1, 2}), emptied(held_out, {2, 3, 39})
    users = evaluated_users(seen, held_out, seed=1)
    assert users.tolist() == list(range(4, 39))
    own = cases.vectors(40, 5, seed=9)
    popular = np.random.default_rng(2).permutation(ITEMS)
    found = evaluated(embeddings, seen, held_out, popular=popular, features_only=own, seed=3)
    items = embeddings.item_vectors
    ranks = np.zeros((ITEMS, 2))
    ranks[popular, -1] = -np.arange(ITEMS)
    of = (users, seen, held_out)
    counted = {
        FOLDED: precision(items, fold_users_in(embeddings, users, seen, seed=3), *of),
        FEATURES: precision(items, own[users], *of),
        POPULAR: precision(ranks, np.zeros((35, 2)), *of),
        TRAINED: precision(items, embeddings.user_vectors[users], *of),
    }
    assert {name: found[name] for name in counted} == pytest.approx(counted)
    assert len({round(value, 4) for value in found.values()}) == 8


def test_a_user_is_folded_in_by_all_others_but_those_of_the_same_fold():
    embeddings, seen, _ = community()
    users = np.arange(0, 40, 2)
    folded = fold_users_in(embeddings, users, seen, seed=3)
    for user in (0, 18, 17, 39):
        other = embeddings.user_vectors.copy()
        other[user] *= -5
        changed = fold_users_in(Embeddings(embeddings.item_vectors, other), users, seen, seed=3)
        same = (changed == folded).all(axis=1)
        # Who isn't evaluated is in no fold.
        assert same.sum() == (0 if user % 2 else 20 / 5)
        assert user % 2 or same[user // 2]


def test_of_many_users_the_same_are_drawn_as_elsewhere(monkeypatch):
    monkeypatch.setattr(held_out_test, "MAX_USERS", 7)
    embeddings, seen, held_out = community()
    assert len(evaluated_users(seen, held_out, seed=5)) == 7
    found = evaluated(embeddings, seen, held_out, seed=5)
    expected = evaluate_vectors(embeddings, seen=seen, held_out=held_out, seed=5)
    assert found[TRAINED] == pytest.approx(expected["test_precision_at_10_unseen"])
    assert found[ndcg(TRAINED)] == pytest.approx(expected["test_ndcg_at_10_unseen"])


def test_few_users_nobody_nothing_folded_in_and_next_to_nothing_left_are_no_trouble():
    for users in (1, 6):
        assert evaluated(*community(users=users))[FOLDED] > 0.1
    embeddings, seen, held_out = community()
    assert evaluated(embeddings, seen, emptied(held_out, range(40))) == {}
    assert evaluated(embeddings, emptied(seen, range(40)), held_out) == {}
    # Where nothing folds in the other metrics remain.
    bad = np.full_like(embeddings.user_vectors, np.inf)
    found = evaluated(Embeddings(embeddings.item_vectors, bad), seen, held_out)
    assert found.keys() == {POPULAR, TRAINED, ndcg(POPULAR), ndcg(TRAINED)}
    # A user who has seen nearly everything is evaluated on what is left.
    embeddings, _, _ = community(users=2)
    seen, held_out = cases.rows([range(57), range(ITEMS - 1)]), cases.rows([[57, 59], [59]])
    found = evaluated(embeddings, seen, held_out, features_only=embeddings.user_vectors)
    names = (FOLDED, FEATURES, POPULAR, TRAINED)
    assert [found[name] for name in names] == pytest.approx([0.15] * 4)
    # Where all that is left is a positive, every ranking is the ideal one.
    alone = evaluated(embeddings, cases.rows([range(57), range(57)]), cases.rows([[57, 58, 59]] * 2))
    assert alone[ndcg(TRAINED)] == alone[ndcg(POPULAR)] == pytest.approx(1.0)


def test_of_many_users_without_a_vector_some_are_evaluated_and_learned_from(monkeypatch):
    embeddings, seen, held_out = community(users=60)
    everyone = evaluated_users(seen, held_out, seed=1)
    monkeypatch.setattr(of_cold_users, "MAX_COLD_USERS", 20)
    some = [evaluated_users(seen, held_out, seed=seed).tolist() for seed in (1, 1, 2)]
    assert some[0] == some[1] != some[2]
    assert len(some[0]) == 20 < len(everyone)
    assert {*some[0]} <= {*everyone.tolist()}
    # Who isn't drawn changes nothing.
    found = evaluated(embeddings, seen, held_out, seed=1)
    others = embeddings.user_vectors.copy()
    others[[user for user in range(60) if user not in some[0]]] *= -3
    assert evaluated(Embeddings(embeddings.item_vectors, others), seen, held_out, seed=1) == found
