from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from trainer.index import make_backends, measure
from trainer.index.measure import Measurement
from trainer.index.protocol import BuiltIndex, Effort
from trainer.index.tuning import TuningOptions, tune
from trainer.progress import Silent

COUNT, SILENT = 40, Silent()


@dataclass
class Curve:
    """What an index finds and how long that takes, by effort; it notes how it was searched."""

    recall: object
    microseconds: object
    least: int = 1
    most: int = 128
    asked: list = field(default_factory=list)

    def search(self, query, count, effort, relative=1.0):
        return query, count, effort * relative


def linear(*, each=1.0):
    """A hundredth found for each unit of effort, and as much time."""
    return Curve(lambda effort: min(1.0, effort / 100), lambda effort: each * effort)


def slow():
    return Curve(lambda _: 0.5, lambda effort: 100 * effort, most=10**6)


def nearly(most):
    return Curve(lambda effort: 1 - 1 / (4 * effort), float, most=most)


def constant(recall, microseconds):
    return Curve(lambda _: recall, lambda _: microseconds, most=1)


class Fake:
    """A backend whose indexes are curves, by the name of the setting; its files hold that name."""

    distribution = None

    def __init__(self, *rounds, name="fake"):
        self.name = name
        self.curves = {setting: curve for one in rounds for setting, curve in one.items()}
        self.built, self.released, self.released_before = [], [], []
        self._rounds = [[{"setting": setting} for setting in one] for one in rounds]

    def rounds(self, items, space):
        assert (items, space) == (COUNT, "cosine")
        return self._rounds

    def build(self, task):
        assert (task.vectors.shape, task.space) == ((COUNT, 3), "cosine")
        setting = task.settings["setting"]
        self.built.append((setting, task.seed, task.threads))
        curve = self.curves[setting]
        self.directory_before = files_in(task.path.parent)
        self.released_before.append(len(self.released))
        task.path.write_text(f"{self.name} {setting}")
        task.on_items(COUNT)
        effort = Effort("width", least=curve.least, most=curve.most)
        build, release = dict(task.settings), lambda: self.released.append(setting)
        return BuiltIndex("made up", 5, build, 10, effort, True, curve, release)


class FakeQuestions:
    """Measures curves; exact search finds all, in a time that is given.

    For `results` instead of ten a curve takes `results / 10` times the effort and the time for the
    same recall.
    """

    vectors, space = np.ones((COUNT, 3), dtype=np.float32), "cosine"

    def __init__(self, exact=1000.0, depths=()):
        self.exact, self.depths = exact, depths

    def ask(self, built, effort, results=10, relative=1.0):
        index, effort = built.index, effort * relative * 10 / results
        if not isinstance(index, Curve):
            assert (built.effort, effort) == (None, 0)
            return Measurement(1.0, self.exact)
        index.asked.append(effort)
        # Without more candidates less is found.
        bare = 1 if built.candidates else 2
        return Measurement(
            index.recall(effort) / bare, index.microseconds(effort) * results / 10 / bare
        )


def files_in(folder):
    return sorted(path.read_text() for path in folder.iterdir())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    def run(*backends, exact=1000.0, reporter=SILENT, depths=(), **options):
        folder = tmp_path_factory.mktemp("tuning")
        run.left = lambda: files_in(folder)
        made = [make_backends("exact")[0] if one == "exact" else one for one in backends]
        options = TuningOptions(**{"seed": 3, "threads": 2, **options})
        asked = FakeQuestions(exact, depths)
        return tune(made, asked, folder, options, reporter=reporter, name="similar")

    return run


@pytest.mark.parametrize(
    ("curve", "options", "asked"),
    [
        # It is doubled, and then looked at closer where the target is crossed.
        (linear(), {"target_recall": 0.95}, [1, 2, 4, 8, 16, 32, 64, 128, 91, 108, 99]),
        # Above the target the curve goes on until nearly all is found, and for a higher one to the end.
        (nearly(10**6), {"target_recall": 0.5}, [1, 2, 4, 8, 16, 32, 64]),
        (nearly(300), {"target_recall": 1.0}, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]),
        # What finds enough with the least effort isn't looked at closer, nor what has nothing between.
        (Curve(lambda _: 1.0, float, least=10), {}, [10]),
        (Curve(lambda effort: min(1.0, effort / 2), float), {}, [1, 2]),
        # What is much slower than exact search is given up, but not before it takes a millisecond.
        (slow(), {"exact": 10.0}, [1, 2, 4, 8, 16]),
        (slow(), {"exact": 300.0}, [1, 2, 4, 8, 16]),
        (slow(), {"exact": 1000.0}, [1, 2, 4, 8, 16, 32]),
    ],
)
def test_the_curve_ends_where_more_effort_is_of_no_use(run, curve, options, asked):
    tuned = run(Fake({"a": curve}), **options)
    assert curve.asked[:-1] == asked
    assert tuned.reached == (max(map(curve.recall, asked)) >= tuned.facts.target_recall)


