"""The comparison of two revisions: its arithmetic, and that it runs the code that it says it does."""

from __future__ import annotations

import contextlib
import shutil
import sys

import pytest

from tests.benchmarks import revisions
from tests.benchmarks.closed_loop import Round
from tests.benchmarks.revisions import WORKING_TREE, Comparison, Ratio, Revision, RevisionError


def a_round(calls: float) -> Round:
    return Round(
        calls_per_second=calls, cpu_microseconds=1e6 / calls, p50_milliseconds=1.0, p99_milliseconds=2.0
    )


def test_a_ratio_is_of_rounds_that_belong_together_not_of_the_medians():
    # The machine got slower by half from round to round; the head is slower by a tenth in each.
    ratio = Ratio.of([90, 45, 22.5], [100, 50, 25])
    assert ratio == Ratio(pytest.approx(0.9), pytest.approx(0.9), pytest.approx(0.9))
    # Here the medians are equal, 2 and 2, but most rounds of the head took twice as long.
    assert Ratio.of([2, 4, 2], [1, 2, 3]) == Ratio(2, pytest.approx(2 / 3), 2)


def test_the_median_of_an_even_number_of_ratios_lies_between_the_middle_two():
    assert Ratio.of([1, 2, 3, 40], [1, 1, 1, 1]) == Ratio(2.5, 1, 40)


def test_a_ratio_is_printed_with_its_range():
    assert str(Ratio(0.98765, 0.912, 1.049)) == "0.988 (0.91..1.05)"


def test_a_comparison_is_of_the_head_to_the_base():
    made = Comparison(
        "Recommend", 1, base=[a_round(100), a_round(200)], head=[a_round(50), a_round(100)]
    )
    assert made.ratio("calls_per_second") == Ratio(0.5, 0.5, 0.5)
    assert made.ratio("cpu_microseconds") == Ratio(2, 2, 2)
    assert made.ratio("p99_milliseconds") == Ratio(1, 1, 1)


def test_each_round_asks_in_another_order_and_its_figures_stay_with_their_revision(
    monkeypatch, tmp_path
):
    asked = []

    def measure(targets, *, seconds, connections=16, method="Recommend"):
        asked.append((method, connections, *targets))
        return [a_round({"old:1": 100, "new:1": 300}[target]) for target in targets]

    def serving(revision, *_):
        return contextlib.nullcontext({f"{revision.name}:1": [1]})

    monkeypatch.setattr(revisions, "measure", measure)
    monkeypatch.setattr(revisions, "_serving", serving)
    old, new = Revision("old", tmp_path), Revision("new", tmp_path)
    results = revisions.compare(tmp_path / "volume", old, new, 3, 1.0)
    assert [(one.method, one.callers) for one in results] == [
        ("Recommend", 1), ("Recommend", 16), ("SimilarItems", 1), ("SimilarItems", 16),
    ]  # fmt: skip
    for one in results:
        assert one.base == [a_round(100)] * 3
        assert one.head == [a_round(300)] * 3
    there, back = ("old:1", "new:1"), ("new:1", "old:1")
    in_turn = [targets for method, callers, *targets in asked if callers == 1]
    assert [*map(tuple, in_turn)] == [there, back, there] * 2
    alone = [target for method, callers, target in (one for one in asked if one[1] == 16)]
    # The warm-up first.
    assert alone == [*there, *there, *back, *there] * 2


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("name", ["no-such-branch", "", "--all", "HEAD:README.md"])
def test_what_is_no_commit_is_one_line_and_exit_status_1(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["revisions", f"--base={name}"])
    assert revisions.main() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {name!r} isn't a commit of ")
    assert printed.err.count("\n") == 1


def test_without_git_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["revisions", "--base", "HEAD"])
    monkeypatch.setenv("PATH", "/nonexistent")
    assert revisions.main() == 1
    assert capsys.readouterr().err == "error: git isn't installed, so an earlier commit can't be had\n"


def test_a_tree_runs_its_own_code_wherever_it_is_started(monkeypatch, tmp_path):
    for package in ("retriever", "protos/gen/recsys/retriever/v1"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
    stubs = tmp_path / "protos/gen/recsys/retriever/v1/retriever_service_pb2.py"
    stubs.touch()
    monkeypatch.chdir(revisions.ROOT)
    said = Revision("made up", tmp_path).run(revisions._WHERE).splitlines()
    assert said == [str(tmp_path / "retriever/__init__.py"), str(stubs)]


def test_code_that_is_not_of_the_tree_is_refused(monkeypatch):
    elsewhere = "print('/elsewhere/retriever/__init__.py')"
    monkeypatch.setattr(revisions, "_WHERE", elsewhere)
    with pytest.raises(RevisionError, match="doesn't run its own code, but /elsewhere"):
        revisions.check_out(WORKING_TREE, revisions.ROOT)


def test_a_revision_that_fails_says_why_in_its_own_words():
    with pytest.raises(RevisionError, match=r"^ancient can't run here: ValueError: too old$"):
        Revision("ancient", revisions.ROOT).run("raise ValueError('too old')")
