"""Warn of indexes that miss the target, or that a catalogue doesn't need."""

from __future__ import annotations

from collections.abc import Iterator

from lightfm_retriever.publication.manifest import IndexFacts
from trainer.index.tuning import TunedIndex


def warnings_of(name: str, tuned: TunedIndex) -> Iterator[str]:
    """Yield warnings about an index that misses the target or is slower than exact search."""
    facts = tuned.facts
    exact, took = facts.trials[0], facts.query_microseconds
    found = f"{facts.recall_at_10:.4f} by {facts.backend} in {took:.0f} µs"
    if (asked := tuned.instead_of) is not None:
        used = "exact search" if facts.backend == "exact" else facts.backend
        needs = tuned.backend.distribution
        yield (
            f"index {name!r}: {asked.backend} reaches recall@10 {asked.recall_at_10:.4f} at best, "
            f"below the target of {facts.target_recall}, so {used} is used: recall@10 {found}"
            f"{'' if needs is None else f'; retrievers need {needs} for it'}"
        )
    if not tuned.reached:
        yield (
            f"index {name!r} reaches recall@10 {found}, below the target of "
            f"{facts.target_recall}: exact search finds all and takes "
            f"{exact.query_microseconds:.0f} µs (--backend exact)"
        )
    elif took > exact.query_microseconds:
        yield (
            f"index {name!r}: exact search takes {exact.query_microseconds:.0f} µs, "
            f"{facts.backend} {took:.0f} µs: a catalogue of this size needs no index "
            "(--backend auto)"
        )


def way_warnings(name: str, facts: IndexFacts) -> Iterator[str]:
    """Yield a warning about ways of asking that miss the target, if the usual way reaches it."""
    target = facts.target_recall or 0.0
    missed = {way: own.recall_at_10 for way, own in facts.ways.items() if own.recall_at_10 < target}
    if missed and facts.recall_at_10 >= target:
        told = ", ".join(f"{way} {recall:.4f}" for way, recall in missed.items())
        yield f"index {name!r} misses the target recall@10 of {target} for some questions: {told}"
