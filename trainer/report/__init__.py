"""Reports accuracy, speed and memory of all index backends for one publication, with pictures."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from lightfm_retriever.files.regular_files import create_regular
from lightfm_retriever.publication import reader, verification
from trainer.errors import OptionError
from trainer.evaluation.metric_rows import cold_rows
from trainer.index import distributions
from trainer.progress import Reporter
from trainer.report import page, pictures
from trainer.report.accuracy import measure_accuracy
from trainer.report.deployment import measure_deployments
from trainer.report.scaling import measure_scaling
from trainer.report.subject import ReportOptions as ReportOptions

_LIBRARIES = ("lightfm-retriever", "numpy", "scikit-learn")


def write_report(
    volume: Path, version: str, directory: Path, *, options: ReportOptions, reporter: Reporter
) -> Path:
    """Measure all backends, and write a page, its pictures and its figures (JSON).

    Returns:
        The path of the page.

    Raises:
        PublicationError: the version doesn't exist or isn't valid.
        OptionError: the directory can't be created, or the version has no users.
        TrainerError: a retriever doesn't serve its version.
        OSError: the directory can't be written.
    """
    verification.verify(volume, version)
    subject = reader.open_publication(volume, version)
    if not len(subject.users):
        raise OptionError(
            "VERSION", version, "a version with users: a report measures their recommendations"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        expected = f"a folder to write to: {error.strerror}"
        raise OptionError("--output", str(directory), expected) from error
    accuracy = measure_accuracy(subject, options, reporter)
    points = measure_scaling(subject, options, reporter)
    deployments = measure_deployments(subject, options, reporter)
    drawn = {
        name: directory / f"{name}.png" for name in ("scaling", "precision", "curves", "deployments")
    }
    pictures.scaling(points, options.tuning.target_recall, drawn["scaling"])
    if accuracy.precision:
        pictures.precision(accuracy.precision, drawn["precision"])
    largest = [p for p in points if p.vectors == "interpolated" and p.items == options.max_items]
    pictures.curves(
        [
            *(
                (f"{name}, {subject.manifest.items:,} items", trials, accuracy.chosen[name])
                for name, trials in accuracy.trials.items()
            ),
            (
                f"recommend, {options.max_items:,} interpolated items",
                [trial for point in largest for trial in point.trials],
                [],
            ),
        ],
        drawn["curves"],
    )
    pictures.deployments(deployments, drawn["deployments"])
    conditions = _conditions(options)
    path = directory / "report.html"
    text = page.render(
        subject.manifest, accuracy, points, deployments, pictures=drawn, conditions=conditions
    )
    with create_regular(path) as file:
        file.write(text.encode())
    figures = {
        "version": version,
        "conditions": conditions,
        "accuracy": asdict(accuracy),
        "cold_users": [asdict(row) for row in cold_rows(subject.manifest.metrics)],
        "scaling": [asdict(point) for point in points],
        "deployments": [asdict(row) for row in deployments],
    }
    with create_regular(directory / "report.json") as file:
        file.write(json.dumps(figures, indent=2, ensure_ascii=False).encode())
    return path


def _conditions(options: ReportOptions) -> list[str]:
    tuning, libraries = options.tuning, (*_LIBRARIES, *distributions(options.backends))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in libraries)
    sentences = [
        (
            f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {platform.machine()} with "
            f"{len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}; {versions}."
        ),
        (
            f"Settings are the fastest that reach recall@10 {tuning.target_recall:g} against exact "
            f"search; queries run on one thread, builds on {tuning.threads}; seed {tuning.seed}."
        ),
    ]
    if any(backend.name == "nmslib" for backend in options.backends):
        wheel = importlib.metadata.distribution("nmslib").read_text("WHEEL") or ""
        how = "built from source on this machine"
        if "manylinux" in wheel or "musllinux" in wheel:
            how = "the wheel for any machine, built without SSE and AVX; built from source it is faster"
        sentences.append(f"NMSLIB is {how}.")
    return sentences
