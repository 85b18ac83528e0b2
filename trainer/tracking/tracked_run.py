"""Describes a run for MLflow: a pure function from its spec and its results.

Every field of the spec and every metric of the manifest is there under its own name, so that new
hyperparameters, model families and metrics appear without a change here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from lightfm_retriever.publication import manifest as manifests
from lightfm_retriever.publication.manifest import Manifest
from trainer.promotion.gates import GateResult
from trainer.tracking.options import without_credentials

Status = Literal["FINISHED", "FAILED", "KILLED"]
"""How MLflow calls the end of a run."""

SECRETS = frozenset({"database_url", "spark_conf"})
"""The options that may hold a password: no run shows them."""

# What servers of every release take: newer ones take more.
_MOST_NAME, _MOST_PARAMETER, _MOST_TAG = 250, 500, 5000
# The fields of a manifest that are parameters, and those that are metrics, files or identity.
_MADE_OF = ("hyperparameters", "dataset", "items", "users", "components", "libraries")
_READ = ("indexes", "metrics", "run", "attributes", "files", "format_version", "version", "created_at")
_ODD = re.compile(r"[^\w. -]")


class MetricPoint(msgspec.Struct, frozen=True):
    """A value of a metric; `step` is the number of a trial or an epoch, or 0."""

    name: str
    value: float
    step: int = 0


class TrackedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run as MLflow stores it. Times are milliseconds since the epoch.

    `texts` are small artefacts by file name. `files` are paths of others.
    """

    name: str
    status: Status
    started_ms: int
    ended_ms: int
    parameters: dict[str, str]
    metrics: list[MetricPoint]
    tags: dict[str, str]
    texts: dict[str, str] = {}
    files: list[str] = []


