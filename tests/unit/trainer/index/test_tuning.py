from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.manifest import MeasuredSetting
from tests.unit.trainer.index import cases
from tests.unit.trainer.index.cases import SPACES, nothing, uneven, vectors
from trainer.errors import OptionError
from trainer.index import builds, installed, make_backends
from trainer.index.measure import Measurement, Questions
from trainer.index.protocol import BuiltIndex, Effort
from trainer.index.tuning import TuningOptions, tune
from trainer.progress import Silent

COUNT = 40


@dataclass
class Curve:
    """What an index finds and how long that takes, by effort."""

    recall: object
    microseconds: object
    least: int = 1
    most: int = 128
    asked: list = field(default_factory=list)


def linear(*, each=1.0, **options):
    """A hundredth found for each unit of effort, and as much time."""
    return Curve(lambda effort: min(1.0, effort / 100), lambda effort: each * effort, **options)


def constant(recall, microseconds):
    """The same whatever the effort, of which there is only one."""
    return Curve(lambda _: recall, lambda _: microseconds, most=1)


class Fake:
    """A backend whose indexes are curves, by the name of the setting; its files hold that name."""

    distribution = None

    def __init__(self, *rounds, name="fake"):
        self.name = name
        self.curves = {setting: curve for one in rounds for setting, curve in one.items()}
        self.built = []
        self.released = 0
        self.released_before = []
        self._rounds = [[{"setting": setting} for setting in one] for one in rounds]

    def rounds(self, items, space):
        assert (items, space) == (COUNT, "cosine")
        return self._rounds

    def build(self, of, space, path, settings, *, seed, threads, on_items):
        assert (of.shape, space) == ((COUNT, 3), "cosine")
        self.built.append((settings["setting"], seed, threads))
        curve = self.curves[settings["setting"]]
        self.directory_before = sorted(one.read_text() for one in path.parent.iterdir())
        self.released_before.append(self.released)
        path.write_text(f"{self.name} {settings['setting']}")
        on_items(len(of))
        effort = Effort("width", least=curve.least, most=curve.most)
        return BuiltIndex(
            "made up", 5, dict(settings), 10, effort, has_file=True, index=curve, release=self.release
        )

    def release(self):
        self.released += 1


class FakeQuestions:
    """Measures curves; exact search finds all, in a time that is given.

    For `results` instead of ten a curve takes `results / 10` times the effort and the time for the
    same recall.
    """

    def __init__(self, exact=1000.0, depths=()):
        self.exact = exact
        self.depths = depths

    def ask_deep(self, built, effort, results, relative):
        found = self.ask(built, effort * relative * 10 / results)
        return replace(found, query_microseconds=found.query_microseconds * results / 10)

    def ask(self, built, effort):
        if not isinstance(built.index, Curve):
            assert (built.effort, effort) == (None, 0)
            return Measurement(1.0, self.exact, 100)
        built.index.asked.append(effort)
        return Measurement(built.index.recall(effort), built.index.microseconds(effort), 100)

    def ask_bare(self, built, effort):
        found = self.ask(built, effort)
        return Measurement(found.recall / 2, found.query_microseconds / 4, 100)


@pytest.fixture
def run(tmp_path):
    def run(*backends, exact=1000.0, reporter=None, depths=(), **options):
        made = [make_backends("exact")[0] if one == "exact" else one for one in backends]
        return tune(
            made,
            np.ones((COUNT, 3), dtype=np.float32),
            "cosine",
            FakeQuestions(exact, depths),
            tmp_path,
            TuningOptions(**{"seed": 3, "threads": 2, **options}),
            reporter=reporter or Silent(),
            name="similar",
        )

    return run


def left(folder):
    return sorted(path.read_text() for path in folder.iterdir())


# ---- the effort


def test_the_effort_is_doubled_and_then_looked_at_closer_where_the_target_is_crossed(run):
    fake = Fake({"a": linear()})
    tuned = run(fake, target_recall=0.95)
    # The last of these is the bare question.
    assert fake.curves["a"].asked == [1, 2, 4, 8, 16, 32, 64, 128, 91, 108, 99, 99]
    assert tuned.facts.query == {"width": 99, "candidates": 10}
    assert tuned.facts.recall_at_10 == 0.99
    assert tuned.facts.query_microseconds == 99
    assert tuned.reached


