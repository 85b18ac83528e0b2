"""What each command does; what it prints is in output.py."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path

from publication import labels, layout, reader
from publication.errors import InvalidPublicationError
from trainer import features, interactions, movielens, output, versions
from trainer.dataset import Split
from trainer.errors import ExtraMissingError, OptionError
from trainer.features import FeatureTable
from trainer.index import installed, make_backends
from trainer.index.tuning import TuningOptions
from trainer.model import Hyperparameters
from trainer.own_vectors import OwnVectors, read_own_vectors
from trainer.pipeline import TrainingInput, train_and_publish
from trainer.progress import Bars, Silent
from trainer.publishing import Indexing, publish
from trainer.timings import Timings


def run(options: argparse.Namespace) -> int:
    """Run the chosen command; returns the exit status."""
    return {
        "train": _train,
        "publish": _publish,
        "report": _report,
        "versions": _versions,
        "promote": _promote,
        "rollback": _rollback,
        "verify": _verify,
        "serve": _serve,
        "fetch-dataset": _fetch,
    }[options.command](options)


def _train(options: argparse.Namespace) -> int:
    hyperparameters = Hyperparameters(
        loss=options.loss,
        components=options.components,
        learning_rate=options.learning_rate,
        item_alpha=options.item_alpha,
        user_alpha=options.user_alpha,
        epochs=options.epochs,
        sample_weights=options.sample_weights,
        seed=options.seed,
        threads=options.threads,
    )
    indexing = _indexing(options)
    default_split: Split = "first-10" if hasattr(options, "dataset") else "random"
    result = train_and_publish(
        _read(options),
        options.volume,
        hyperparameters=hyperparameters,
        split=getattr(options, "split", default_split),
        indexing=indexing,
        label=None if options.no_label else options.label,
        reporter=Silent() if options.json else Bars(),
    )
    output.published(result, as_json=options.json)
    return 0


def _publish(options: argparse.Namespace) -> int:
    given = vars(options)
    indexing = _indexing(options)
    timings = Timings()
    with timings.stage("read"):
        names = [field.name for field in fields(OwnVectors)]
        files = OwnVectors(**{name: given[name] for name in names if name in given})
        source, warnings = read_own_vectors(files)
    published = publish(
        source,
        options.volume,
        indexing=indexing,
        label=None if options.no_label else options.label,
        timings=timings,
        reporter=Silent() if options.json else Bars(),
    )
    published = replace(published, warnings=[*warnings, *published.warnings])
    output.published(published, as_json=options.json)
    return 0


def _report(options: argparse.Namespace) -> int:
    try:
        # Its libraries are an optional extra.
        from trainer import report
    except ModuleNotFoundError as error:
        raise ExtraMissingError("report", "report", str(error.name)) from error
    version = options.version
    if version is None:
        version = labels.read_label(options.volume, layout.DEFAULT_LABEL)
    backends = make_backends(options.backend) if hasattr(options, "backend") else installed()
    path = report.write_report(
        options.volume,
        version,
        options.output,
        options=report.ReportOptions(
            backends=backends,
            max_items=options.max_items,
            tuning=TuningOptions(
                target_recall=options.target_recall,
                seed=options.seed,
                threads=options.index_threads,
            ),
        ),
        reporter=Silent() if options.json else Bars(),
    )
    output.report(path, as_json=options.json)
    return 0


def _indexing(options: argparse.Namespace) -> Indexing:
    return Indexing(
        backends=make_backends(options.backend, trees=getattr(options, "trees", None)),
        options=TuningOptions(
            target_recall=options.target_recall,
            strict=options.strict_recall,
            seed=options.seed,
            threads=options.index_threads,
        ),
    )


def _read(options: argparse.Namespace) -> TrainingInput:
    given = vars(options)
    if ("dataset" in given) == ("interactions" in given):
        raise OptionError("--dataset", given.get("dataset"), "given, or --interactions, not both")
    item_columns, user_columns = options.item_features, options.user_features
    if "dataset" in given:
        for flag in ("items", "users"):
            if flag in given:
                raise OptionError(f"--{flag}", str(given[flag]), "left out: --dataset has its own")
        _check_columns("--item-features", item_columns, movielens.ITEM_COLUMNS)
        _check_columns("--user-features", user_columns, movielens.USER_COLUMNS)
        return TrainingInput(
            movielens.read_interactions(options.data_dir),
            movielens.read_items(options.data_dir, item_columns),
            movielens.read_users(options.data_dir, user_columns),
        )
    separator = options.feature_separator
    return TrainingInput(
        interactions.read_interactions(options.interactions),
        _features(given.get("items"), "item", item_columns, separator),
        _features(given.get("users"), "user", user_columns, separator),
    )


def _features(
    path: Path | None, kind: features.Kind, columns: list[str], separator: str
) -> FeatureTable:
    if path is None:
        if columns:
            raise OptionError(f"--{kind}-features", ",".join(columns), f"used with --{kind}s FILE")
        return FeatureTable()
    return features.read_features(path, kind, columns=columns, separator=separator)


def _check_columns(flag: str, columns: list[str], known: tuple[str, ...]) -> None:
    for column in columns:
        if column not in known:
            raise OptionError(flag, column, f"among {', '.join(known)}")


def _versions(options: argparse.Namespace) -> int:
    output.versions(versions.list_published(options.volume), as_json=options.json)
    return 0


def _promote(options: argparse.Namespace) -> int:
    previous = versions.promote(options.volume, options.version, label=options.label)
    output.label_moved(options.label, previous, options.version, as_json=options.json)
    return 0


def _rollback(options: argparse.Namespace) -> int:
    previous, version = versions.rollback(options.volume, label=options.label)
    output.label_moved(options.label, previous, version, as_json=options.json)
    return 0


def _verify(options: argparse.Namespace) -> int:
    rows: list[tuple[str, str | None]] = []
    for version in options.versions or reader.list_versions(options.volume):
        try:
            reader.verify(options.volume, version)
            rows.append((version, None))
        except InvalidPublicationError as error:
            rows.append((version, str(error)))
    output.verified(rows, as_json=options.json)
    return 1 if any(problem for _, problem in rows) else 0


def _serve(options: argparse.Namespace) -> int:
    # gRPC is needed by this command only.
    from trainer import service

    return service.serve(options.volume, options.listen)


def _fetch(options: argparse.Namespace) -> int:
    print(f"{movielens.NAME} is in {movielens.fetch(options.data_dir)}")
    return 0
