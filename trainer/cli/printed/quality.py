"""Prints the measures of a version for people: a table, the lists, and the segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lightfm_retriever.hosting import tables
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.facts.evaluation import EvaluationFacts, SegmentFacts
from lightfm_retriever.publication.manifest import Manifest
from trainer.cli.printed import printing
from trainer.evaluation.confidence import share_interval, too_few
from trainer.evaluation.metric_rows import EXACT, MEASURES, NDCG, SERVED, UNSEEN, USERS, table_rows

USUAL = ("user_activity", "cold_users", "item_popularity", "cold_items")
"""The segments of every version. `train` shows only the segments that were asked for."""

_SEGMENT_MEASURES = ("ndcg", "precision", "recall", "hit_rate")


def show(manifest: Manifest) -> None:
    """Print all that was measured on the test; nothing without metrics."""
    index = manifest.indexes.get(layout.RECOMMEND)
    rows = table_rows(manifest.metrics, "its neighbours" if index is None else index.backend)
    if not rows:
        return
    if (facts := manifest.evaluation) is not None:
        print(f"test: {users_of(facts)}")
    titles = dict(MEASURES)
    table = tables.table("at 10", *titles.values(), texts=1)
    sampled = manifest.metrics.get(USERS)
    for row in rows:
        title = row.title
        if sampled is not None and row.pattern in (SERVED, EXACT):
            title += f" ({sampled:,.0f} users)"
        table.add_row(title, *(printing.share(row.values.get(measure)) for measure in titles))
        if facts is not None and row.pattern == UNSEEN:
            least, most = _intervals(row.values, facts)
            table.add_row("  at least, with 95 % confidence", *least)
            table.add_row("  at most", *most)
    for own in [] if facts is None else facts.simple_models:
        table.add_row(f"{own.name}, not tuned", printing.share(own.ndcg_at_10))
    tables.show(table)
    if lists := _lists(manifest.metrics):
        print(lists)
    if facts is not None:
        segments([own for own in facts.segments if own.by not in USUAL])


def users_of(facts: EvaluationFacts) -> str:
    """Say how many users were evaluated."""
    drawn = facts.evaluated_users < facts.users
    users = f"{facts.evaluated_users:,} of {facts.users:,}" if drawn else f"{facts.users:,}"
    return f"{users} users evaluated, {facts.interactions:,} held-out interactions"


def segments(facts: Sequence[SegmentFacts]) -> None:
    """Print segments of the test, without seen items; nothing without any."""
    if not facts:
        return
    titles = dict(MEASURES)
    names = [titles[measure] for measure in _SEGMENT_MEASURES]
    columns = ("segment", "", "users", "NDCG, 95 %", *names, "meaning")
    table = tables.table(*columns, texts=2, also_texts=("meaning",))
    for own in facts:
        name = "ndcg_at_10"
        interval = share_interval(own.metrics[name], own.errors.get(name), own.users)
        doubt = " ?" if too_few(interval, own.users) else ""
        table.add_row(
            own.by,
            own.value,
            f"{own.users:,}{doubt}",
            f"{interval.low:.3f}-{interval.high:.3f}",
            *(printing.share(own.metrics.get(f"{one}_at_10")) for one in _SEGMENT_MEASURES),
            own.rule,
        )
    tables.show(table)


def ndcg_interval(metrics: Mapping[str, float], errors: Mapping[str, float]) -> str:
    """Return the 95 % confidence interval of NDCG@10; "-" if it isn't known."""
    if NDCG not in metrics or NDCG not in errors:
        return "-"
    users = int(metrics.get("evaluated_users", 0))
    interval = share_interval(metrics[NDCG], errors[NDCG], users)
    return f"{interval.low:.3f}-{interval.high:.3f}"


def _intervals(values: Mapping[str, float], facts: EvaluationFacts) -> tuple[list[str], list[str]]:
    """Return the ends of the intervals of a row of the table, "-" for an unknown one."""
    least, most = [], []
    for measure, _ in MEASURES:
        name = UNSEEN.format(measure if measure == "auc" else f"{measure}_at_10")
        error = facts.errors.get(name)
        if measure not in values or error is None:
            least.append("-")
            most.append("-")
            continue
        interval = share_interval(values[measure], error, facts.evaluated_users)
        least.append(printing.share(interval.low))
        most.append(printing.share(interval.high))
    return least, most


def _lists(metrics: Mapping[str, float]) -> str:
    """Describe the lists of ten unseen items; "" if they weren't measured."""
    found = []
    for name, text in (
        ("coverage", "{:.1%} of the items in any list"),
        ("novelty", "novelty {:.2f} bits"),
        ("diversity", "diversity {:.3f}"),
        ("popularity", "{:.1%} of users have a listed item"),
        ("head_share", "{:.1%} of listed items in the most popular 1 %"),
    ):
        value = metrics.get(UNSEEN.format(f"{name}_at_10"))
        if value is not None:
            found.append(text.format(value))
    return f"lists of 10: {', '.join(found)}" if found else ""
