"""Runs the trials of a search for hyperparameters, by Optuna's tree-structured Parzen estimator
(Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization").

Each trial is validated after every few epochs. It ends when the value no longer improves, or earlier
when it is worse than the median of the earlier trials. Its value is the value of its best epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lightfm_retriever.publication.errors import VectorError
from lightfm_retriever.publication.manifest import Scalar
from trainer.errors import ExtraMissingError, TrainerError
from trainer.evaluation.evaluation import measure_one
from trainer.evaluation.of_dataset import held_out_test
from trainer.evaluation.of_vectors import scores_of
from trainer.fitting.embeddings import extract_embeddings
from trainer.fitting.lightfm_model import Hyperparameters, train
from trainer.preparing.dataset import Dataset
from trainer.progress import Reporter
from trainer.study.options import SearchSpace, StudyOptions

if TYPE_CHECKING:
    import optuna

State = Literal["complete", "pruned", "failed"]
Seconds = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial and its result.

    Attributes:
        number: number of the trial, from 0.
        state: "complete", "pruned" (ended early, because it was worse than most or by the timeout), or
            "failed".
        parameters: the searched hyperparameters, by name.
        value: best validation value of the objective; None without a validation.
        epochs: number of epochs that reached this value; 0 without a validation.
        seconds: duration of training and validation.
        error: why the trial failed.
    """

    number: int
    state: State
    parameters: dict[str, Scalar]
    value: float | None
    epochs: int
    trained_epochs: int
    seconds: float
    error: str | None = None


def search(
    dataset: Dataset,
    options: StudyOptions,
    *,
    reporter: Reporter,
    clock: Seconds = time.perf_counter,
) -> list[Trial]:
    """Try hyperparameters on a dataset, whose held-out interactions serve for validation.

    Raises:
        ExtraMissingError: Optuna isn't installed.
        TrainerError: the dataset has no held-out interactions.
    """
    optuna = import_optuna()
    if dataset.held_out() is None:
        raise TrainerError(
            f"{dataset.name}: no interaction with a weight above 0 is left for validation: the search "
            "needs more interactions"
        )
    deadline = None if options.timeout_seconds is None else clock() + options.timeout_seconds
    trials: list[Trial] = []
    with _quiet(), reporter.step("Trials", options.trials) as advance:
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=options.start.seed),
            # The first validation is too early to prune a trial.
            pruner=optuna.pruners.MedianPruner(n_warmup_steps=options.epoch_step + 1),
        )
        study.enqueue_trial(_first(options))
        while len(trials) < options.trials:
            if trials and deadline is not None and clock() >= deadline:
                break
            trials.append(_try(study, dataset, options, deadline=deadline, clock=clock))
            advance(1)
    return trials


def _try(
    study: optuna.Study,
    dataset: Dataset,
    options: StudyOptions,
    *,
    deadline: float | None,
    clock: Seconds,
) -> Trial:
    told = import_optuna().trial.TrialState
    states = {"complete": told.COMPLETE, "pruned": told.PRUNED, "failed": told.FAIL}
    asked = study.ask()
    parameters = _suggest(asked, options.space)
    started = clock()
    state: State = "complete"
    error = None
    value: float | None = None
    best_epochs = epochs = 0
    try:
        for epochs, found in _validations(dataset, options, parameters):
            asked.report(found, epochs)
            if value is None or found > value:
                value, best_epochs = found, epochs
            elif epochs - best_epochs >= options.patience * options.epoch_step:
                break
            is_late = deadline is not None and clock() >= deadline
            if epochs < options.max_epochs and (is_late or asked.should_prune()):
                state = "pruned"
                break
    except (TrainerError, VectorError) as caught:
        state, error, value, best_epochs = "failed", str(caught), None, 0
    study.tell(asked, value if state == "complete" else None, state=states[state])
    return Trial(
        number=asked.number,
        state=state,
        parameters=parameters,
        value=value,
        epochs=best_epochs,
        trained_epochs=epochs,
        seconds=round(clock() - started, 3),
        error=error,
    )


def _validations(
    dataset: Dataset, options: StudyOptions, parameters: dict[str, Scalar]
) -> Iterator[tuple[int, float]]:
    """Yield the number of epochs and the validation value of the objective, after every few epochs."""
    model = None
    test = held_out_test(dataset)
    assert test is not None  # noqa: S101 - `search` has checked it
    epochs = 0
    while epochs < options.max_epochs:
        step = min(options.epoch_step, options.max_epochs - epochs)
        own = with_parameters(options.start, parameters, epochs=step)
        model = train(dataset, own, on_epoch=lambda: None, start=model)
        epochs += step
        embeddings = extract_embeddings(model, dataset)
        # A diverging model may have scores beyond float32. They rank badly, but aren't an error.
        with np.errstate(over="ignore", invalid="ignore"):
            scores, seed = scores_of(embeddings), options.start.seed
            found = measure_one(scores, test, options.objective, seed=seed)
        yield epochs, found


def _suggest(trial: optuna.Trial, space: SearchSpace) -> dict[str, Scalar]:
    parameters: dict[str, Scalar] = {"loss": trial.suggest_categorical("loss", list(space.losses))}
    for name, (low, high) in space.ranges().items():
        if name == "components":
            parameters[name] = trial.suggest_int(name, int(low), int(high), log=True)
        else:
            parameters[name] = trial.suggest_float(name, low, high, log=True)
    return parameters


def _first(options: StudyOptions) -> dict[str, Scalar]:
    """Return the start's hyperparameters, moved into the search space."""
    first: dict[str, Scalar] = {
        name: min(max(getattr(options.start, name), low), high)
        for name, (low, high) in options.space.ranges().items()
    }
    if options.start.loss in options.space.losses:
        first["loss"] = options.start.loss
    return first


def with_parameters(
    start: Hyperparameters, parameters: dict[str, Scalar], *, epochs: int
) -> Hyperparameters:
    """Return the start's hyperparameters with those of a trial."""
    return replace(start, **parameters, epochs=epochs)  # type: ignore[arg-type]


def import_optuna() -> Any:
    """Import Optuna, an optional extra. Raises ExtraMissingError."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ExtraMissingError("a search for hyperparameters", "tune", str(error.name)) from error
    return optuna


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna: it logs each step to standard error, where the progress bar is."""
    optuna = import_optuna()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