@given(
    least=st.integers(1, 100),
    more=st.integers(0, 10_000),
    needed=st.integers(1, 20_000),
    target=st.sampled_from([0.5, 0.9, 0.95, 1.0]),
)
def test_the_effort_is_about_the_least_that_reaches_the_target(
    tmp_path_factory, least, more, needed, target
):
    """Whatever effort that is, and whether or not there is one."""
    most = least + more
    curve = Curve(lambda effort: target if effort >= needed else target / 2, float, least, most)
    tuned = tune(
        [Fake({"a": curve})],
        np.ones((COUNT, 3), dtype=np.float32),
        "cosine",
        # So slow that nothing is given up.
        FakeQuestions(exact=1e9),
        tmp_path_factory.mktemp("tuning"),
        TuningOptions(target_recall=target),
        reporter=Silent(),
        name="similar",
    )
    *asked, bare = curve.asked
    chosen = tuned.facts.query["width"]
    assert chosen == bare
    assert all(least <= effort <= most for effort in asked)
    assert len({*asked}) == len(asked)
    reaching = [effort for effort in asked if curve.recall(effort) >= target]
    assert tuned.reached == bool(reaching) == (curve.recall(most) >= target)
    if not reaching:
        # None was left out, and more effort for nothing isn't chosen.
        assert (max(asked), chosen) == (most, least)
        return
    assert chosen == min(reaching)
    missing = [effort for effort in asked if effort < chosen]
    # Three times the way in between is halved, by ratio.
    assert not missing or max(missing) * 2**0.125 >= chosen - 2 or chosen - max(missing) == 1
    assert missing or chosen == least


def test_of_what_reaches_the_target_the_quickest_is_chosen(run):
    """Which isn't always the least effort."""
    times = {1: 90, 2: 80, 4: 70, 8: 60, 16: 500}
    recalls = {1: 0.5, 2: 0.96, 4: 0.97, 8: 0.98, 16: 1.0}
    tuned = run(Fake({"a": Curve(recalls.get, times.get, most=16)}), target_recall=0.95)
    assert tuned.facts.query["width"] == 8
    assert tuned.facts.recall_at_10 == 0.98


def test_the_curve_goes_on_above_the_target_until_nearly_all_is_found(run):
    fake = Fake({"a": Curve(lambda effort: 1 - 1 / (4 * effort), float, most=10**6)})
    run(fake, target_recall=0.5)
    assert fake.curves["a"].asked[:-1] == [1, 2, 4, 8, 16, 32, 64]
    fake = Fake({"a": Curve(lambda effort: 1 - 1 / (4 * effort), float, most=300)})
    tuned = run(fake, target_recall=1.0)
    # For a target above that to the end.
    assert fake.curves["a"].asked[:-1] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert not tuned.reached


@pytest.mark.parametrize(("exact", "limit"), [(10.0, 1000), (300.0, 1000), (1000.0, 3000)])
def test_what_is_much_slower_than_exact_search_is_given_up(run, exact, limit):
    fake = Fake({"a": Curve(lambda _: 0.5, lambda effort: 100 * effort, most=10**6)})
    tuned = run(fake, exact=exact)
    asked = fake.curves["a"].asked[:-1]
    assert [100 * effort > limit for effort in asked] == [False] * (len(asked) - 1) + [True]
    assert not tuned.reached


def test_an_index_that_finds_enough_with_the_least_effort_is_not_looked_at_closer(run):
    fake = Fake({"a": Curve(lambda _: 1.0, float, least=10)})
    assert run(fake).facts.query["width"] == 10
    assert fake.curves["a"].asked == [10, 10]


# ---- rounds and backends


def test_rounds_end_with_the_one_that_reaches_the_target(run, tmp_path):
    fake = Fake({"a": constant(0.5, 1)}, {"b": constant(0.96, 9)}, {"c": constant(1.0, 2)})
    tuned = run(fake)
    assert fake.built == [("a", 3, 2), ("b", 3, 2)]
    assert tuned.facts.build == {"setting": "b", "seed": 3, "threads": 2}
    assert left(tmp_path) == ["fake b"]
    assert tuned.path.read_text() == "fake b"


