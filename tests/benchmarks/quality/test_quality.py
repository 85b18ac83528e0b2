"""Compares the independent models, measures and splits with slow, plain code."""

import ast
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.quality import independent, measures, models, rule, sets, study, tuning
from tests.benchmarks.quality.events import LEAST_POSITIVES, Events, read

OURS = {"lightfm_retriever", "trainer", "retriever"}
ALLOWED = {"estimates", "rule", "study"}
GOOD = {
    "als": {"factors": 4, "penalty": (1, 5), "iterations": 15},
    "bpr": {"factors": 4, "learning_rate": 0.1, "regularization": 0.01, "iterations": 100},
}


def made(users, items, *, seed=1, share=0.2):
    random = np.random.default_rng(seed)
    return sp.csr_matrix((random.random((users, items)) < share).astype(np.float32))


@st.composite
def pairs(draw):
    users, items = draw(st.integers(1, 8)), draw(st.integers(1, 12))
    every = st.tuples(st.integers(0, users - 1), st.integers(0, items - 1))
    return draw(st.lists(every, min_size=1, max_size=60))


def events_of(found, *, times=None):
    rows = [(str(u), str(i), 1.0, math.nan) for u, i in found]
    if times is not None:
        rows = [(*row[:3], float(time)) for row, time in zip(rows, times, strict=False)]
    return Events.of(rows, counts=True)


