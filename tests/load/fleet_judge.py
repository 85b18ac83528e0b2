"""Whether a fleet kept its promises during a campaign."""

from collections.abc import Sequence

from tests.load.callers import Call
from tests.load.campaign import Observations
from tests.load.fleet_campaign import MOVE, POLL_SECONDS
from tests.load.judge import Verdict, answers, no_failures, outcomes, right_answers

# Looking, fetching, verifying, and preparing in each worker, on a machine that has much to do.
_MOST_POLLS = 10


def judge(calls: Sequence[Call], seen: Observations) -> list[Verdict]:
    """Every promise. `calls` are those of the whole campaign."""
    return [
        no_failures("no failed call, whatever is done to one of them, without retries", calls),
        right_answers(calls, seen),
        _reached(seen),
        _in_time(calls, seen),
        outcomes(
            "who is away serves on and follows again without a restart; "
            "`status --fleet` names all of it",
            "looks",
            seen,
        ),
    ]


def _reached(seen: Observations) -> Verdict:
    # The first one is found at the start.
    polls = [(each.all_serve_at - each.moved_at) / POLL_SECONDS for each in seen.switches[1:]]
    return Verdict(
        f"a label reaches all that aren't away within {_MOST_POLLS} intervals of {POLL_SECONDS} s",
        max(polls) <= _MOST_POLLS,
        f"{len(polls)} moves, {sum(polls) / len(polls):.1f} intervals on average, "
        f"{max(polls):.1f} at the most",
    )


def _in_time(calls: Sequence[Call], seen: Observations) -> Verdict:
    """By what callers see, not by what the retrievers say of themselves."""
    began, ended = seen.phases[MOVE]
    moves = [each for each in seen.switches if began <= each.moved_at < ended]
    ends = [*(each.moved_at for each in moves[1:]), ended]
    found = [
        answers(calls, move, move.all_serve_at, end) for move, end in zip(moves, ends, strict=True)
    ]
    checked, late = map(sum, zip(*found, strict=True))
    return Verdict(
        "once all say that they serve a version, no call is answered from another",
        not late if checked else None,
        f"{late} of {checked:,} calls between the moves",
    )