def test_all_of_a_round_are_tried(run, tmp_path):
    fake = Fake({"a": constant(1.0, 9), "b": constant(0.96, 2), "c": constant(0.5, 1)}, {"d": linear()})
    tuned = run(fake)
    assert [setting for setting, *_ in fake.built] == ["a", "b", "c"]
    assert tuned.facts.build["setting"] == "b"
    assert left(tmp_path) == ["fake b"]


def test_an_earlier_round_is_kept_when_the_later_ones_find_less(run, tmp_path):
    fake = Fake({"a": constant(0.8, 9)}, {"b": constant(0.9, 9)}, {"c": constant(0.7, 1)})
    tuned = run(fake)
    assert (tuned.reached, tuned.facts.recall_at_10) == (False, 0.9)
    assert tuned.facts.build["setting"] == "b"
    assert left(tmp_path) == ["fake b"]
    assert tuned.path.read_text() == "fake b"


def test_the_files_of_what_was_not_kept_are_gone_before_the_next_round(run):
    """A large catalogue's take room."""
    fake = Fake(
        {"a": constant(0.5, 9), "b": constant(0.6, 9)},
        {"c": constant(0.4, 9)},
        {"d": constant(0.3, 9)},
    )
    run(fake)
    assert fake.directory_before == ["fake b"]


def test_of_several_backends_the_quickest_that_reaches_the_target_is_chosen(run, tmp_path):
    slow = Fake({"a": constant(1.0, 9)}, name="slow")
    quick = Fake({"b": constant(0.96, 2)}, name="quick")
    poor = Fake({"c": constant(0.94, 1)}, {"d": constant(0.949, 1)}, name="poor")
    for backends in ([slow, quick, poor], [poor, quick, slow], [quick, poor, slow]):
        for path in tmp_path.iterdir():
            path.unlink()
        tuned = run(*backends)
        assert tuned.facts.backend == "quick"
        assert left(tmp_path) == ["quick b"]
        # The poor one's second round was tried, although others reached the target.
        assert {trial.backend for trial in tuned.facts.trials} == {"exact", "slow", "quick", "poor"}
        assert len(tuned.facts.trials) == 5


def test_of_several_that_miss_the_target_the_one_that_finds_most_is_chosen(run, tmp_path):
    some, more = Fake({"a": constant(0.5, 1)}, name="some"), Fake({"b": constant(0.6, 99)}, name="more")
    tuned = run(some, more)
    assert (tuned.facts.backend, tuned.facts.recall_at_10, tuned.reached) == ("more", 0.6, False)
    assert left(tmp_path) == ["more b"]


def test_of_what_misses_the_target_the_one_that_finds_most_is_better_however_slow(run):
    """It isn't the quickest way to answers that are wrong."""
    slow, quick = {"a": constant(0.9, 101)}, {"b": constant(0.3, 9)}
    for rounds in ([slow, quick], [quick, slow], [{**slow, **quick}], [{**quick, **slow}]):
        tuned = run(Fake(*rounds), exact=100.0)
        assert (tuned.facts.build["setting"], tuned.reached) == ("a", False)
    # Among those that find as much the quickest.
    for rounds in ([slow, {"c": constant(0.9, 99)}], [{"c": constant(0.9, 99)}, slow]):
        assert run(Fake(*rounds), exact=100.0).facts.build["setting"] == "c"


def test_of_what_reaches_the_target_the_quickest_is_better_though_slower_than_exact_search(run):
    tuned = run(Fake({"a": constant(0.96, 300), "b": constant(0.9, 1)}), exact=100.0)
    assert (tuned.facts.build["setting"], tuned.reached) == ("a", True)


def test_what_was_chosen_is_asked_as_the_retriever_asks(run):
    """For more candidates where there are more results, and where some can be none."""
    asked = []

    class Index(Curve):
        def search(self, query, count, effort, relative=1.0):
            asked.append((query, count, effort * relative))
            return [7]

    curve = Index(lambda effort: min(1.0, effort / 100), float)
    tuned = run(Fake({"a": curve}))
    assert tuned.search("query", limit=10, excluded=0) == [7]
    tuned.search("query", limit=30, excluded=5)
    assert asked == [("query", 10, 99), ("query", 35, 99)]
    assert (tuned.built.index, tuned.effort) == (curve, 99)