@pytest.mark.parametrize(
    ("rounds", "built", "chosen"),
    [
        # They end with the one that reaches the target, of which all are tried.
        ([{"a": (0.5, 1)}, {"b": (0.96, 9)}, {"c": (1.0, 2)}], "ab", "b"),
        ([{"a": (1.0, 9), "b": (0.96, 2), "c": (0.5, 1)}, {"d": (1.0, 1)}], "abc", "b"),
        # Of what misses the target the one that finds most is better, however slow and early.
        ([{"a": (0.8, 9)}, {"b": (0.9, 101)}, {"c": (0.7, 1)}], "abc", "b"),
        ([{"b": (0.3, 9), "a": (0.9, 101)}], "ba", "a"),
        # Among those that find as much the quickest.
        ([{"a": (0.9, 101)}, {"c": (0.9, 99)}], "ac", "c"),
        ([{"c": (0.9, 99)}, {"a": (0.9, 101)}], "ca", "c"),
        # Of what reaches the target the quickest is better, though slower than exact search.
        ([{"a": (0.96, 300), "b": (0.9, 1)}], "ab", "a"),
    ],
)
def test_rounds_go_on_until_one_finds_enough_and_the_best_of_them_is_kept(run, rounds, built, chosen):
    settings = [{name: constant(*of) for name, of in one.items()} for one in rounds]
    of = {name: recall for one in rounds for name, (recall, _) in one.items()}
    fake = Fake(*settings)
    tuned = run(fake, exact=100.0)
    assert fake.built == [(name, 3, 2) for name in built]
    assert tuned.facts.build == {"setting": chosen, "seed": 3, "threads": 2}
    assert (tuned.reached, tuned.facts.recall_at_10) == (of[chosen] >= 0.95, of[chosen])
    assert run.left() == [f"fake {chosen}"] == [tuned.path.read_text()]


def test_what_was_not_kept_is_gone_before_the_next_round_and_memory_before_the_next_build(run):
    first = {"a": constant(0.5, 9), "b": constant(0.6, 9)}
    fake = Fake(first, {"c": constant(0.4, 9)}, {"d": linear()})
    run(fake, target_recall=1.0)
    assert fake.directory_before == ["fake b"]
    assert fake.released_before == [0, 1, 2, 3]


def test_of_several_backends_the_quickest_that_reaches_the_target_is_chosen(run):
    slow = Fake({"a": constant(1.0, 9)}, name="slow")
    quick = Fake({"b": constant(0.96, 2)}, name="quick")
    poor = Fake({"c": constant(0.94, 1)}, {"d": constant(0.949, 1)}, name="poor")
    for backends in ([slow, quick, poor], [poor, quick, slow]):
        tuned = run(*backends)
        assert (tuned.facts.backend, run.left()) == ("quick", ["quick b"])
        # The poor one's second round was tried, although others reached the target.
        tried = sorted(trial.backend for trial in tuned.facts.trials)
        assert tried == ["exact", "poor", "poor", "quick", "slow"]
    # What was chosen is asked as the retriever asks.
    tuned = run(Fake({"a": linear()}))
    assert tuned.search("query", limit=10, excluded=0) == ("query", 10, 99)
    assert tuned.search("query", limit=30, excluded=5) == ("query", 35, 99)


@pytest.mark.parametrize(
    ("backend", "exact", "asked", "told"),
    [
        # The least effort that finds enough.
        (Fake({"a": linear()}), 1000.0, (15, 20, 30), [(15, 1.5), (20, 2.0), (30, 3.0)]),
        # What no effort finds enough of ends it.
        (Fake({"a": linear()}), 1000.0, (15, 500, 1000), [(15, 1.5)]),
        # So does what takes longer than exact search: for thirty three times the 99 that ten take.
        (Fake({"a": linear()}), 290.0, (15, 30), [(15, 1.5)]),
        (Fake({"a": linear()}), 140.0, (15, 30), []),
        ("exact", 1000.0, (30,), []),
        (Fake({"a": constant(0.5, 1)}), 1000.0, (30,), []),
    ],
)
def test_for_more_results_than_ten_more_effort_is_told(run, backend, exact, asked, told):
    depths = run(backend, exact=exact, depths=asked).facts.depths
    assert [(one.results, one.effort, one.recall) for one in depths] == [(*one, 0.99) for one in told]


