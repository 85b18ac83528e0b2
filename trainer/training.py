"""A model, fitted and evaluated: in this process, or on Spark."""

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
from trainer.evaluation.of_lightfm import evaluate
from trainer.fitting import warm_start as warm
from trainer.fitting.embeddings import extract_embeddings
from trainer.fitting.lightfm_model import Hyperparameters, train
from trainer.fitting.trained import Trained
from trainer.fitting.user_features import learned
from trainer.preparing.dataset import Dataset
from trainer.preparing.pair_weights import learning_warnings
from trainer.progress import Reporter
from trainer.spark.engine import SparkTraining, trained_on_spark
from trainer.spec import TrainingSpec
from trainer.timings import Timings

_LIBRARIES = ("rectools-lightfm", "scipy")


def start_of(spec: TrainingSpec, volume: Path, dataset: Dataset) -> LightFM | None:
    """The model that the label names, fitted to the dataset's rows; None when there is none yet."""
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
    """Fit and evaluate by the spec's engine; it may yield vectors in files that go after the block."""
    if spec.spark is None:
        yield _trained_here(dataset, spec.hyperparameters, start, timings, reporter)
        return
    # What the nodes reach is where the volume is, not this machine's copy of it.
    exchange = f"{volume}/{layout.STAGING}" if volume.elsewhere else None
    with trained_on_spark(
        dataset,
        spec.hyperparameters,
        SparkTraining(spec.spark, exchange),
        volume.folder,
        timings=timings,
        reporter=reporter,
    ) as trained:
        yield trained


def _trained_here(
    dataset: Dataset,
    hyperparameters: Hyperparameters,
    start: LightFM | None,
    timings: Timings,
    reporter: Reporter,
) -> Trained:
    """LightFM, fitted in this process."""
    with timings.stage("fit"), reporter.step("Training, epochs", hyperparameters.epochs) as advance:
        model = train(dataset, hyperparameters, on_epoch=lambda: advance(1), start=start)
    with timings.stage("evaluate"):
        metrics = evaluate(model, dataset, threads=hyperparameters.threads, seed=hyperparameters.seed)
        embeddings = extract_embeddings(model, dataset)
        state = warm.state_of(model, dataset)
        user_features = learned(state)
        metrics |= evaluate_cold_of(dataset, embeddings, user_features, seed=hyperparameters.seed)
    return Trained(
        embeddings=embeddings,
        metrics=metrics,
        hyperparameters=asdict(hyperparameters),
        libraries=_LIBRARIES,
        model=model,
        state=state,
        user_features=user_features,
        warnings=[*learning_warnings(dataset.train, name=dataset.name, loss=hyperparameters.loss)]
        if hyperparameters.sample_weights
        else [],
    )