# ---- more results than ten


def test_for_more_results_the_least_effort_that_finds_enough_is_told(run):
    tuned = run(Fake({"a": linear()}), depths=(15, 20, 30))
    assert tuned.effort == 99
    assert [(one.results, one.effort) for one in tuned.facts.depths] == [
        (15, 1.5),
        (20, 2.0),
        (30, 3.0),
    ]
    assert [one.recall for one in tuned.facts.depths] == [0.99, 0.99, 0.99]


def test_what_no_effort_finds_enough_of_ends_it(run):
    tuned = run(Fake({"a": linear()}), depths=(15, 500, 1000))
    assert [one.results for one in tuned.facts.depths] == [15]


def test_what_takes_longer_than_exact_search_ends_it(run):
    """For thirty that is three times the 99 that ten take."""
    for exact, depths in ((1000.0, [15, 30]), (290.0, [15]), (140.0, [])):
        tuned = run(Fake({"a": linear()}), exact=exact, depths=(15, 30))
        assert [one.results for one in tuned.facts.depths] == depths


def test_exact_search_and_what_misses_the_target_have_no_depths(run):
    assert run("exact", depths=(30,)).facts.depths == []
    assert run(Fake({"a": constant(0.5, 1)}), depths=(30,)).facts.depths == []


# ---- exact search


def test_exact_search_is_measured_first_whether_or_not_it_may_be_chosen(run):
    for backends in ([Fake({"a": linear()})], ["exact", Fake({"a": linear()})]):
        trials = run(*backends, exact=1234.56).facts.trials
        assert trials[0] == MeasuredSetting(
            backend="exact",
            build={},
            query={"candidates": 0},
            recall_at_10=1.0,
            query_microseconds=1234.6,
        )
        assert [trial.backend for trial in trials[1:]] == ["fake"] * 11


def test_exact_search_is_not_chosen_unless_it_may_be(run):
    tuned = run(Fake({"a": constant(0.5, 5000)}), exact=1.0)
    assert (tuned.facts.backend, tuned.reached) == ("fake", False)


@pytest.mark.parametrize("first", [True, False])
def test_a_catalogue_so_small_that_others_are_slower_is_searched_exactly(run, tmp_path, first):
    others = [Fake({"a": constant(1.0, 20)}, name="slow"), Fake({"b": linear(each=5)}, name="slower")]
    tuned = run(*(["exact", *others] if first else [*others, "exact"]), exact=15.0)
    assert tuned.facts.backend == "exact"
    assert (tuned.path, tuned.facts.file, tuned.reached) == (None, None, True)
    assert (tuned.facts.build, tuned.facts.query) == ({}, {"candidates": 0})
    assert (tuned.facts.metric, tuned.facts.dimensions) == ("cosine", 3)
    assert left(tmp_path) == []
    # Built once, and once only.
    assert [trial.backend for trial in tuned.facts.trials].count("exact") == 1


def test_a_catalogue_so_large_that_others_are_quicker_is_not(run, tmp_path):
    tuned = run("exact", Fake({"a": constant(0.95, 20)}), exact=21.0)
    assert tuned.facts.backend == "fake"
    assert left(tmp_path) == ["fake a"]


def test_exact_search_is_what_remains_when_the_others_miss_the_target(run, tmp_path):
    tuned = run("exact", Fake({"a": constant(0.9, 1)}, {"b": constant(0.94, 2)}), exact=9999.0)
    assert (tuned.facts.backend, tuned.facts.recall_at_10, tuned.reached) == ("exact", 1.0, True)
    assert left(tmp_path) == []


def test_exact_search_alone(run, tmp_path):
    tuned = run("exact")
    assert (tuned.facts.backend, len(tuned.facts.trials), tuned.reached) == ("exact", 1, True)
    assert left(tmp_path) == []


# ---- what stands in where nothing that was asked for finds enough


def poor(recall=0.5, microseconds=100, name="poor"):
    """A backend that was asked for and misses the target."""
    return Fake({"a": constant(recall, microseconds)}, name=name)


