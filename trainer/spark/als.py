"""Fitting MLlib's implicit ALS to pairs in an exchange, and watching it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

from lightfm_retriever.publication.storage.chunks import row_chunks
from trainer.errors import SparkError
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.spark import source
from trainer.spark.exchange import ITEMS, PAIRS, USERS, Exchange
from trainer.spark.options import SparkAls

_SCHEMA = pa.schema([("user", pa.int32()), ("item", pa.int32()), ("rating", pa.float32())])
_PART_PAIRS = 1 << 20
# Of one task: pairs, and bytes of factors.
_BLOCK_PAIRS = 1 << 22
_BLOCK_BYTES = 64 << 20
_LOOK_SECONDS = 0.2
# How long no node may be there. Clusters that start nodes when they are asked to take minutes.
WAIT_SECONDS = 300.0
# Those of a fit before its first iteration; each iteration has two, one for users and one for items.
_JOBS_BEFORE = 2
_GROUP = "als"


def write_pairs(exchange: Exchange, train: sp.csr_matrix, *, weighted: bool) -> int:
    """Write the positives of (users, items) as user, item and rating; returns the number of parts.

    A weight of 0 or less is no positive. A positive's rating is its weight where that is `weighted`,
    else 1.
    """
    parts = [*row_chunks(train.nnz, _PART_PAIRS)]
    for number, part in enumerate(parts):
        weights = train.data[part]
        positive = weights > 0
        users = np.searchsorted(train.indptr, np.arange(part.start, part.stop), side="right") - 1
        columns = (
            users[positive].astype(np.int32),
            train.indices[part][positive].astype(np.int32, copy=False),
            weights[positive] if weighted else np.ones(int(positive.sum()), dtype=np.float32),
        )
        batch = pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=_SCHEMA)
        exchange.write(f"{PAIRS}/{number}", [batch], _SCHEMA)
    return len(parts)


def fit(
    session: SparkSession,
    exchange: Exchange,
    options: SparkAls,
    hyperparameters: Hyperparameters,
    *,
    train: sp.csr_matrix,
    on_epoch: Callable[[int], None],
) -> dict[str, int]:
    """Write the pairs, fit, and have the nodes write the factors to the exchange.

    `train` are (users, items) weights. Of the hyperparameters components, epochs, seed and sample
    weights count. `on_epoch` is told how many more epochs are over, from another thread.

    Returns:
        How many parts of ITEMS and of USERS are in the exchange.

    Raises:
        SparkError: there was no node for WAIT_SECONDS.
    """
    rank = hyperparameters.components
    parts = write_pairs(exchange, train, weighted=hyperparameters.sample_weights)
    source.register(session)
    with _watched(session, options, hyperparameters.epochs, on_epoch):
        pairs = source.read(
            session, exchange, PAIRS, parts=parts, schema="user int, item int, rating float"
        )
        # Waits for a node, without which the number of cores isn't known.
        session.range(1).count()
        cores = session.sparkContext.defaultParallelism
        session.sparkContext.setJobGroup(_GROUP, "ALS")
        model = ALS(
            rank=rank,
            maxIter=hyperparameters.epochs,
            regParam=options.als_regularization,
            alpha=options.als_alpha,
            implicitPrefs=True,
            userCol="user",
            itemCol="item",
            ratingCol="rating",
            numUserBlocks=blocks(train.shape[0], rank, pairs=train.nnz, cores=cores),
            numItemBlocks=blocks(train.shape[1], rank, pairs=train.nnz, cores=cores),
            seed=hyperparameters.seed,
        ).fit(pairs)
        return {
            ITEMS: source.write(model.itemFactors, exchange, ITEMS),
            USERS: source.write(model.userFactors, exchange, USERS),
        }


def blocks(rows: int, rank: int, *, pairs: int, cores: int) -> int:
    """Into how many tasks a side is divided: so many that each fits a small node's memory."""
    return max(cores, math.ceil(pairs / _BLOCK_PAIRS), math.ceil(rows * rank * 4 / _BLOCK_BYTES))


@contextmanager
def _watched(
    session: SparkSession,
    options: SparkAls,
    epochs: int,
    on_epoch: Callable[[int], None],
) -> Iterator[None]:
    """Tell of epochs, and end the jobs when no node has been there for too long."""
    over, starved = threading.Event(), threading.Event()
    watcher = threading.Thread(
        target=_watch,
        args=(session, options, epochs, on_epoch, over, starved),
        name="spark-watch",
        daemon=True,
    )
    watcher.start()
    try:
        yield
    except Exception as error:
        if starved.is_set():
            raise SparkError(
                f"--spark-master {options.spark_master} had no node for {WAIT_SECONDS:g} s: are its "
                "workers running, and do they have the cores and memory that an executor asks for "
                "(--spark-conf spark.executor.memory=...)?"
            ) from error
        raise
    finally:
        over.set()
        watcher.join()


def _watch(
    session: SparkSession,
    options: SparkAls,
    epochs: int,
    on_epoch: Callable[[int], None],
    over: threading.Event,
    starved: threading.Event,
) -> None:
    context = session.sparkContext
    told, first = 0, None
    last_seen = time.monotonic()
    while not over.wait(_LOOK_SECONDS):
        try:
            jobs = context.statusTracker().getJobIdsForGroup(_GROUP)
            nodes = context._jsc.sc().getExecutorMemoryStatus().size()  # noqa: SLF001
            if options.is_local or nodes > 1:
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > WAIT_SECONDS:
                # Again and again, since the next job may only be on its way.
                starved.set()
                context.cancelAllJobs()
        except Exception:  # the session has ended: who waits for the fit is told why
            return
        if not jobs:
            continue
        # Spark forgets the oldest of many.
        first = min(jobs) if first is None else first
        done = min(epochs, max(0, (max(jobs) - first - _JOBS_BEFORE) // 2))
        if done > told:
            on_epoch(done - told)
            told = done
