"""Fit and evaluate a model, in this process or on Spark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from lightfm import LightFM

from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.errors import LabelError
from lightfm_retriever.publication.volume import Volume
from trainer.evaluation.of_cold_users import evaluate_cold_of
from trainer.evaluation.of_dataset import evaluate_dataset
from trainer.evaluation.of_vectors import scores_of
from trainer.fitting import warm_start as warm
from trainer.fitting.embeddings import Trained, extract_embeddings, learned
from trainer.fitting.lightfm_model import learning_warnings, train
from trainer.preparing.dataset import Dataset
from trainer.progress import Reporter
from trainer.spark.engine import trained_on_spark
from trainer.spec import TrainingSpec
from trainer.timings import Timings

_LIBRARIES = ("rectools-lightfm", "scipy")


def start_of(spec: TrainingSpec, volume: Path, dataset: Dataset) -> LightFM | None:
    """Return the model of the version that the label names, for a warm start; None without one."""
    try:
        version = labels.read_label(volume, spec.label or layout.DEFAULT_LABEL)
    except LabelError:
        return None
    state = warm.load(volume, version)
    return None if state is None else warm.warm_model(state, dataset, spec.hyperparameters)


@contextmanager
def trained_by(
    spec: TrainingSpec,
    volume: Volume,
    dataset: Dataset,
    start: LightFM | None,
    timings: Timings,
    reporter: Reporter,
) -> Iterator[Trained]:
    """Fit and evaluate with the engine of the spec; vectors may be in files that the block deletes."""
    hyperparameters = spec.hyperparameters
    if spec.spark is not None:
        with trained_on_spark(
            dataset, hyperparameters, spec.spark, volume, timings=timings, reporter=reporter
        ) as trained:
            yield trained
        return
    with timings.stage("fit"), reporter.step("Training, epochs", hyperparameters.epochs) as advance:
        model = train(dataset, hyperparameters, on_epoch=lambda: advance(1), start=start)
    with timings.stage("evaluate"):
        embeddings = extract_embeddings(model, dataset)
        evaluated = evaluate_dataset(scores_of(embeddings), dataset, seed=hyperparameters.seed)
        state = warm.state_of(model, dataset)
        user_features = learned(state)
        cold = evaluate_cold_of(dataset, embeddings, user_features, seed=hyperparameters.seed)
    warnings: list[str] = []
    if hyperparameters.sample_weights:
        warnings += learning_warnings(dataset.train, name=dataset.name, loss=hyperparameters.loss)
    yield Trained(
        embeddings=embeddings,
        metrics=evaluated.metrics | cold,
        evaluation=evaluated.facts,
        hyperparameters=asdict(hyperparameters),
        libraries=_LIBRARIES,
        model=model,
        state=state,
        user_features=user_features,
        warnings=warnings,
    )