@pytest.mark.parametrize(
    ("asked", "exact", "other", "chosen", "tried"),
    [
        # A catalogue so small that others are slower, or so large that they are quicker.
        ([(1.0, 20), "exact"], 15.0, None, "exact", "asked"),
        (["exact", (1.0, 20)], 15.0, None, "exact", "asked"),
        (["exact", (0.95, 20)], 21.0, None, "asked", "asked"),
        # It is what remains when the others miss the target, unless it wasn't asked for.
        (["exact", (0.94, 1)], 9999.0, None, "exact", "asked"),
        ([(0.5, 5000)], 1.0, None, "asked", "asked"),
        (["exact"], 1.0, None, "exact", ""),
        # Exact search that is quick stands in; nothing else is tried then.
        ([(0.5, 100)], 1000.0, (1.0, 1), "exact", "asked"),
        # Where it takes longer, the others are tried first.
        ([(0.5, 100)], 2000.0, (0.96, 50), "other", "asked other"),
        ([(0.5, 100)], 2000.0, (0.94, 50), "exact", "asked other"),
        ([(0.5, 100)], 2000.0, (0.96, 2100), "exact", "asked other"),
        # As long as it isn't felt.
        ([(0.5, 100)], 10_000.0, (), "exact", "asked"),
        ([(0.5, 100)], 10_001.0, (), "asked", "asked"),
        # One that is felt stands in for what isn't much quicker.
        ([(0.9, 10_000)], 29_999.0, (), "exact", "asked"),
        ([(0.9, 10_000)], 30_001.0, (), "asked", "asked"),
        # Where nothing may stand in, what finds most is chosen, whoever asked for it.
        ([(0.5, 100)], 1e6, (0.7, 5), "other", "asked other"),
        ([(0.5, 100)], 1e6, (0.4, 5), "asked", "asked other"),
        # Nothing stands in for what finds enough.
        ([(0.95, 100)], 10.0, (1.0, 1), "asked", "asked"),
    ],
)
def test_right_answers_come_before_quick_ones(run, asked, exact, other, chosen, tried):
    """What may stand in is `other`: None where that isn't allowed."""
    made = [one if one == "exact" else Fake({"a": constant(*one)}, name="asked") for one in asked]
    others = [Fake({"b": constant(*other)}, name="other")] if other else []
    tuned = run(*made, exact=exact, stand_ins=None if other is None else others)
    facts = tuned.facts
    assert (facts.backend, tuned.reached) == (chosen, facts.recall_at_10 >= 0.95)
    # Exact search is built once and measured first. What was tried is told, and nothing else was.
    assert [trial.backend for trial in facts.trials] == ["exact", *tried.split()]
    assert (facts.trials[0].recall_at_10, facts.trials[0].query_microseconds) == (1.0, exact)
    asked_for = chosen == "asked" or "exact" in asked
    assert tuned.instead_of == (None if asked_for else facts.trials[1])
    left = {"exact": [], "asked": ["asked a"], "other": ["other b"]}[chosen]
    assert run.left() == left == ([] if tuned.path is None else [tuned.path.read_text()])
    if chosen == "exact":
        assert (facts.build, facts.query, facts.metric) == ({}, {"candidates": 0}, "cosine")
        assert (facts.recall_at_10, facts.dimensions) == (1.0, 3)


def test_the_facts_are_those_of_the_chosen_trial(run):
    fake = Fake({"a": linear()}, {"b": linear(each=0.5)})
    facts = run(fake, "exact", exact=1234.56, target_recall=0.75).facts
    assert facts.trials[0].query_microseconds == 1234.6
    assert any(vars(trial).items() <= vars(facts).items() for trial in facts.trials)
    assert (facts.metric, facts.dimensions, facts.items, facts.file) == ("made up", 5, COUNT, None)
    assert facts.target_recall == 0.75
    # The bare question is asked of the same index, with the same effort.
    bare = (facts.bare_recall_at_10, facts.bare_query_microseconds)
    assert bare == (facts.recall_at_10 / 2, facts.query_microseconds / 2)


def test_each_build_is_reported_and_the_seconds_are_those_of_the_chosen_one(run, monkeypatch):
    now, told = [100.0], []
    monkeypatch.setattr(measure.time, "perf_counter", lambda: now[0])

    class Slow(Fake):
        def build(self, task):
            now[0] += {"a": 5.0, "b": 0.25}[task.settings["setting"]]
            return super().build(task)

    @contextmanager
    def step(name, total):
        parts = []
        yield parts.append
        told.append((name, total, sum(parts)))

    fake = Slow({"a": constant(0.5, 1)}, {"b": constant(0.97, 1)})
    assert run(fake, reporter=SimpleNamespace(step=step)).facts.build_seconds == 0.25
    assert told == [
        (f"Index 'similar', {name}, items", COUNT, COUNT) for name in ("exact", "fake a", "fake b")
    ]
