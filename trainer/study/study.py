"""Runs a search for hyperparameters, from interactions to the metrics of the best model.

The search uses only training interactions, and holds out some of them for validation. At the end, it
trains the best hyperparameters on all training interactions, and evaluates that model once on the test
interactions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lightfm_retriever.files.durable import write_durably
from lightfm_retriever.publication.errors import VectorError
from trainer.errors import TrainerError
from trainer.evaluation.evaluation import evaluate
from trainer.evaluation.of_dataset import held_out_test
from trainer.evaluation.of_vectors import scores_of
from trainer.fitting.embeddings import Embeddings, extract_embeddings
from trainer.fitting.lightfm_model import Hyperparameters, train
from trainer.preparing.dataset import Dataset, build_dataset
from trainer.preparing.splits import Split, Splitting
from trainer.preparing.validation import build_validation, validation_split
from trainer.progress import Reporter
from trainer.reading import TrainingInput
from trainer.study.options import StudyOptions
from trainer.study.trials import Trial, import_optuna, search, with_parameters


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """The result of a search.

    Attributes:
        dataset: name of the dataset.
        split, validation: how test and validation interactions were held out.
        fit_interactions, validation_interactions, test_interactions: numbers of pairs.
        options: options of the search.
        trials: all trials, in order.
        best: number of the best trial that could also be trained on all training interactions.
        hyperparameters: the best trial's hyperparameters, with its best number of epochs.
        test: metrics of the final model on the test interactions, see evaluation.evaluate; None
            without test interactions.
        errors: standard errors of these metrics.
        seconds: duration of the search.
        warnings: warnings about the dataset, and about better trials that couldn't be used.
    """

    dataset: str
    split: Split
    validation: Split
    fit_interactions: int
    validation_interactions: int
    test_interactions: int
    options: StudyOptions
    trials: list[Trial]
    best: int
    hyperparameters: Hyperparameters
    test: dict[str, float] | None
    errors: dict[str, float]
    seconds: float
    warnings: list[str]

    @property
    def value(self) -> float:
        """Validation value of the best trial, by the objective of the options."""
        return _value(self.trials[self.best])


def run_study(
    source: TrainingInput,
    *,
    split: Split,
    split_count: int = 1,
    split_share: float = 0.1,
    options: StudyOptions,
    reporter: Reporter,
) -> StudyResult:
    """Search for hyperparameters, train the best ones, and evaluate them on the test interactions.

    Args:
        source: the interactions and the features.
        split, split_count, split_share: how to hold out test interactions; see preparing.splits.
        options: how to search.
        reporter: receives the progress and the test metrics.

    Raises:
        ExtraMissingError: Optuna isn't installed.
        TrainerError: the data can't be used, or no trial succeeded.
    """
    import_optuna()
    started = time.perf_counter()
    seed = options.start.seed
    splitting = Splitting(split, seed, split_count, split_share)
    tables = {"items": source.items, "users": source.users}
    dataset = build_dataset(source.interactions, **tables, splitting=splitting)
    validation = options.validation or validation_split(split)
    inner = build_validation(source.interactions, **tables, splitting=splitting, validation=validation)
    trials = search(inner, options, reporter=reporter)
    warnings = list(dataset.warnings)
    best, embeddings = _train_best(trials, dataset, options, reporter, warnings)
    test: dict[str, float] | None = None
    errors: dict[str, float] = {}
    if (asked := held_out_test(dataset)) is not None:
        found = evaluate(scores_of(embeddings), asked, seed=seed)
        test, errors = found.metrics(), found.errors()
        reporter.metrics(test)
    return StudyResult(
        dataset=dataset.name,
        split=split,
        validation=validation,
        fit_interactions=int(inner.train.nnz),
        validation_interactions=int(inner.test.nnz),
        test_interactions=0 if asked is None else len(asked.held_out.values),
        options=options,
        trials=trials,
        best=best.number,
        hyperparameters=with_parameters(options.start, best.parameters, epochs=best.epochs),
        test=test,
        errors=errors,
        seconds=round(time.perf_counter() - started, 3),
        warnings=warnings,
    )


def write_study(result: StudyResult, directory: Path) -> list[Path]:
    """Write the result as JSON, and a picture if matplotlib is installed. Returns the files.

    Raises:
        OSError: the directory can't be written. Its earlier files are unchanged.
    """
    directory.mkdir(parents=True, exist_ok=True)
    content = json.dumps(asdict(result), indent=2, ensure_ascii=False, allow_nan=False)
    files = {directory / "study.json": content.encode() + b"\n"}
    try:
        from trainer.study import picture
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
    else:
        files[directory / "study.png"] = picture.draw(result)
    for path, data in files.items():
        write_durably(path.with_name(f".{path.name}.new"), data, path)
    return list(files)


def _train_best(
    trials: Sequence[Trial],
    dataset: Dataset,
    options: StudyOptions,
    reporter: Reporter,
    warnings: list[str],
) -> tuple[Trial, Embeddings]:
    """Train the hyperparameters of the best trial on all training data.

    The best trial is the first one with the highest value. It may be pruned; its best epoch counts.
    If it diverges on all training data, the next best trial replaces it.
    """
    valued = [trial for trial in trials if trial.value is not None]
    if not valued:
        raise TrainerError(f"none of {len(trials)} trials succeeded; the first: {trials[0].error}")
    last: Exception | None = None
    for trial in sorted(valued, key=_value, reverse=True):
        own = with_parameters(options.start, trial.parameters, epochs=trial.epochs)
        try:
            with reporter.step("Training the best, epochs", trial.epochs) as advance:
                model = train(dataset, own, on_epoch=lambda: advance(1))
            return trial, extract_embeddings(model, dataset)
        except (TrainerError, VectorError) as error:
            warnings.append(f"trial {trial.number} is better, but can't be used: {error}")
            last = error
    raise TrainerError(f"no trial's hyperparameters can be trained on all training data: {last}")


def _value(trial: Trial) -> float:
    return -np.inf if trial.value is None else trial.value