def test_the_independent_modules_import_nothing_of_the_project():
    for path in Path(independent.__file__).parent.glob("*.py"):
        if path.stem in ALLOWED or path.stem.startswith("test_"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & OURS, path.name


@settings(max_examples=60, deadline=None)
@given(pairs(), st.integers(0, 5))
def test_a_random_split_keeps_every_pair_once_and_a_fifth_of_each_user(found, seed):
    events = events_of(found)
    train, test = events.hold_out("random", seed=seed)
    both = sorted(zip([*train.user, *test.user], [*train.item, *test.item], strict=True))
    assert both == sorted(zip(events.user, events.item, strict=True))
    for user in range(len(events.users)):
        all_of, held = (events.user == user).sum(), (test.user == user).sum()
        assert held == (round(all_of * 0.2) if all_of >= LEAST_POSITIVES else 0)


def test_a_temporal_split_tests_the_newest():
    events = events_of([(u, i) for u in range(3) for i in range(5)], times=range(15))
    train, test = events.hold_out("temporal", seed=1)
    assert sorted(test.time) == [12, 13, 14]
    assert max(train.time) == 11


def test_parts_are_read_as_they_were_written(tmp_path):
    rows = [("a", "x", 2.0, 5.0), ("a", "x", 1.0, 3.0), ("b", 'q"y', 1.0, 4.0)]
    Events.of(rows, counts=True).write(tmp_path / "part.csv")
    assert read(tmp_path / "part.csv") == [("a", "x", 3.0, 3.0), ("b", 'q"y', 1.0, 4.0)]
    Events.of(rows, counts=False).write(tmp_path / "part.csv")
    assert [row[2] for row in read(tmp_path / "part.csv")] == [1.0, 1.0]


def test_measures_are_those_of_the_definitions():
    train, test = made(40, 30, seed=2), made(40, 30, seed=3)
    # Nobody has item 4 in the training part.
    train = train.multiply(np.arange(30) != 4).tocsr()
    train.eliminate_zeros()
    scores = np.random.default_rng(4).integers(0, 6, (40, 30)).astype(np.float32)
    found = measures.measure(lambda rows: scores[rows], train, test)
    known = {item for item in range(30) if train[:, item].nnz}
    ndcg, precision, recall = [], [], []
    for user in range(40):
        seen = {*train[user].indices}
        wanted = {*test[user].indices} & known - seen
        if not wanted or not seen:
            continue
        ranked = sorted({*range(30)} - seen, key=lambda item: (-scores[user, item], item))[:10]
        gained = sum(1 / math.log2(place + 2) for place, item in enumerate(ranked) if item in wanted)
        best = sum(1 / math.log2(place + 2) for place in range(min(10, len(wanted))))
        hits = len(wanted & {*ranked})
        ndcg.append(gained / best)
        precision.append(hits / 10)
        recall.append(hits / len(wanted))
    assert found.users == len(ndcg)
    expected = [np.mean(one) for one in (ndcg, precision, recall)]
    assert [found.ndcg, found.precision, found.recall] == pytest.approx(expected)


def test_a_list_is_short_where_few_items_are_left():
    seen = sp.csr_matrix(np.array([[1, 0, 0, 1]], np.float32))
    best = measures.top(np.array([[9, 1, 2, 8]], np.float32), seen)
    assert best[0].tolist() == [2, 1, *[-1] * 8]


@pytest.mark.parametrize(("users", "items"), [(20, 35), (35, 20)])
def test_ease_is_that_of_the_paper(users, items):
    train = made(users, items)
    x = train.toarray().astype(np.float64)
    p = np.linalg.inv(x.T @ x + 7 * np.eye(items))
    weights = -p / np.diag(p)
    np.fill_diagonal(weights, 0)
    scores = models.ease(train, {"l2": 7})(np.arange(users))
    assert scores == pytest.approx(x @ weights, abs=1e-4)


def test_item_knn_sums_the_nearest_cosines():
    train = made(30, 12, share=0.3)
    x = train.toarray()
    lengths = np.linalg.norm(x, axis=0)
    similar = x.T @ x / (np.outer(lengths, lengths) + 2)
    np.fill_diagonal(similar, 0)
    for row in similar:
        row[row < np.sort(row)[-4]] = 0
    found = models.item_knn(train, {"k": 4, "shrink": 2, "weighting": "cosine"})
    assert found(np.arange(30)) == pytest.approx(x @ similar.T, abs=1e-5)


@pytest.mark.parametrize("family", [*tuning.SPACES])
def test_a_model_beats_chance_and_repeats_itself(family):
    if family in ("als", "bpr"):
        pytest.importorskip("implicit")
    # Two groups of users, each with items of its own.
    groups = np.kron(np.eye(2), np.ones((30, 20))).astype(np.float32)
    random = np.random.default_rng(1).random(groups.shape)
    train = sp.csr_matrix(groups * (random < 0.5))
    test = sp.csr_matrix(groups * (random >= 0.5))
    tried = tuning.sampled(family, counts=False, trials=3)
    assert tried == tuning.sampled(family, counts=False, trials=3)
    fits = [models.MODELS[family](train, GOOD.get(family, tried[0])) for _ in "12"]
    first, second = (measures.measure(fit, train, test) for fit in fits)
    assert first == second
    if family == "popular":
        assert first.ndcg < 0.5
    else:
        assert first.ndcg > 0.9


def write(folder, name, content):
    (folder / name).mkdir(parents=True)
    for file, text in content.items():
        (folder / name / file).write_text(text)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("filmtrust", {"ratings.txt": "1 7 2.5\n1 8 3\n2 7 4\n"}, [("1", "8"), ("2", "7")]),
        (
            "hetrec2011-lastfm",
            {"user_artists.dat": "userID\tartistID\tweight\n2\t51\t9\n"},
            [("2", "51")],
        ),
        ("citeulike-a", {"users.dat": "2 5 6\n1 5\n"}, [("0", "5"), ("0", "6"), ("1", "5")]),
        ("yelp", {"Yelp.txt": "1 3 3 4\n"}, [("1", "3"), ("1", "4")]),
        ("book-crossing", {"BX-Book-Ratings.csv": "User-ID,ISBN,Book-Rating\n3,X,0\n"}, [("3", "X")]),
    ],
)
def test_a_set_is_read_and_an_unexpected_file_is_said(tmp_path, name, content, expected):
    write(tmp_path, name, content)
    said = []
    events = sets.BY_NAME[name].events(tmp_path, said.append)
    found = [(events.users[u], events.items[i]) for u, i in zip(events.user, events.item, strict=True)]
    assert sorted(found) == expected
    assert len(said) == len(content)
    assert "isn't the file" in said[0]