@dataclass(frozen=True, kw_only=True)
class EndedRun:
    """A run that has ended, well or not. Times are seconds since the epoch.

    Attributes:
        command: the command or the service that ran it.
        status: its end.
        spec: the dataclass of its options.
        run_id: id of the training run; empty if it ended before it had one.
        manifest: manifest of its version; None if it published none.
        metrics: metrics by name, if there is no manifest.
        gates, warnings, seconds, error: see trainer.runs.run.Outcome.
        label: the label that it was to move; None for no label.
        label_moved: whether the label names its version.
        volume: the volume, as a folder or a URL without credentials.
    """

    command: str
    status: Status
    started_at: float
    ended_at: float
    spec: Any
    run_id: str = ""
    manifest: Manifest | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    gates: Sequence[GateResult] = ()
    warnings: Sequence[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    label: str | None = None
    label_moved: bool = False
    volume: str = ""
    error: str = ""


def describe(run: EndedRun) -> TrackedRun:
    """Describe a run that trains or publishes."""
    parameters, metrics = flat(run.spec), {**run.metrics}
    manifest = run.manifest
    if manifest is not None:
        parameters |= manifest_parameters(manifest)
        metrics |= manifest_metrics(manifest)
    metrics |= {f"seconds.{stage}": value for stage, value in run.seconds.items()}
    failed = [gate.name for gate in run.gates if not gate.passed]
    tags = {
        "command": run.command,
        "training_run": run.run_id,
        "version": "" if manifest is None else manifest.version,
        "dataset": "" if manifest is None else manifest.dataset.name,
        "volume": run.volume,
        "label": run.label or "",
        "label_moved": _text(run.label_moved),
        "gates": ("failed" if failed else "passed") if run.gates else "",
        "gates_failed": ", ".join(failed),
        "warnings": str(len(run.warnings)),
        "error": without_credentials(run.error),
    }
    texts = {"spec.json": _json(parameters)}
    if run.gates:
        texts["gates.json"] = _json([asdict(gate) for gate in run.gates])
    if run.warnings:
        texts["warnings.json"] = _json([*map(without_credentials, run.warnings)])
    if manifest is not None:
        texts["manifest.json"] = manifests.encode(manifest).decode()
    return TrackedRun(
        name=_sendable(tags["version"] or run.run_id or run.command),
        status=run.status,
        started_ms=int(run.started_at * 1000),
        ended_ms=int(run.ended_at * 1000),
        parameters=_parameters(parameters),
        metrics=_points(metrics),
        tags=_tags(tags),
        texts=texts,
    )


def describe_study(
    run: EndedRun, content: Mapping[str, Any], table: str, files: Sequence[Path]
) -> TrackedRun:
    """Describe a search for hyperparameters.

    Args:
        run: its options and its end.
        content: its result as JSON has it: scalars, objects, and the list `trials`. Empty if it failed.
        table: its trials as CSV.
        files: files of the result.
    """
    shown = describe(run)
    simple = {name: own for name, own in content.items() if not isinstance(own, list)}
    test = simple.pop("test", None) or {}
    # The options are those of the spec.
    simple.pop("options", None)
    numbers = {name: simple.pop(name) for name in [*simple] if _is_number(simple[name])}
    trials = [own for own in content.get("trials", []) if isinstance(own, Mapping)]
    points = [
        MetricPoint(_name(f"trial.{name}"), float(value), step)
        for step, trial in enumerate(trials)
        for name, value in trial.items()
        if name != "number" and _is_number(value)
    ]
    return msgspec.structs.replace(
        shown,
        name=_sendable(f"{run.command} {content.get('dataset', '')}".strip()),
        parameters={**shown.parameters, **_parameters(flat(simple))},
        metrics=[*_points({**numbers, **test}), *points],
        tags={**shown.tags, **_tags({"dataset": str(content.get("dataset", ""))})},
        texts={**shown.texts, **({"trials.csv": table} if trials else {})},
        files=[str(path) for path in files],
    )


def manifest_parameters(manifest: Manifest) -> dict[str, Any]:
    """Return the hyperparameters, data, indexes and libraries of a version, by name."""
    indexes = {
        name: {"backend": own.backend, **own.build, **own.query}
        for name, own in manifest.indexes.items()
    }
    others = {name: own for name, own in _others(manifest).items() if not isinstance(own, float)}
    return flat({**{name: getattr(manifest, name) for name in _MADE_OF}, "indexes": indexes}) | others


def manifest_metrics(manifest: Manifest) -> dict[str, float]:
    """Return the metrics of a version, those of its indexes, and the seconds of its run, by name."""
    found = dict(manifest.metrics)
    for name, own in manifest.indexes.items():
        found |= {
            f"{name}.{measure.name}": value
            for measure in fields(own)
            if isinstance(value := getattr(own, measure.name), float)
        }
    found |= {name: own for name, own in _others(manifest).items() if isinstance(own, float)}
    return found | {f"seconds.{stage}": own for stage, own in manifest.run.seconds.items()}


def _others(manifest: Manifest) -> dict[str, Any]:
    """Return the scalars of the fields that no other function here reads."""
    names = [own.name for own in fields(manifest) if own.name not in (*_MADE_OF, *_READ)]
    return flat({name: getattr(manifest, name) for name in names})


def version_row(content: Mapping[str, Any], **own: Any) -> dict[str, Any]:
    """Return the row of a version in a table of runs: `own` columns, parameters and metrics.

    `content` is its manifest as JSON has it.
    """
    manifest = msgspec.convert(content, Manifest)
    return {**own, "params": manifest_parameters(manifest), "metrics": manifest_metrics(manifest)}


def flat(value: Any) -> dict[str, Any]:
    """Return the scalars in a dataclass or a mapping by dotted names, without secrets and None."""
    return dict(_flat(value, ""))


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if is_dataclass(value) and not isinstance(value, type):
        value = {own.name: getattr(value, own.name) for own in fields(value)}
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in SECRETS:
                yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, str | bool | int | float):
        yield name, value
    elif isinstance(value, Path):
        yield name, str(value)
    elif isinstance(value, Sequence | set | frozenset) and value and not any(map(_is_row, value)):
        # The kinds of index are objects with names.
        yield name, ",".join(str(getattr(own, "name", own)) for own in value)


def _is_row(value: Any) -> bool:
    """Say whether a value is a row of a table, and no object with a name."""
    return isinstance(value, Mapping) or (is_dataclass(value) and not hasattr(value, "name"))


def _parameters(values: Mapping[str, Any]) -> dict[str, str]:
    shown = {_name(name): _text(value) for name, value in values.items()}
    return {name: _cut(text, _MOST_PARAMETER) for name, text in shown.items() if text}


def _points(values: Mapping[str, Any]) -> list[MetricPoint]:
    return [MetricPoint(_name(name), float(own)) for name, own in values.items() if _is_number(own)]


def _tags(values: Mapping[str, str]) -> dict[str, str]:
    return {name: _cut(_sendable(text), _MOST_TAG) for name, text in values.items() if text}


def _is_number(value: Any) -> bool:
    """Say whether a metric can have this value: not all stores take NaN and infinity."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _name(text: str) -> str:
    """Replace what MLflow refuses in a name, which is also the path of a file."""
    return (_ODD.sub("_", _sendable(text)).lstrip(".") or "_")[:_MOST_NAME]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _sendable(str(value))


def _sendable(text: str) -> str:
    """Replace the bytes of a path that aren't UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _json(content: Any) -> str:
    return _sendable(json.dumps(content, indent=2, ensure_ascii=False)) + "\n"
