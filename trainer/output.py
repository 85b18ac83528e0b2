"""What the commands print: for people, or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from publication import layout
from publication.manifest import Manifest
from trainer.cold_metrics import ColdRow, cold_rows
from trainer.promotion import Checked
from trainer.served_metrics import USERS, ServedRow, served_rows
from trainer.versions import PublishedVersion

_METRICS = (
    ("precision@10", "precision_at_10"),
    ("AUC", "auc"),
)
_PARTS = (
    ("train, all items", "train_{}"),
    ("test, all items", "test_{}"),
    ("test, seen items excluded", "test_{}_unseen"),
)


# What differs little between two publications.
_UNSHOWN = {"seed", "threads", "candidates"}


def published(result: Checked, *, as_json: bool) -> None:
    """The outcome of `train` and `publish`."""
    manifest = result.manifest
    if as_json:
        _print_json(
            {
                "version": manifest.version,
                "label": result.label,
                "items": manifest.items,
                "users": manifest.users,
                "dataset": asdict(manifest.dataset),
                "hyperparameters": manifest.hyperparameters,
                "metrics": manifest.metrics,
                "indexes": {name: asdict(index) for name, index in manifest.indexes.items()},
                "attributes": [asdict(attribute) for attribute in manifest.attributes],
                "seconds": dict(result.seconds),
                "warnings": result.warnings,
                "gates": [asdict(gate) for gate in result.gates],
            }
        )
        return
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    facts = manifest.dataset
    print(
        f"{facts.name}: {manifest.users:,} users, {manifest.items:,} items, "
        f"{facts.train_interactions:,} training and {facts.test_interactions:,} test interactions "
        f"(split {facts.split})"
    )
    _print_metrics(manifest)
    _print_served(manifest)
    _print_cold(manifest)
    _print_indexes(manifest)
    if manifest.attributes:
        print(f"attributes: {_attributes([asdict(own) for own in manifest.attributes])}")
    for gate in result.gates:
        print(f"gate {'passed' if gate.passed else 'FAILED'}: {gate.text}")
    print("seconds: " + ", ".join(f"{name} {value:.2f}" for name, value in result.seconds.items()))
    print(
        f"published {manifest.version}"
        + (f", label {result.label!r} names it" if result.label else ", no label moved")
    )


def version(content: dict[str, Any], labels: Sequence[str], *, as_json: bool) -> None:
    """One version's manifest."""
    if as_json:
        _print_json({**content, "labels": list(labels)})
        return
    print(f"{content['version']}" + (f", named by {', '.join(labels)}" if labels else ""))
    facts = content["dataset"]
    print(
        f"from {facts['name']} (split {facts['split']}), run {content['run']['id']}: "
        f"{content['users']:,} users, {content['items']:,} items, {content['components']} components"
    )
    for title, values in (
        ("hyperparameters", content["hyperparameters"]),
        ("metrics", content["metrics"]),
        ("libraries", content["libraries"]),
    ):
        print(f"{title}: " + ", ".join(f"{name} {_text(value)}" for name, value in values.items()))
    for name, index in content["indexes"].items():
        settings = {**index["build"], **index["query"]}
        print(
            f"index {name!r}: {index['backend']}, recall@10 {index['recall_at_10']:.4f} in "
            f"{index['query_microseconds']:.0f} µs, "
            + " ".join(f"{key}={value}" for key, value in settings.items())
        )
    if attributes := content.get("attributes"):
        print(f"attributes: {_attributes(attributes)}")
    size = sum(file["size"] for file in content["files"].values())
    print(f"{len(content['files'])} files, {size / 1e6:,.1f} MB")


def deleted(version: str, *, as_json: bool) -> None:
    """The outcome of `delete`."""
    if as_json:
        _print_json({"deleted": version})
    else:
        print(f"{version} is deleted")


def diff(content: dict[str, Any], *, as_json: bool) -> None:
    """The outcome of `diff`."""
    if as_json:
        _print_json(content)
        return
    overlap = content.get("overlap")
    if overlap:
        print(
            f"of ten recommended items {float(overlap['mean']):.2f} are the same (mean of "
            f"{overlap['users']} users; median {float(overlap['median']):.1f}, least "
            f"{float(overlap['min']):.0f})"
        )
    else:
        print("no user of both gets any recommendation: there is nothing to compare")
    for kind in ("items", "users"):
        ids = content[kind]
        added, names = ("added", "added_ids") if "added" in ids else ("new", "new_ids")
        for what, key, sample in (("new", added, names), ("lost", "lost", "lost_ids")):
            if int(ids[key]):
                shown = ", ".join(ids.get(sample, [])[:5])
                print(f"{ids[key]} {what} {kind}: {shown}{', ...' if int(ids[key]) > 5 else ''}")
    table = _table("", "before", "after", texts=1)
    for group in ("metrics", "hyperparameters", "indexes", "attributes"):
        for change in content.get(group, []):
            name = f"attribute {change['name']}" if group == "attributes" else change["name"]
            table.add_row(name, _text(change.get("before")), _text(change.get("after")))
    _print_table(table)


