"""Find the effort that each way of asking needs, for an index that is tuned for the usual way.

A tuned setting reaches the target for the queries that it was tuned with. Others need more effort:
queries of sessions and features lie elsewhere among the items, and a search that leaves out few items
asks for fewer candidates. More effort for all would slow down the usual way, which is the most frequent
one. So the effort grows for these ways only, see WayFacts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from lightfm_retriever.publication.manifest import Depth, IndexFacts, WayFacts
from lightfm_retriever.publication.search_effort import Depths, IndexCosts, Way
from trainer.index.filtered import FilteredQuestions
from trainer.index.measure import Choice, Measurement, Questions

# If no index reaches the target, exact search is used as long as it takes less than this: a hundred
# calls a second on each core.
FELT_MICROSECONDS = 10_000.0
# An index that misses the target must be this much quicker than exact search to be used.
WORTH_MISSING = 3.0

# Efforts for more than ten results, relative to the effort chosen for ten.
_RELATIVE_EFFORTS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
# The sample of a way measures recall to half a percent, so it must find that much more than the target.
_MARGIN = 0.005
# The largest effort of a way, relative to the tuned one.
_MOST_EFFORT = 64.0
_REFINEMENTS = 2


def exact_instead(exact: float, took: float) -> bool:
    """Return whether exact search replaces an index that misses the target; both in microseconds."""
    return exact <= max(FELT_MICROSECONDS, WORTH_MISSING * took)


def with_ways(
    facts: IndexFacts, choice: Choice, asked: Mapping[Way, Callable[[], Questions]]
) -> IndexFacts:
    """Measure the other ways of asking a tuned index, and choose the effort of each.

    Args:
        facts: of the tuned index, with its depths.
        choice: the same index, opened.
        asked: makes the questions of each way.

    Returns:
        The facts with `ways`. A way without a question is left out.
    """
    ways: dict[str, WayFacts] = {}
    target, exact = facts.target_recall or 0.0, facts.trials[0].query_microseconds
    for name, questions in asked.items():
        if choice.built.effort is None:
            took = choice.trial.query_microseconds
            ways[name] = WayFacts(recall_at_10=1.0, query_microseconds=took, effort=1.0, depths=[])
            continue
        made = questions()
        if not len(made):
            # Nothing can be asked in this way, such as when all items cancel each other out.
            continue
        if isinstance(made, FilteredQuestions):
            found = made.ask_filtered(choice.built, choice.effort, Depths(facts.depths), IndexCosts())
            ways[name] = _facts(found, 1.0, [])
        else:
            ways[name] = _way(made, choice, target, exact)
    return replace(facts, ways=ways)


def _way(questions: Questions, choice: Choice, target: float, exact: float) -> WayFacts:
    """Choose the least effort that reaches the target, or exact search if that is no slower."""

    def ask(effort: float) -> Measurement:
        return questions.ask(choice.built, choice.effort, relative=effort)

    if not choice.reaches(target):
        # The index misses it for the usual way, too: more effort finds no more.
        return _facts(ask(1.0), 1.0, [])
    wanted = min(target + _MARGIN, (1 + target) / 2)
    short, effort, found = 0.0, 1.0, ask(1.0)
    while found.recall < wanted and effort < _MOST_EFFORT and found.query_microseconds <= exact:
        short, effort = effort, 2 * effort
        found = ask(effort)
    for _ in range(_REFINEMENTS if short and found.recall >= wanted else 0):
        between = (short * effort) ** 0.5
        less = ask(between)
        if less.recall >= wanted:
            effort, found = between, less
        else:
            short = between
    missed = found.recall < target
    if (missed or found.query_microseconds > exact) and exact_instead(exact, found.query_microseconds):
        return WayFacts(recall_at_10=1.0, query_microseconds=exact, effort=None, depths=[])
    return _facts(found, effort, [] if missed else depths(questions, choice, target, exact, effort))


def _facts(found: Measurement, effort: float, deeper: list[Depth]) -> WayFacts:
    return WayFacts(
        recall_at_10=round(found.recall, 6),
        query_microseconds=round(found.query_microseconds, 1),
        effort=round(effort, 4),
        depths=deeper,
    )


def depths(
    questions: Questions, choice: Choice, target: float, exact: float, tuned: float = 1.0
) -> list[Depth]:
    """Find the efforts for more than ten results, while a query takes less than `exact` µs.

    `tuned` is the effort for ten results. An effort that misses the target is taken if all efforts miss
    it and exact search would take much longer.
    """
    found_for: list[Depth] = []
    if choice.built.effort is None:
        return found_for
    efforts = [round(tuned * more, 4) for more in _RELATIVE_EFFORTS]
    for results in questions.depths:
        took = np.inf
        while True:
            # An effort that was too low for fewer results is too low for more.
            found = questions.ask(choice.built, choice.effort, results, efforts[0])
            took = found.query_microseconds
            if took > exact:
                return found_for
            if found.recall >= target or len(efforts) == 1:
                break
            del efforts[0]
        if found.recall < target and exact_instead(exact, took):
            return found_for
        found_for.append(Depth(results=results, effort=efforts[0], recall=round(found.recall, 6)))
    return found_for
