"""Trains the vectors of a dataset on a Spark cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.storage.id_map import AnyIds
from lightfm_retriever.publication.volume import Volume
from lightfm_retriever.publication.writer import Staging
from lightfm_retriever.remote.credentials import shared_credentials
from trainer.errors import ExtraMissingError, SparkError
from trainer.evaluation.of_cold_users import evaluate_cold_of
from trainer.evaluation.of_dataset import evaluate_dataset
from trainer.evaluation.of_vectors import scores_of
from trainer.fitting.embeddings import Embeddings, Trained
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.models.protocol import Fitting
from trainer.preparing.dataset import Dataset
from trainer.progress import Reporter
from trainer.spark.exchange import ITEMS, USERS, Exchange
from trainer.spark.options import ENGINE, SparkAls
from trainer.spark.session import spark_session
from trainer.spark.vectors import collect
from trainer.timings import Timings

_MAX_REASON = 300
_ABANDONED_AFTER = timedelta(days=7)
_LIBRARIES = ("pyarrow", "pyspark")


@contextlib.contextmanager
def trained_on_spark(
    dataset: Dataset,
    hyperparameters: Hyperparameters,
    options: SparkAls,
    volume: Volume,
    *,
    timings: Timings,
    reporter: Reporter,
) -> Iterator[Trained]:
    """Fit ALS to the positive pairs, and evaluate it. The vectors are files until the block ends.

    Ignores the dataset's features. Of the hyperparameters, only components, epochs, seed and
    sample_weights count. Uses space on the volume for the vectors and the exchange with the nodes.

    Raises:
        ExtraMissingError: pyspark isn't installed.
        SparkError: the cluster failed, or the exchange with it.
        VolumeError: the volume can't be used.
    """
    rank = hyperparameters.components
    with Staging(volume.folder) as staging:
        folder = staging.scratch("vectors")
        with timings.stage("fit"), _exchange(volume, staging) as exchange:
            parts = _fit(dataset, hyperparameters, options, exchange, reporter)
            # Spark's own memory is free again here.
            (item_vectors, unknown_items), (user_vectors, unknown_users) = (
                collect(exchange, of, folder / f"{of}.npy", parts=parts[of], rows=rows, rank=rank)
                for of, rows in ((ITEMS, len(dataset.items)), (USERS, len(dataset.users)))
            )
        embeddings, seed = Embeddings(item_vectors, user_vectors), hyperparameters.seed
        with timings.stage("evaluate"):
            evaluated = evaluate_dataset(
                scores_of(embeddings), dataset, model=ENGINE, fitting=Fitting(seed=seed)
            )
            metrics = dict(evaluated.metrics)
            if evaluated.test is not None:
                metrics |= evaluate_cold_of(evaluated.test, embeddings, None, seed=seed)
        yield Trained(
            embeddings=embeddings,
            metrics=metrics,
            evaluation=evaluated.facts,
            hyperparameters={
                "engine": ENGINE,
                "rank": rank,
                "reg_param": options.als_regularization,
                "alpha": options.als_alpha,
                "iterations": hyperparameters.epochs,
                "sample_weights": hyperparameters.sample_weights,
                "seed": seed,
            },
            libraries=_LIBRARIES,
            warnings=[
                *_unknown("item", dataset.items, unknown_items),
                *_unknown("user", dataset.users, unknown_users),
                *evaluated.warnings,
            ],
        )


@contextlib.contextmanager
def _exchange(volume: Volume, staging: Staging) -> Iterator[Exchange]:
    """Create an exchange, and remove it after the block. Raises SparkError if the store fails.

    The exchange is on the volume itself, not in this machine's copy, because the nodes must reach it.
    """
    if not volume.elsewhere:
        yield Exchange(str(staging.scratch("spark").absolute()))
        return
    everybodys = f"{volume}/{layout.STAGING}"
    try:
        from obstore.exceptions import BaseError
    except ModuleNotFoundError as error:
        raise ExtraMissingError(everybodys, "store", str(error.name)) from error
    location = f"{everybodys}/spark-{uuid4().hex}"
    try:
        exchange = Exchange(location, credentials=shared_credentials())
        # Remove old exchanges of trainers that were killed. No fit takes so long.
        left = Exchange(everybodys, credentials=shared_credentials())
        left.remove(before=datetime.now(UTC) - _ABANDONED_AFTER)
        try:
            yield exchange
        finally:
            exchange.remove()
    except (BaseError, ValueError) as error:
        raise SparkError(f"{location}: {' '.join(str(error).split())[:_MAX_REASON]}") from error


def _fit(
    dataset: Dataset,
    hyperparameters: Hyperparameters,
    options: SparkAls,
    exchange: Exchange,
    reporter: Reporter,
) -> dict[str, int]:
    with (
        reporter.step("Training on Spark, epochs", hyperparameters.epochs) as advance,
        spark_session(options, checkpoints=exchange.folder("checkpoints")) as session,
    ):
        # Import it here: pyspark is an extra, and the session reports if it is missing.
        from trainer.spark import als

        return als.fit(
            session, exchange, options, hyperparameters, train=dataset.train, on_epoch=advance
        )


def _unknown(kind: str, ids: AnyIds, rows: NDArray[np.int64]) -> Iterator[str]:
    if len(rows):
        example = ids.external_id(int(rows[0]))
        yield (
            f"{len(rows)} of {len(ids)} {kind}s, such as {example!r}, have no interaction with a "
            "weight above 0: ALS has no factors of them, so they get the mean of the others"
        )
