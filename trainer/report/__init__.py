"""How good and how fast indexes are: one publication, all backends, pictures."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from lightfm_retriever.files.regular_files import create_regular
from lightfm_retriever.publication import reader, verification
from trainer.errors import OptionError
from trainer.evaluation.metric_rows import cold_rows
from trainer.index import distributions
from trainer.index.protocol import Backend
from trainer.index.tuning import TuningOptions
from trainer.progress import Reporter
from trainer.report import page, pictures
from trainer.report.accuracy import measure_accuracy
from trainer.report.deployment import measure_deployments
from trainer.report.scaling import measure_scaling

PAGE = "report.html"
FIGURES = "report.json"
_LIBRARIES = ("lightfm-retriever", "numpy", "scikit-learn")


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What to measure.

    Attributes:
        backends: to compare.
        max_items: size of the largest made-up catalogue.
        tuning: the target and how to build.
    """

    backends: Sequence[Backend]
    max_items: int = 1_000_000
    tuning: TuningOptions

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        if not 100 <= self.max_items <= 10_000_000:
            raise OptionError("--max-items", self.max_items, "in 100..10000000")


def write_report(
    volume: Path, version: str, directory: Path, *, options: ReportOptions, reporter: Reporter
) -> Path:
    """Measure, draw, and write a page, its pictures and its figures (JSON); returns the page.

    Raises:
        PublicationError: the version isn't there or isn't valid.
        OptionError: the directory can't be made, or the version has no users.
        TrainerError: a retriever doesn't serve what was published for it.
        OSError: the directory can't be written.
    """
    verification.verify(volume, version)
    subject = reader.open_publication(volume, version)
    if not len(subject.users):
        raise OptionError("VERSION", version, "one with users: a report asks what they would like")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        expected = f"a folder to write to: {error.strerror}"
        raise OptionError("--output", str(directory), expected) from error
    tuning, backends = options.tuning, options.backends
    accuracy = measure_accuracy(subject, backends, options=tuning, reporter=reporter)
    points = measure_scaling(
        subject, backends, max_items=options.max_items, options=tuning, reporter=reporter
    )
    deployments = measure_deployments(
        subject, backends, max_items=options.max_items, options=tuning, reporter=reporter
    )
    drawn = {
        name: directory / f"{name}.png" for name in ("scaling", "precision", "curves", "deployments")
    }
    pictures.scaling(points, tuning.target_recall, drawn["scaling"])
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
    conditions = _conditions(backends, tuning)
    path = directory / PAGE
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
    with create_regular(directory / FIGURES) as file:
        file.write(json.dumps(figures, indent=2, ensure_ascii=False).encode())
    return path


def _conditions(backends: Sequence[Backend], tuning: TuningOptions) -> list[str]:
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in (*_LIBRARIES, *distributions(backends))
    )
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
    if any(backend.name == "nmslib" for backend in backends):
        sentences.append(f"NMSLIB is {_how_built('nmslib')}.")
    return sentences


def _how_built(distribution: str) -> str:
    """Whether a package came as a wheel for any machine: NMSLIB's is built without SIMD."""
    wheel = importlib.metadata.distribution(distribution).read_text("WHEEL") or ""
    if "manylinux" in wheel or "musllinux" in wheel:
        return "the wheel for any machine, built without SSE and AVX; built from source it is faster"
    return "built from source on this machine"
