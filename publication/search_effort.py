"""How much a search looks at: the setting that was tuned, scaled to what a request asks for.

Trainer and retriever search by the same rule, so that the recall that was measured is the one served.
"""

from __future__ import annotations

TUNED_FOR = 10
"""Number of results that the settings in a manifest were tuned for: recall@10."""

_MOST = 2**31 - 1


def candidates_for(limit: int, candidates: int, excluded: int) -> int:
    """How many candidates to ask an index for.

    Args:
        limit: number of results wanted, >= 1.
        candidates: how many the index was tuned with for TUNED_FOR results. What is above that makes
            up for an index whose own order is approximate.
        excluded: how many of the candidates can't be results.
    """
    return limit + max(0, candidates - TUNED_FOR) + excluded


def scaled(
    tuned: int, *, count: int, candidates: int, per_candidate: float, effort: float, most: float = _MOST
) -> int:
    """The effort of one search: nodes, entries of a queue, or lists to look at.

    Args:
        tuned: what was found to be enough for `candidates` candidates.
        count: candidates that are asked for now.
        candidates: as in `candidates_for`.
        per_candidate: how much more each candidate beyond these takes.
        effort: relative to what was tuned, > 0.
        most: where more makes no difference.

    Returns:
        At least 1 and at most `most`.
    """
    more = per_candidate * max(0, count - max(candidates, TUNED_FOR))
    return int(max(1, min(round(effort * (tuned + more)), most, _MOST)))
