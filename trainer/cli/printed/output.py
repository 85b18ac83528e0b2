"""Prints the results of the commands: for people, or as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from lightfm_retriever.hosting import tables
from lightfm_retriever.hosting.terminal import print_json
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.facts.evaluation import EvaluationFacts
from lightfm_retriever.publication.manifest import Manifest, TrialFacts
from trainer.cli.printed import printing, quality
from trainer.cli.printed.candidates import print_candidates
from trainer.evaluation.metric_rows import NDCG, is_main
from trainer.promotion.checks import Checked
from trainer.timings import in_order
from trainer.versions.catalogue import VersionRow
from trainer.versions.diff import VersionDiff

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
                "candidates": [asdict(one) for one in manifest.candidates],
                "metrics": manifest.metrics,
                "evaluation": None if manifest.evaluation is None else asdict(manifest.evaluation),
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
    print_candidates(manifest.candidates)
    quality.show(manifest)
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
    data = content["dataset"]
    print(
        f"from {data['name']} (split {data['split']}), run {content['run']['id']}: "
        f"{content['users']:,} users, {content['items']:,} items, "
        + (f"{content['components']} components" if content["components"] else "no vectors")
    )
    if model := content.get("model"):
        print(f"model: {model['family']}, of {model['kind']}")
    print_candidates(msgspec.convert(content.get("candidates", []), list[TrialFacts]))
    metrics = {name: value for name, value in content["metrics"].items() if is_main(name)}
    for title, values in (
        ("hyperparameters", content["hyperparameters"]),
        ("metrics", metrics),
        ("libraries", content["libraries"]),
    ):
        print(f"{title}: {printing.pairs(values)}")
    if (more := len(content["metrics"]) - len(metrics)) > 0:
        print(f"{more} more metrics: --json")
    if (evaluation := content.get("evaluation")) is not None:
        facts = msgspec.convert(evaluation, EvaluationFacts)
        print(f"test {facts.test[:8]}: {quality.users_of(facts)}")
        quality.segments(facts.segments)
    for name, index in content["indexes"].items():
        settings = {**index["build"], **index["query"]}
        print(
            f"index {name!r}: {index['backend']}, recall@10 {index['recall_at_10']:.4f} in "
            f"{printing.number(index['query_microseconds'], 0)} µs, " + _settings(settings)
        )
        if ways := index.get("ways"):
            print(f"  recall@10 of other questions: {_ways(ways)}")
    if attributes := content.get("attributes"):
        print(f"attributes: {_attributes(attributes)}")
    size = sum(file["size"] for file in content["files"].values())
    print(f"{len(content['files'])} files, {size / 1e6:,.1f} MB")


def _ways(ways: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {own['recall_at_10']:.4f}" for name, own in ways.items())


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
    if found.metrics_problem:
        print(
            f"metrics can't be compared: {found.metrics_problem}. Train both on the same data with the "
            "same --split and --seed, or train with --max-relative-loss, which measures the label's "
            "version on the new test"
        )
    content = asdict(found)
    rows = tables.table("", "before", "after", texts=1)
    for group in ("metrics", "model", "hyperparameters", "indexes", "attributes"):
        for change in content[group]:
            if group == "metrics" and not is_main(change["name"]):
                continue
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
        *("version", "labels", "items", "users", "tested"),
        *("NDCG@10", "95 %", "precision@10", "AUC", "test", "index recall@10"),
        texts=2,
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
            f"{row.metrics.get('evaluated_users', 0):,.0f}",
            printing.share(row.metrics.get(NDCG)),
            quality.ndcg_interval(row.metrics, row.errors),
            printing.share(row.metrics.get("test_precision_at_10_unseen")),
            printing.share(row.metrics.get("test_auc_unseen")),
            row.test[:8] or "-",
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


def exported(rows: int, what: str, options: argparse.Namespace) -> None:
    """Print the result of --export."""
    text = f"wrote {rows} {what}{'' if rows == 1 else 's'} to {options.export}"
    show({"file": str(options.export), "rows": rows}, text, as_json=options.json)


def show(content: object, text: str, *, as_json: bool) -> None:
    """Print a result as one line, or as JSON."""
    if as_json:
        print_json(content)
    else:
        print(text)


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
