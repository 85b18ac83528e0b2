"""Fit and evaluate a model, in this process or on Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from lightfm import LightFM

from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.errors import LabelError
from lightfm_retriever.publication.manifest import TrialFacts
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.volume import Volume
from trainer import models
from trainer.errors import OptionError
from trainer.evaluation.of_cold_users import evaluate_cold_of
from trainer.evaluation.of_dataset import evaluate_dataset
from trainer.fitting import warm_start as warm
from trainer.fitting.embeddings import Trained
from trainer.fitting.folding import folded_users, servable_fold_in
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.models.given import COMMON, UsersBy
from trainer.models.protocol import Family, Fitted, Fitting, Shape
from trainer.preparing.dataset import Dataset
from trainer.progress import Reporter
from trainer.selection.search import select
from trainer.selection.trial import Trying, Validation, shown, try_out
from trainer.spark.engine import trained_on_spark
from trainer.spec import TrainingSpec
from trainer.timings import Timings


@dataclass(frozen=True, kw_only=True)
class PreparedData:
    """The data of a training run.

    Attributes:
        dataset: with the test interactions.
        validation: its training interactions, some of them held out; None unless a model is chosen.
        start: the model of a warm start; None without one.
    """

    dataset: Dataset
    validation: Dataset | None = None
    start: LightFM | None = None


def start_of(spec: TrainingSpec, volume: Path, dataset: Dataset) -> LightFM | None:
    """Return the model of the version that the label names, for a warm start; None without one."""
    try:
        version = labels.read_label(volume, spec.label or layout.DEFAULT_LABEL)
    except LabelError:
        return None
    state = warm.load(volume, version)
    return None if state is None else warm.warm_model(state, dataset, _lightfm(spec, dataset))


@contextmanager
def trained_by(
    spec: TrainingSpec, prepared: PreparedData, volume: Volume, timings: Timings, reporter: Reporter
) -> Iterator[Trained]:
    """Choose, fit and evaluate a model; its vectors may be in files that the block deletes.

    Raises:
        TrainerError: no model could be chosen or fitted.
    """
    dataset, given = prepared.dataset, spec.hyperparameters
    if spec.spark is not None:
        own = given.of_lightfm()
        with trained_on_spark(
            dataset, own, spec.spark, volume, timings=timings, reporter=reporter
        ) as trained:
            yield trained
        return
    fitting = Fitting(
        seed=given.seed,
        threads=given.threads,
        sample_weights=given.sample_weights,
        start=prepared.start,
    )
    choice = _choose(spec, prepared, fitting, timings, reporter)
    family, settings = choice.family, choice.settings
    epochs = family.epochs(settings)
    with timings.stage("fit"), reporter.step("Training, epochs", epochs) as advance:
        fitted = family.fit(dataset, settings, replace(fitting, after_epoch=lambda *_: advance(1)))
        fold_in = None
        if fitted.embeddings is not None and choice.folded_in:
            fitted, fold_in = _folded_in(fitted, dataset, seed=given.seed)
    with timings.stage("evaluate"):
        evaluated = evaluate_dataset(fitted.scores, dataset, model=family.name, fitting=fitting)
        metrics = dict(evaluated.metrics)
        made, features = fitted.embeddings, fitted.user_features
        if made is not None and evaluated.test is not None:
            alone = None if features is None else features.alone(dataset)
            metrics |= evaluate_cold_of(evaluated.test, made, alone, seed=given.seed)
    yield Trained(
        embeddings=fitted.embeddings,
        neighbours=fitted.neighbours,
        profiles=fitted.profiles if fitted.embeddings is None else None,
        family=family.name,
        metrics=metrics,
        evaluation=evaluated.facts,
        hyperparameters={
            "model": family.name,
            **shown(settings),
            **{name: getattr(given, name) for name in COMMON},
        },
        libraries=family.libraries,
        model=fitted.model,
        state=fitted.state,
        user_features=fitted.user_features,
        fold_in=fold_in,
        trials=choice.trials,
        warnings=[
            *fitted.warnings,
            *choice.warnings,
            *evaluated.warnings,
        ],
    )


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """The model to fit, and the candidates that it was chosen among."""

    family: Family
    settings: Any
    folded_in: bool
    trials: Sequence[TrialFacts] = ()
    warnings: Sequence[str] = ()


def _choose(
    spec: TrainingSpec, prepared: PreparedData, fitting: Fitting, timings: Timings, reporter: Reporter
) -> _Choice:
    """Choose a family, its settings and how to represent users, as far as the spec leaves it open.

    Raises:
        TrainerError: no model could be chosen, or the family can't be fitted to the data.
    """
    validation, how = prepared.validation, Trying(users_by=cast("UsersBy", spec.users_by))
    if validation is not None and spec.chooses_model:
        with timings.stage("select"):
            found = select(
                validation,
                budget_seconds=spec.search_seconds,
                fitting=fitting,
                reporter=reporter,
                how=how,
            )
        best = found.chosen
        family = models.family(best.model)
        return _Choice(
            family=family,
            settings=family.settings(**best.settings),
            folded_in=best.folded_in,
            trials=found.trials,
            warnings=found.warnings,
        )
    family = models.family(models.LIGHTFM if spec.chooses_model else spec.family)
    shape = Shape.of(prepared.dataset)
    if (problem := family.problem(shape)) is not None:
        raise OptionError("--model", family.name, f"another one: {problem}")
    given = models.settings_of(family, spec.hyperparameters, spec.settings)
    settings = family.filled(shape, given)
    folded_in = spec.users_by == "fold-in"
    if validation is None or spec.chooses_model:
        return _Choice(family=family, settings=settings, folded_in=folded_in)
    with timings.stage("validate"):
        users = Validation.of(validation, seed=fitting.seed)
        trial = try_out(family, settings, users, fitting, replace(how, ends_early=False))
    return _Choice(family=family, settings=settings, folded_in=trial.folded_in, trials=[trial])


def _lightfm(spec: TrainingSpec, dataset: Dataset) -> Hyperparameters:
    """Return the hyperparameters of LightFM for a dataset."""
    own = models.family(models.LIGHTFM)
    given = models.settings_of(own, spec.hyperparameters, spec.settings)
    made: Hyperparameters = own.filled(Shape.of(dataset), given)
    return replace(made, seed=spec.hyperparameters.seed, threads=spec.hyperparameters.threads)


def _folded_in(fitted: Fitted, dataset: Dataset, *, seed: int) -> tuple[Fitted, FoldIn | None]:
    """Replace the users' vectors by the fold-in of their items; also return the fold-in."""
    made, profiles = fitted.embeddings, dataset.profiles()
    assert made is not None  # noqa: S101 - the caller has checked it
    fold_in = servable_fold_in(made, profiles, seed=seed)
    if fold_in is None:
        return fitted, None
    users = folded_users(fold_in, made, profiles)
    return replace(fitted, embeddings=replace(made, user_vectors=users)), fold_in