def test_quick_exact_search_stands_in_for_what_misses_the_target(run, tmp_path):
    other = Fake({"b": constant(1.0, 1)}, name="other")
    tuned = run(poor(), exact=900.0, stand_ins=[other])
    assert (tuned.facts.backend, tuned.facts.recall_at_10, tuned.reached) == ("exact", 1.0, True)
    # What was tried is told, and nothing else was.
    assert [trial.backend for trial in tuned.facts.trials] == ["exact", "poor"]
    assert tuned.instead_of == tuned.facts.trials[1]
    assert tuned.path is None
    assert left(tmp_path) == []
    assert other.built == []


def test_where_exact_search_takes_longer_other_backends_are_tried_first(run, tmp_path):
    for recall, microseconds, chosen in (
        (0.96, 50, "other"),
        (0.94, 50, "exact"),
        (0.96, 2100, "exact"),
    ):
        for path in tmp_path.iterdir():
            path.unlink()
        other = Fake({"b": constant(recall, microseconds)}, name="other")
        tuned = run(poor(), exact=2000.0, stand_ins=[other])
        assert (tuned.facts.backend, tuned.reached) == (chosen, True)
        assert tuned.instead_of.backend == "poor"
        assert [trial.backend for trial in tuned.facts.trials] == ["exact", "poor", "other"]
        assert left(tmp_path) == (["other b"] if chosen == "other" else [])


def test_exact_search_stands_in_as_long_as_it_is_not_felt(run):
    assert run(poor(), exact=10_000.0, stand_ins=[]).facts.backend == "exact"
    tuned = run(poor(), exact=10_001.0, stand_ins=[])
    assert (tuned.facts.backend, tuned.reached, tuned.instead_of) == ("poor", False, None)


def test_exact_search_that_is_felt_stands_in_for_what_is_not_much_quicker(run):
    assert run(poor(0.9, 10_000), exact=29_999.0, stand_ins=[]).facts.backend == "exact"
    assert run(poor(0.9, 10_000), exact=30_001.0, stand_ins=[]).facts.backend == "poor"


def test_where_nothing_may_stand_in_what_finds_most_is_chosen_whoever_asked_for_it(run, tmp_path):
    more = Fake({"b": constant(0.7, 5)}, name="more")
    tuned = run(poor(), exact=1e6, stand_ins=[more])
    assert (tuned.facts.backend, tuned.reached, tuned.instead_of.backend) == ("more", False, "poor")
    assert left(tmp_path) == ["more b"]
    for path in tmp_path.iterdir():
        path.unlink()
    less = Fake({"b": constant(0.4, 5)}, name="less")
    tuned = run(poor(), exact=1e6, stand_ins=[less])
    assert (tuned.facts.backend, tuned.reached, tuned.instead_of) == ("poor", False, None)
    assert left(tmp_path) == ["poor a"]
    assert tuned.path.read_text() == "poor a"


def test_nothing_stands_in_for_what_finds_enough_or_where_that_is_not_allowed(run):
    other = Fake({"b": constant(1.0, 1)}, name="other")
    tuned = run(poor(0.95), exact=10.0, stand_ins=[other])
    assert (tuned.facts.backend, tuned.instead_of) == ("poor", None)
    tuned = run(poor(), exact=10.0, stand_ins=None)
    assert (tuned.facts.backend, tuned.reached, tuned.instead_of) == ("poor", False, None)
    assert other.built == []


@given(
    asked=st.tuples(st.floats(0, 1), st.floats(1, 1e5)),
    other=st.tuples(st.floats(0, 1), st.floats(1, 1e5)),
    exact=st.floats(1, 1e5),
    target=st.sampled_from([0.5, 0.95, 1.0]),
)
def test_what_is_chosen_finds_enough_wherever_exact_search_would_not_be_felt(
    tmp_path_factory, asked, other, exact, target
):
    tuned = tune(
        [poor(*asked, name="asked")],
        np.ones((COUNT, 3), dtype=np.float32),
        "cosine",
        FakeQuestions(exact),
        tmp_path_factory.mktemp("tuning"),
        TuningOptions(target_recall=target, stand_ins=[poor(*other, name="other")]),
        reporter=Silent(),
        name="similar",
    )
    facts = tuned.facts
    assert tuned.reached == (facts.recall_at_10 >= target)
    assert tuned.reached or exact > 10_000
    if not tuned.reached:
        tried = [trial for trial in facts.trials if trial.backend != "exact"]
        assert facts.recall_at_10 == max(trial.recall_at_10 for trial in tried) < target
    assert (tuned.instead_of is None) == (facts.backend == "asked")


