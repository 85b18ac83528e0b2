"""Checks whether a fleet kept its promises during a campaign."""

from collections.abc import Sequence

from tests.load.callers import Call
from tests.load.campaign import Observations
from tests.load.fleet_campaign import MOVE, POLL_SECONDS
from tests.load.judge import Verdict, answers, no_failures, outcomes, right_answers

# Time to look, fetch, verify and prepare in each worker, on a busy machine.
_MOST_POLLS = 10


def judge(calls: Sequence[Call], seen: Observations) -> list[Verdict]:
    """Return the verdict on each promise. `calls` are all calls of the campaign."""
    return [
        no_failures("no failed call without retries, for any fault of one retriever", calls),
        right_answers(calls, seen),
        _reached(seen),
        _in_time(calls, seen),
        outcomes(
            "a retriever that is cut off still serves, and follows again without a restart; "
            "`status --fleet` reports each fault",
            "looks",
            seen,
        ),
    ]


def _reached(seen: Observations) -> Verdict:
    # The retrievers find the first version at their start.
    polls = [(each.all_serve_at - each.moved_at) / POLL_SECONDS for each in seen.switches[1:]]
    return Verdict(
        f"a label reaches all other retrievers within {_MOST_POLLS} intervals of {POLL_SECONDS} s",
        max(polls) <= _MOST_POLLS,
        f"{len(polls)} moves, {sum(polls) / len(polls):.1f} intervals on average, "
        f"{max(polls):.1f} at the most",
    )


def _in_time(calls: Sequence[Call], seen: Observations) -> Verdict:
    """Judge by the answers to the callers, not by the retrievers' own reports."""
    began, ended = seen.phases[MOVE]
    moves = [each for each in seen.switches if began <= each.moved_at < ended]
    ends = [*(each.moved_at for each in moves[1:]), ended]
    found = [
        answers(calls, move, move.all_serve_at, end) for move, end in zip(moves, ends, strict=True)
    ]
    checked, late = map(sum, zip(*found, strict=True))
    return Verdict(
        "once all report that they serve a version, no other version answers a call",
        not late if checked else None,
        f"{late} of {checked:,} calls between the moves",
    )
