"""Prints the results of the commands: for people, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lightfm_retriever.hosting import tables
from lightfm_retriever.hosting.terminal import print_json
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.manifest import Manifest
from trainer.cli import printing
from trainer.evaluation.metric_rows import USERS, MetricRow, cold_rows, served_rows
from trainer.promotion.checks import Checked
from trainer.timings import in_order
from trainer.versions.catalogue import VersionRow
from trainer.versions.diff import VersionDiff

_METRICS = (("precision@10", "precision_at_10"), ("AUC", "auc"))
_PARTS = (
    ("train, all items", "train_{}"),
    ("test, all items", "test_{}"),
    ("test, seen items excluded", "test_{}_unseen"),
)
# Values that differ little between two publications.
_UNSHOWN = {"seed", "threads", "candidates"}


def published(result: Checked, *, as_json: bool) -> None:
    """Print the result of `train` and `publish`."""
    manifest = result.manifest
    if as_json:
        print_json(
            {
                "version": manifest.version,
                "label": result.label,
                "items": manifest.items,
                "users": manifest.users,
                "dataset": asdict(manifest.dataset),
                "hyperparameters": manifest.hyperparameters,
                "metrics": manifest.metrics,
                "indexes": {name: asdict(index) for name, index in manifest.indexes.items()},
                "model": None if manifest.model is None else asdict(manifest.model),
                "attributes": [asdict(attribute) for attribute in manifest.attributes],
                "seconds": in_order(result.seconds),
                "warnings": result.warnings,
                "gates": [asdict(gate) for gate in result.gates],
            }
        )
        return
    printing.print_warnings(result.warnings)
    facts = manifest.dataset
    print(
        f"{facts.name}: {manifest.users:,} users, {manifest.items:,} items, "
        f"{facts.train_interactions:,} training and {facts.test_interactions:,} test interactions "
        f"(split {facts.split})"
    )
    _print_metrics(manifest)
    users = f"{manifest.metrics.get(USERS, 0):,.0f} users, seen items excluded"
    if index := manifest.indexes.get(layout.RECOMMEND):
        served = served_rows(manifest.metrics, index.backend)
        _print_shares(users, "of exact search", served)
    _print_shares("the same users, seen items excluded", "of their own", cold_rows(manifest.metrics))
    _print_indexes(manifest)
    if manifest.attributes:
        print(f"attributes: {_attributes([asdict(own) for own in manifest.attributes])}")
    printing.print_gates(result.gates)
    printing.print_seconds(result.seconds)
    print(
        f"published {manifest.version}"
        + (f", label {result.label!r} names it" if result.label else ", no label moved")
    )


def version(content: dict[str, Any], labels: Sequence[str], *, as_json: bool) -> None:
    """Print the manifest of one version."""
    if as_json:
        print_json({**content, "labels": list(labels)})
        return
    print(f"{content['version']}" + (f", named by {', '.join(labels)}" if labels else ""))
    facts = content["dataset"]
    print(
        f"from {facts['name']} (split {facts['split']}), run {content['run']['id']}: "
        f"{content['users']:,} users, {content['items']:,} items, "
        + (f"{content['components']} components" if content["components"] else "no vectors")
    )
    if model := content.get("model"):
        print(f"model: {model['family']}, of {model['kind']}")
    for title, values in (
        ("hyperparameters", content["hyperparameters"]),
        ("metrics", content["metrics"]),
        ("libraries", content["libraries"]),
    ):
        print(f"{title}: {printing.pairs(values)}")
    for name, index in content["indexes"].items():
        settings = {**index["build"], **index["query"]}
        print(
            f"index {name!r}: {index['backend']}, recall@10 {index['recall_at_10']:.4f} in "
            f"{printing.number(index['query_microseconds'], 0)} µs, " + _settings(settings)
        )
    if attributes := content.get("attributes"):
        print(f"attributes: {_attributes(attributes)}")
    size = sum(file["size"] for file in content["files"].values())
    print(f"{len(content['files'])} files, {size / 1e6:,.1f} MB")


def diff(found: VersionDiff, *, as_json: bool) -> None:
    """Print the result of `diff`."""
    if as_json:
        print_json(asdict(found))
        return
    if overlap := found.overlap:
        print(
            f"of ten recommended items {overlap.mean:.2f} are the same (mean of {overlap.users} users; "
            f"median {overlap.median:.1f}, least {overlap.min})"
        )
    else:
        print("no user of both gets any recommendation: there is nothing to compare")
    for kind, ids in (("items", found.items), ("users", found.users)):
        for what, count, names in (("new", ids.new, ids.new_ids), ("lost", ids.lost, ids.lost_ids)):
            if count:
                print(f"{count} {what} {kind}: {', '.join(names[:5])}{', ...' if count > 5 else ''}")
    content = asdict(found)
    rows = tables.table("", "before", "after", texts=1)
    for group in ("metrics", "model", "hyperparameters", "indexes", "attributes"):
        for change in content[group]:
            title = {"attributes": "attribute ", "model": "model "}.get(group, "")
            name = f"{title}{change['name']}"
            rows.add_row(name, printing.text(change["before"]), printing.text(change["after"]))
    tables.show(rows)


def versions(rows: Sequence[VersionRow], *, as_json: bool) -> None:
    """Print the versions, newest first."""
    if as_json:
        print_json([row.content() for row in rows])
        return
    if not rows:
        print("nothing is published on this volume")
        return
    shown = tables.table(
        "version", "labels", "items", "users", "test p@10", "unseen", "AUC", "recall@10", texts=2
    )
    for row in rows:
        labels = " ".join(row.labels)
        if row.problem:
            shown.add_row(row.name, labels, "broken")
            continue
        shown.add_row(
            row.name,
            labels,
            f"{row.items:,}",
            f"{row.users:,}",
            printing.share(row.metrics.get("test_precision_at_10")),
            printing.share(row.metrics.get("test_precision_at_10_unseen")),
            printing.share(row.metrics.get("test_auc")),
            "no index"
            if row.model_kind == "neighbours"
            else printing.share(row.recall_at_10.get(layout.RECOMMEND)),
        )
    tables.show(shown)
    # A problem names a path and two checksums, which are too long for a column.
    for row in rows:
        if row.problem:
            print(f"{row.name}: {row.problem}")


def label_moved(label: str, previous: str | None, version: str, *, as_json: bool) -> None:
    """Print the result of `promote` and `rollback`."""
    text = f"label {label!r} names {version} (before: {previous or 'none'})"
    content = {"label": label, "previous": previous, "version": version}
    show(content, text, as_json=as_json)


def verified(rows: Sequence[tuple[str, str | None]], *, as_json: bool) -> None:
    """Print the result of `verify`."""
    told = [f"{version}: {problem or 'every byte is as published'}" for version, problem in rows]
    content = [{"version": version, "problem": problem} for version, problem in rows]
    show(content, "\n".join(told) or "nothing is published on this volume", as_json=as_json)


def show(content: object, text: str, *, as_json: bool) -> None:
    """Print a result as one line, or as JSON."""
    if as_json:
        print_json(content)
    else:
        print(text)


def _print_metrics(manifest: Manifest) -> None:
    rows = tables.table("", *(title for title, _ in _METRICS), texts=1)
    for title, part in _PARTS:
        values = [manifest.metrics.get(part.format(name)) for _, name in _METRICS]
        if any(value is not None for value in values):
            rows.add_row(title, *(printing.share(value) for value in values))
    if rows.row_count:
        tables.show(rows)


def _print_shares(users: str, of_what: str, rows: Sequence[MetricRow]) -> None:
    if not rows:
        return
    table = tables.table(users, "precision@10", of_what, texts=1)
    for row in rows:
        table.add_row(
            row.title, printing.share(row.precision), "-" if row.ratio is None else f"{row.ratio:.0%}"
        )
    tables.show(table)


def _print_indexes(manifest: Manifest) -> None:
    if manifest.kind == "neighbours":
        size = sum(manifest.files[name].size for name in layout.REQUIRED_FILES["neighbours"])
        print(f"no index: the item-item model {manifest.family} answers exactly ({size / 1e6:.1f} MB)")
        return
    rows = tables.table(
        "index", "backend", "settings", "recall@10", "µs a query", "exact, µs", "file, MB", texts=3
    )
    for name, index in manifest.indexes.items():
        settings = {**index.build, **index.query}
        shown = {key: value for key, value in settings.items() if key not in _UNSHOWN}
        rows.add_row(
            name,
            index.backend,
            _settings(shown),
            printing.share(index.recall_at_10),
            printing.number(index.query_microseconds, 0),
            *(printing.number(trial.query_microseconds, 0) for trial in index.trials[:1]),
            "-" if index.file is None else f"{manifest.files[index.file].size / 1e6:.1f}",
        )
    tables.show(rows)


def _settings(settings: Mapping[str, object]) -> str:
    # Show a number as it was set.
    told = {key: own if isinstance(own, float) else printing.text(own) for key, own in settings.items()}
    return " ".join(f"{name}={value}" for name, value in told.items())


def _attributes(facts: Sequence[dict[str, str]]) -> str:
    return ", ".join(f"{own['name']} ({own['kind']})" for own in facts)
