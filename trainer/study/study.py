"""A search for hyperparameters, from interactions to a model's figures.

The search sees only training interactions: part of them is held out again, for validation. In the end
the best trial's hyperparameters are trained on all training interactions and evaluated on the test
interactions, once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from lightfm_retriever.files.durable import write_durably
from lightfm_retriever.publication.errors import VectorError
from trainer.data.interactions import Interactions
from trainer.errors import TrainerError
from trainer.evaluation.of_vectors import evaluate_vectors
from trainer.fitting.embeddings import Embeddings, extract_embeddings
from trainer.fitting.lightfm_model import Hyperparameters, train
from trainer.preparing.dataset import Dataset, build_dataset, held_out
from trainer.preparing.splits import Split, Splitting
from trainer.progress import Reporter
from trainer.reading import TrainingInput
from trainer.study.options import StudyOptions
from trainer.study.trials import Trial, import_optuna, search, with_parameters

_BY_TIME = ("time", "leave-last-k")


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """A search and its outcome.

    Attributes:
        dataset: what was searched on.
        split, validation: how test and validation interactions were held out.
        fit_interactions, validation_interactions, test_interactions: counts of pairs.
        options: how it was searched.
        trials: in the order they were made.
        best: number of the best one that could be trained on all training interactions too.
        hyperparameters: of the best one, with its best epoch, ready to train with.
        test: metrics of `evaluate_vectors` of the model that was trained with these on all training
            interactions; None when there are no test interactions.
        seconds: of it all.
        warnings: the dataset's, and trials that would have been better.
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
    seconds: float
    warnings: list[str]

    @property
    def value(self) -> float:
        """The best trial's validation precision@10."""
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
    """Search, train the best once more, and evaluate it on the test interactions.

    `split`, `split_count` and `split_share` tell what these are; see preparing.splits. The reporter is
    told of the test metrics, too.

    Raises:
        ExtraMissingError: Optuna isn't installed.
        TrainerError: the data is at fault, or no trial succeeded.
    """
    import_optuna()
    started = time.perf_counter()
    seed = options.start.seed
    splitting = Splitting(split, seed, split_count, split_share)
    is_test = held_out(source.interactions, splitting)

    def build(interactions: Interactions, split: Split) -> Dataset:
        return build_dataset(
            interactions,
            items=source.items,
            users=source.users,
            splitting=replace(splitting, split=split),
        )

    dataset = build(source.interactions, split)
    validation = options.validation or (split if split in _BY_TIME else "random")
    inner = build(source.interactions.where(~is_test), validation)
    trials = search(inner, options, reporter=reporter)
    warnings = list(dataset.warnings)
    best, embeddings = _train_best(trials, dataset, options, reporter, warnings)
    positives = dataset.held_out()
    test = None
    if positives is not None:
        test = evaluate_vectors(embeddings, seen=dataset.seen(), held_out=positives, seed=seed)
        reporter.metrics(test)
    return StudyResult(
        dataset=dataset.name,
        split=split,
        validation=validation,
        fit_interactions=int(inner.train.nnz),
        validation_interactions=int(inner.test.nnz),
        test_interactions=int(dataset.test.nnz),
        options=options,
        trials=trials,
        best=best.number,
        hyperparameters=with_parameters(options.start, best.parameters, epochs=best.epochs),
        test=test,
        seconds=round(time.perf_counter() - started, 3),
        warnings=warnings,
    )


def write_study(result: StudyResult, directory: Path) -> list[Path]:
    """Write the result as JSON and, where matplotlib is installed, a picture; returns the files.

    Raises:
        OSError: the directory can't be written. What was there is left as it was.
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
    """Train with the highest value's hyperparameters, the first of equals, on all training data.

    A pruned trial may be it, at its best epoch. What was barely stable in the search may diverge now:
    then the next one has its turn.
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
            warnings.append(f"trial {trial.number} is left out, though it is better: {error}")
            last = error
    raise TrainerError(f"no trial's hyperparameters can be trained on all training data: {last}")


def _value(trial: Trial) -> float:
    return -np.inf if trial.value is None else trial.value