def report(path: Path, *, as_json: bool) -> None:
    """The outcome of `report`."""
    if as_json:
        _print_json({"page": str(path), "directory": str(path.parent)})
    else:
        print(f"wrote {path}, with its pictures and figures beside it")


def versions(rows: Sequence[PublishedVersion], *, as_json: bool) -> None:
    """The versions, newest first."""
    if as_json:
        _print_json([_version_json(row) for row in rows])
        return
    if not rows:
        print("nothing is published on this volume")
        return
    table = _table(
        "version", "labels", "items", "users", "test p@10", "unseen", "AUC", "recall@10", texts=2
    )
    for row in rows:
        if row.manifest is None:
            table.add_row(row.name, " ".join(row.labels), "broken")
            continue
        metrics = row.manifest.metrics
        table.add_row(
            row.name,
            " ".join(row.labels),
            f"{row.manifest.items:,}",
            f"{row.manifest.users:,}",
            _share(metrics.get("test_precision_at_10")),
            _share(metrics.get("test_precision_at_10_unseen")),
            _share(metrics.get("test_auc")),
            _share(row.manifest.indexes["recommend"].recall_at_10),
        )
    _print_table(table)
    # A problem names a path and two checksums, more than a column holds.
    for row in rows:
        if row.problem:
            print(f"{row.name}: {row.problem}")


def label_moved(label: str, previous: str | None, version: str, *, as_json: bool) -> None:
    """The outcome of `promote` and `rollback`."""
    if as_json:
        _print_json({"label": label, "previous": previous, "version": version})
    else:
        print(f"label {label!r} names {version} (before: {previous or 'none'})")


def verified(rows: Sequence[tuple[str, str | None]], *, as_json: bool) -> None:
    """The outcome of `verify`."""
    if as_json:
        _print_json([{"version": version, "problem": problem} for version, problem in rows])
        return
    for version, problem in rows:
        print(f"{version}: {'every byte is as published' if problem is None else problem}")
    if not rows:
        print("nothing is published on this volume")


def _print_metrics(manifest: Manifest) -> None:
    table = _table("", *(title for title, _ in _METRICS), texts=1)
    for title, part in _PARTS:
        values = [manifest.metrics.get(part.format(name)) for _, name in _METRICS]
        if any(value is not None for value in values):
            table.add_row(title, *(_share(value) for value in values))
    if table.row_count:
        _print_table(table)


def _print_served(manifest: Manifest) -> None:
    rows = served_rows(manifest.metrics, manifest.indexes[layout.RECOMMEND].backend)
    if rows:
        users = f"{manifest.metrics[USERS]:,.0f} users, seen items excluded"
        _print_shares(users, "of exact search", rows)


def _print_cold(manifest: Manifest) -> None:
    if rows := cold_rows(manifest.metrics):
        _print_shares("the same users, seen items excluded", "of their own", rows)


def _print_shares(users: str, of_what: str, rows: Sequence[ColdRow | ServedRow]) -> None:
    table = _table(users, "precision@10", of_what, texts=1)
    for row in rows:
        table.add_row(
            row.title, _share(row.precision), "-" if row.ratio is None else f"{row.ratio:.0%}"
        )
    _print_table(table)


def _print_indexes(manifest: Manifest) -> None:
    table = _table(
        "index", "backend", "settings", "recall@10", "µs a query", "exact, µs", "file, MB", texts=3
    )
    for name, index in manifest.indexes.items():
        settings = {**index.build, **index.query}
        shown = (f"{key}={value}" for key, value in settings.items() if key not in _UNSHOWN)
        table.add_row(
            name,
            index.backend,
            " ".join(shown),
            _share(index.recall_at_10),
            f"{index.query_microseconds:.0f}",
            *(f"{trial.query_microseconds:.0f}" for trial in index.trials[:1]),
            "-" if index.file is None else f"{manifest.files[index.file].size / 1e6:.1f}",
        )
    _print_table(table)


def _version_json(row: PublishedVersion) -> dict[str, Any]:
    manifest = row.manifest
    return {
        "version": row.name,
        "labels": row.labels,
        "problem": row.problem,
        "created_at": manifest.created_at if manifest else None,
        "items": manifest.items if manifest else None,
        "users": manifest.users if manifest else None,
        "metrics": manifest.metrics if manifest else {},
        "recall_at_10": (
            {name: index.recall_at_10 for name, index in manifest.indexes.items()} if manifest else {}
        ),
    }


def _attributes(facts: Sequence[dict[str, str]]) -> str:
    return ", ".join(f"{own['name']} ({own['kind']})" for own in facts)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _table(*columns: str, texts: int) -> Table:
    """A table whose first `texts` columns hold text, the others numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position < texts else "right", no_wrap=True)
    return table


def _print_table(table: Table) -> None:
    # A table that goes to a file or a pipe keeps its columns whole.
    # Names of files may hold what rich takes for markup.
    Console(width=None if sys.stdout.isatty() else 200, markup=False, emoji=False).print(table)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