def run(module, *arguments):
    """Run a command of this folder."""
    return subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.quality.{module}", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """The output of `independent` for a small set, and the ended process."""
    folder = tmp_path_factory.mktemp("quality")
    random = np.random.default_rng(8)
    liked = [(user, item) for user in range(40) for item in range(30) if (user - item) % 3]
    lines = [f"{user} {item} 4" for user, item in liked if random.random() < 0.6]
    write(folder / "data", "filmtrust", {"ratings.txt": "\n".join(lines)})
    chosen = ["--sets", "yelp", "filmtrust", "--models", "popular", "ease"]
    done = run("independent", "--data", folder / "data", "--output", folder / "out", *chosen)
    assert done.returncode == 0, done.stderr
    return folder / "out", done


def test_a_missing_set_is_said_and_skipped(split):
    folder, done = split
    assert "yelp: skipped" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("| filmtrust | 40 | 30 |")
    assert (folder / "random" / "filmtrust" / "train.csv").is_file()


@pytest.mark.timeout(120)
def test_ours_is_trained_on_the_same_file_and_compared(split):
    folder, _ = split
    done = run("ours", "--splits", folder, "--train", "--epochs 10 --components 8")
    assert done.returncode == 0, done.stderr
    header, _, last = (line.strip("| ").split(" | ") for line in done.stdout.splitlines())
    found = dict(zip(header, last, strict=True))
    assert (found["set"], found["users"], found["als"]) == ("filmtrust", "40", "-")
    best = max(float(found[name].strip("*")) for name in ("popular", "ease"))
    model, own, share, _ = found["default"].replace(",", "").split(maxsplit=3)
    # Users of a group like two thirds of the items: a random list would have about 0.2.
    assert 0.3 < float(own) <= 1
    assert model == "lightfm"
    assert float(share.strip("%")) == pytest.approx(100 * float(own) / best, abs=0.2)
    # Flags that the trainer refuses are said.
    done = run("ours", "--splits", folder, "--again", "--train", "--components 0")
    assert (done.returncode, "components" in done.stderr) == (1, True)


def test_estimates_are_compared_with_the_time_of_a_fit(split):
    folder, _ = split
    done = run("estimates", "--splits", folder)
    assert done.returncode == 0, done.stderr
    header, _, row = (line.strip("| ").split(" | ") for line in done.stdout.splitlines())
    assert (header[1], row[0]) == ("lightfm", "filmtrust")
    assert all(float(cell.split()[0]) > 0 for cell in row[1:])


def test_a_setting_is_measured_after_each_number_of_epochs(split):
    folder, _ = split
    parts = study.Parts.of(folder / "random" / "filmtrust", 1_000_000)
    cut = study.Parts.of(folder / "random" / "filmtrust", parts.learn.nnz // 2)
    assert cut.shape["users"] == pytest.approx(parts.shape["users"] / 2, abs=1)
    rows = study.try_setting(parts, study.FIXED)
    assert [row["epochs"] for row in rows] == [*study.EPOCHS][: len(rows)]
    assert all(0 <= row[name] <= 1 for row in rows for name in ("ndcg", "folded"))
    assert rows[0]["ndcg"] == study.try_setting(parts, study.FIXED)[0]["ndcg"]


def test_the_rule_is_checked_on_the_test_part(split, tmp_path):
    folder, _ = split
    done = run("study", "--check", "--splits", folder, "--output", tmp_path / "found.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())["filmtrust"]
    assert (found["fixed"]["epochs"], found["rule"]["epochs"]) == (20, 60)
    assert found["rule"]["ndcg"] > 0.3


def test_a_rule_is_judged_by_sets_that_it_has_not_seen():
    # Settings "x" and "y", and their quality on three sets; "x" is best on all but the last.
    found = {"a": {"x": 1.0, "y": 0.5}, "b": {"x": 1.0, "y": 0.5}, "c": {"x": 0.1, "y": 1.0}}
    equal = dict.fromkeys(found, 1.0)
    assert [rule.best_for(name, found, equal) for name in "abc"] == ["y", "y", "x"]
    assert rule.best_for("a", found, {**equal, "b": 3.0}) == "x"
    shape = {"users": 10, "items": 20, "interactions": 40}
    assert rule.distance(shape, shape) == 0
    assert rule.distance(shape, {**shape, "items": 200}) > rule.distance(shape, {**shape, "items": 40})
