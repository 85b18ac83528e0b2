"""Fit and evaluate a model, in this process or on Spark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from lightfm import LightFM
from lightfm.evaluation import auc_score, precision_at_k

from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.errors import LabelError
from lightfm_retriever.publication.volume import Volume
from trainer.evaluation.of_cold_users import evaluate_cold_of
from trainer.evaluation.of_vectors import MAX_USERS
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
        metrics = evaluate(model, dataset, threads=hyperparameters.threads, seed=hyperparameters.seed)
        embeddings = extract_embeddings(model, dataset)
        state = warm.state_of(model, dataset)
        user_features = learned(state)
        metrics |= evaluate_cold_of(dataset, embeddings, user_features, seed=hyperparameters.seed)
    warnings: list[str] = []
    if hyperparameters.sample_weights:
        warnings += learning_warnings(dataset.train, name=dataset.name, loss=hyperparameters.loss)
    yield Trained(
        embeddings=embeddings,
        metrics=metrics,
        hyperparameters=asdict(hyperparameters),
        libraries=_LIBRARIES,
        model=model,
        state=state,
        user_features=user_features,
        warnings=warnings,
    )


def evaluate(model: LightFM, dataset: Dataset, *, threads: int, seed: int) -> dict[str, float]:
    """Compute precision@10 and AUC with LightFM's evaluation, as means over users.

    `train_*` and `test_*` rank all items, as by default in LightFM. `*_unseen` leave out the items of
    the user's training interactions, as recommendations do. Users without a positive in the evaluated
    part don't count, and AUC also skips users whose ranked items are all positives. If there are more
    than MAX_USERS, that many are drawn by `seed`.

    Returns:
        Metrics by name, without those of an empty part. `evaluated_users` counts the users of the test
        part.
    """
    random = np.random.default_rng(seed)
    metrics: dict[str, float] = {}
    train = _two_rows(_sample(dataset.train, random))
    test = _two_rows(_sample(dataset.test, random))
    user_features = _two_rows(dataset.user_features)
    for part, positives, excluded in (
        ("train_{}", train, None),
        ("test_{}", test, None),
        ("test_{}_unseen", test, _two_rows(dataset.train)),
    ):
        if positives.nnz == 0:
            continue
        options = {
            "train_interactions": excluded,
            "user_features": user_features,
            "item_features": dataset.item_features,
            "num_threads": threads,
        }
        precision = precision_at_k(model, positives, k=10, **options)
        metrics[part.format("precision_at_10")] = float(precision.mean())
        auc = auc_score(model, positives, **options)
        # LightFM divides by the number of negatives, so AUC is NaN for users without any.
        if len(defined := auc[~np.isnan(auc)]):
            metrics[part.format("auc")] = float(defined.mean())
    metrics["evaluated_users"] = float((test.getnnz(axis=1) > 0).sum())
    return metrics


def _sample(interactions: sp.csr_matrix, random: np.random.Generator) -> sp.csr_matrix:
    """Return the positives of at most MAX_USERS users; other rows are empty."""
    positives = interactions.multiply(interactions > 0).tocsr().astype(np.float32)
    positives.eliminate_zeros()
    users = np.flatnonzero(positives.getnnz(axis=1))
    if len(users) > MAX_USERS:
        chosen = np.zeros(positives.shape[0], dtype=np.float32)
        chosen[random.choice(users, MAX_USERS, replace=False)] = 1
        positives = (sp.diags(chosen) @ positives).tocsr()
        positives.eliminate_zeros()
    return positives


def _two_rows(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Add an empty row to a matrix of one row, since LightFM squeezes arrays of length 1."""
    if matrix.shape[0] != 1:
        return matrix
    return sp.vstack([matrix, sp.csr_matrix((1, matrix.shape[1]), dtype=matrix.dtype)], format="csr")