# ---- facts


def test_the_facts_are_those_of_the_chosen_trial(run):
    fake = Fake({"a": linear()}, {"b": linear(each=0.5)})
    tuned = run(fake, "exact", target_recall=0.75)
    facts = tuned.facts
    chosen = [
        trial
        for trial in facts.trials
        if (trial.backend, trial.build, trial.query) == (facts.backend, facts.build, facts.query)
    ]
    assert [(trial.recall_at_10, trial.query_microseconds) for trial in chosen] == [
        (facts.recall_at_10, facts.query_microseconds)
    ]
    assert (facts.metric, facts.dimensions, facts.items, facts.file) == ("made up", 5, COUNT, None)
    assert facts.target_recall == 0.75
    # The bare question is asked of the same index, with the same effort.
    assert facts.bare_recall_at_10 == facts.recall_at_10 / 2
    assert facts.bare_query_microseconds == facts.query_microseconds / 4


def test_the_seconds_are_those_of_building_the_chosen_one(run, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(builds.time, "perf_counter", lambda: now[0])

    class Slow(Fake):
        def build(self, *arguments, **options):
            now[0] += {"a": 5.0, "b": 0.25, "c": 7.0}[arguments[3]["setting"]]
            return super().build(*arguments, **options)

    fake = Slow({"a": constant(0.5, 1)}, {"b": constant(0.97, 1), "c": constant(0.96, 2)})
    assert run(fake).facts.build_seconds == 0.25


def test_every_build_is_reported_with_its_items(run):
    told = []

    class Recorder:
        @contextmanager
        def step(self, name, total):
            parts = []
            yield parts.append
            told.append((name, total, sum(parts)))

    run(Fake({"a": constant(0.5, 1)}, {"b": linear()}), reporter=Recorder())
    assert told == [
        ("Index 'similar', exact, items", COUNT, COUNT),
        ("Index 'similar', fake a, items", COUNT, COUNT),
        ("Index 'similar', fake b, items", COUNT, COUNT),
    ]


def test_a_file_that_cannot_be_written_ends_it(run):
    class Full(Fake):
        def build(self, *_, **__):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run(Full({"a": linear()}))


# ---- options


@pytest.mark.parametrize("recall", [0, -0.1, 1.0001, 1.5, float("nan"), float("inf")])
def test_a_target_out_of_range_is_refused(recall):
    with pytest.raises(
        OptionError, match=r"--target-recall is .*, but should be above 0 and at most 1"
    ):
        TuningOptions(target_recall=recall)


@pytest.mark.parametrize("threads", [0, -1, 1025])
def test_a_number_of_threads_out_of_range_is_refused(threads):
    with pytest.raises(OptionError, match=rf"--index-threads is {threads}, but should be in 1\.\.1024"):
        TuningOptions(threads=threads)


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(OptionError, match=rf"--seed is {seed}, but should be in 0\.\.2\^31-1"):
        TuningOptions(seed=seed)


def test_what_is_in_range_is_taken():
    for recall in (1e-9, 1.0):
        for threads in (1, 1024):
            for seed in (0, 2**31 - 1):
                TuningOptions(target_recall=recall, threads=threads, seed=seed)


def test_all_processors_that_this_process_may_use_build_by_default():
    assert TuningOptions().threads == len(os.sched_getaffinity(0))


# ---- real indexes


def test_vectors_like_those_of_als_that_annoy_finds_nothing_of_are_searched_exactly(tmp_path):
    """Popular items are long, so that all others look alike once lengths are made equal."""
    of, queries = uneven(12_000, 32, sigma=1.5), vectors(100, 32, seed=2)
    questions = Questions(of, queries, "inner_product", excluded=nothing(100), seed=1)

    def tuned(stand_ins):
        folder = tmp_path / ("alone" if stand_ins is None else "not alone")
        folder.mkdir()
        options = TuningOptions(threads=1, seed=1, stand_ins=stand_ins)
        # The first round alone: to find enough it takes many times longer than a search is given.
        backends = make_backends("annoy", trees=10)
        return tune(
            backends, of, "inner_product", questions, folder, options, reporter=Silent(), name="x"
        )

    alone, helped = tuned(None), tuned([])
    assert not alone.reached
    # Its quickest setting finds next to nothing, and was what got published.
    assert alone.facts.trials[1].recall_at_10 < 0.5
    assert alone.facts.recall_at_10 == max(trial.recall_at_10 for trial in alone.facts.trials[1:])
    assert (helped.facts.backend, helped.facts.recall_at_10, helped.reached) == ("exact", 1.0, True)
    assert helped.instead_of.backend == "annoy"
    assert list((tmp_path / "not alone").iterdir()) == []


class Spy:
    """Remembers what a backend built."""

    def __init__(self, backend):
        self._backend = backend
        self.built = []

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def build(self, *arguments, **options):
        self.built.append(self._backend.build(*arguments, **options))
        return self.built[-1]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", [backend.name for backend in installed()])
def test_uneven_norms_are_either_found_or_said_not_to_be(tmp_path, name, space):
    """Log-normal norms: a few items are near to nearly everyone."""
    of, queries = uneven(2000), vectors(60, seed=2)
    spy = Spy(make_backends(name)[0])
    questions = Questions(of, queries, space, excluded=nothing(len(queries)), seed=1)
    options = TuningOptions(target_recall=0.95, threads=1)
    tuned = tune([spy], of, space, questions, tmp_path, options, reporter=Silent(), name="x")
    facts = tuned.facts
    assert tuned.reached == (facts.recall_at_10 >= 0.95)
    assert tuned.reached or all(trial.recall_at_10 < 0.95 for trial in facts.trials[1:])
    if name == "exact":
        assert (facts.recall_at_10, facts.trials) == (1.0, facts.trials[:1])
        return
    # What is said was found is found, by brute force in float64.
    [built] = [one for one in spy.built if one.build.items() <= facts.build.items()]
    effort = facts.query[built.effort.name]
    assert facts.recall_at_10 == pytest.approx(
        cases.recall(built, of, queries, space, effort), abs=1e-3
    )
    assert [path.name for path in tmp_path.iterdir()] == [tuned.path.name]


def test_codes_of_eight_bits_that_miss_are_followed_by_sixteen(tmp_path, monkeypatch):
    """Here they may not make up for what they lose by more candidates."""
    pytest.importorskip("faiss")
    monkeypatch.setattr("trainer.index.faiss._CANDIDATES", {"SQ8": 10, "SQfp16": 15})
    of, queries = uneven(2000), vectors(100, seed=2)
    questions = Questions(of, queries, "inner_product", excluded=nothing(100), seed=1)

    def chosen(target):
        for path in tmp_path.iterdir():
            path.unlink()
        options = TuningOptions(target_recall=target, threads=1)
        backends = make_backends("faiss")
        return tune(
            backends, of, "inner_product", questions, tmp_path, options, reporter=Silent(), name="x"
        )

    low, high = chosen(0.9), chosen(0.999)
    assert (low.facts.build["codes"], high.facts.build["codes"]) == ("SQ8", "SQfp16")
    assert (low.reached, high.reached) == (True, True)
    assert {trial.build.get("codes") for trial in low.facts.trials} == {None, "SQ8"}
    assert {trial.build.get("codes") for trial in high.facts.trials} == {None, "SQ8", "SQfp16"}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("items", [1, 2, 3, 12])
def test_the_smallest_catalogues_are_tuned_too(tmp_path, space, items):
    of = vectors(items)
    for backend in installed():
        folder = tmp_path / backend.name
        folder.mkdir()
        questions = Questions(of, of, space, excluded=cases.own(items), seed=1)
        tuned = tune(
            [backend], of, space, questions, folder, TuningOptions(), reporter=Silent(), name="x"
        )
        # Of so few neighbours one that is missed is more than a target allows for.
        assert (tuned.reached, tuned.facts.recall_at_10 >= (1.0 if items < 12 else 0.95)) == (
            True,
            True,
        )
        assert tuned.facts.items == items


def test_an_index_gives_its_memory_back_before_the_next_one_is_built(run):
    short = constant(0.5, 5.0)
    fake = Fake({"a": short, "b": short}, {"c": short})
    run(fake, target_recall=1.0)
    assert fake.released_before == [0, 1, 2]
