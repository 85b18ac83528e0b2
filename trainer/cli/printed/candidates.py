"""Print the candidates that a model was chosen among."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lightfm_retriever.hosting import tables
from lightfm_retriever.publication.manifest import TrialFacts
from trainer.cli.printed import printing

_SHOWN = 10


def print_candidates(candidates: Sequence[TrialFacts]) -> None:
    """Print the best candidates, each family's best, and why others weren't tried."""
    done = [one for one in candidates if one.ndcg_at_10 is not None]
    if not done:
        return
    if len(candidates) == 1:
        _print_users(done[0])
        return
    ranked = sorted(done, key=lambda one: -(one.ndcg_at_10 or 0.0))
    chosen = ranked[0]
    how = f"the best of {len(done)} candidates by NDCG@10" if len(done) > 1 else "measured"
    print(f"model: {chosen.model}, {how} on the validation interactions")
    firsts = {one.model: one for one in reversed(ranked)}
    shown = [one for place, one in enumerate(ranked) if place < _SHOWN or firsts[one.model] is one]
    rows = tables.table("model", "settings", "users by", "NDCG@10", "of the best", "s", texts=3)
    best = chosen.ndcg_at_10 or 1.0
    for one in shown:
        value = one.ndcg_at_10 or 0.0
        settings = " ".join(f"{name}={_short(own)}" for name, own in one.settings.items())
        rows.add_row(
            one.model,
            settings,
            _users(one),
            printing.share(value),
            f"{value / best:.0%}",
            f"{one.seconds:.1f}",
        )
    tables.show(rows)
    if left := len(done) - len(shown):
        print(f"{left} more candidates are in the manifest")
    for told, count in Counter(_reason(one) for one in candidates if one.ndcg_at_10 is None).items():
        print(f"{count} {told}")


def _print_users(one: TrialFacts) -> None:
    """Print how a model that nobody chose represents users, and why."""
    told = (("trained vectors", one.trained_ndcg_at_10), ("fold-in", one.folded_ndcg_at_10))
    values = ", ".join(f"{name} {value:.4f}" for name, value in told if value is not None)
    chosen = "fold-in of their items" if one.folded_in else "their trained vectors"
    print(f"model: {one.model}; users by {chosen} (NDCG@10 on the validation interactions: {values})")


def _reason(one: TrialFacts) -> str:
    return f"{one.state} of {one.model}: {one.reason}"


def _users(one: TrialFacts) -> str:
    """Say how the model represents a user."""
    if one.trained_ndcg_at_10 is None:
        return "seen items"
    return "fold-in" if one.folded_in else "own vectors"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
