"""`lightfm-trainer tune`: its work and its output."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import cast

from lightfm_retriever.hosting import tables
from lightfm_retriever.hosting.settings.option_flags import made
from lightfm_retriever.hosting.terminal import print_json
from trainer.cli import writable
from trainer.cli.printed import printing
from trainer.errors import OptionError
from trainer.evaluation.confidence import share_interval
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.preparing.splits import Split
from trainer.progress import Bars, Silent
from trainer.reading import default_split, read_source
from trainer.spec import DataSpec
from trainer.study.options import StudyOptions
from trainer.study.study import StudyResult, run_study, write_study
from trainer.tracking.following import Following
from trainer.tracking.options import TrackingOptions

_SHOWN = 10


def run(options: argparse.Namespace, event_log: Path) -> int:
    """Search, write, print and track; returns the exit status. Raises TrainerError."""
    given = vars(options)
    data = made(DataSpec, given)
    start = {name: given[name] for name in ("seed", "threads", "sample_weights")}
    study = made(StudyOptions, given, start=Hyperparameters(**start))
    # A folder that can't be written is an error before the search, not after it.
    writable.check(options.output)
    searched = {"data": data, "search": study}
    tracking = made(TrackingOptions, given)
    with Following(tracking, "tune", searched, tell=printing.print_warnings) as run:
        result = run_study(
            read_source(data, data_dir=options.data_dir, event_log=event_log),
            split=cast("Split", data.split or default_split(data)),
            split_count=data.split_count,
            split_share=data.split_share,
            options=study,
            reporter=Silent() if options.json else Bars(),
        )
        run.searched(asdict(result), _finish(result, options))
    return 0


def _finish(result: StudyResult, options: argparse.Namespace) -> list[Path]:
    """Print the result and write its files; returns them. Raises OptionError."""
    if options.json:
        print_json(asdict(result))
    else:
        _print(result)
    # Print first: a full disk mustn't lose the results.
    try:
        files = write_study(result, options.output)
    except OSError as error:
        reason = f"a folder that can be written ({error.strerror or error})"
        raise OptionError("--output", str(options.output), reason) from error
    if not options.json:
        print("wrote " + ", ".join(str(path) for path in files))
    return files


def _print(result: StudyResult) -> None:
    printing.print_warnings(result.warnings)
    print(
        f"{result.dataset}: {result.fit_interactions:,} interactions to fit, "
        f"{result.validation_interactions:,} to validate ({result.validation}), "
        f"{result.test_interactions:,} to test ({result.split})"
    )
    names = list(result.trials[0].parameters)
    columns = ("trial", f"validation {result.options.objective}", "epochs", "s", *names, "state")
    table = tables.table(*columns, texts=0, also_texts=("loss", "state"))
    ranked = sorted(result.trials, key=lambda trial: -1 if trial.value is None else -trial.value)
    ranked = [trial for trial in ranked if trial.value is not None]
    for trial in ranked[:_SHOWN]:
        table.add_row(
            f"{trial.number}",
            f"{trial.value:.4f}",
            f"{trial.epochs}",
            f"{trial.seconds:.1f}",
            *(_text(trial.parameters[name]) for name in names),
            trial.state,
        )
    tables.show(table)
    if len(result.trials) > _SHOWN:
        print(f"the best {min(_SHOWN, len(ranked))} of {len(result.trials)} trials")
    flags = " ".join(
        f"--{name.replace('_', '-')} {_text(value)}"
        for name, value in asdict(result.hyperparameters).items()
        if name in (*names, "epochs")
    )
    print(f"best: validation {result.options.objective} {result.value:.4f} with {flags}")
    if result.test is not None:
        users = int(result.test["evaluated_users"])
        print(f"on the test, once, {users:,} users:")
        table = tables.table("seen items excluded", "value", "95 % confidence", texts=1)
        for measure in dict.fromkeys(
            (result.options.objective, "ndcg_at_10", "precision_at_10", "auc")
        ):
            name = f"test_{measure}_unseen"
            if name in result.test:
                value = result.test[name]
                interval = share_interval(value, result.errors.get(name), users)
                table.add_row(measure, f"{value:.4f}", f"{interval.low:.3f}-{interval.high:.3f}")
        tables.show(table)


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else printing.text(value)
