"""Fits MLlib's implicit ALS to the pairs of an exchange, and watches its progress."""

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
# Limits of one task: pairs, and bytes of factors.
_BLOCK_PAIRS = 1 << 22
_BLOCK_BYTES = 64 << 20
_LOOK_SECONDS = 0.2
# How long to wait for a node. Clusters that start nodes on demand take minutes.
WAIT_SECONDS = 300.0
# Jobs of a fit before its first iteration. Each iteration has two jobs, for users and for items.
_JOBS_BEFORE = 2
_GROUP = "als"


def write_pairs(exchange: Exchange, train: sp.csr_matrix, *, weighted: bool) -> int:
    """Write the positive pairs of a (users, items) matrix as user, item and rating.

    A pair is positive if its weight is above 0. Its rating is its weight if `weighted`, else 1.

    Returns:
        The number of parts.
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
    """Write the pairs to the exchange, and fit ALS. The nodes write the factors to the exchange.

    Args:
        session: session with the cluster.
        exchange: where pairs and factors go.
        options: settings of ALS.
        hyperparameters: only components, epochs, seed and sample_weights count.
        train: (users, items) weights.
        on_epoch: called from another thread with the number of epochs since the last call.

    Returns:
        The numbers of parts of ITEMS and of USERS in the exchange.

    Raises:
        SparkError: the cluster had no node for WAIT_SECONDS.
    """
    rank = hyperparameters.components
    parts = write_pairs(exchange, train, weighted=hyperparameters.sample_weights)
    source.register(session)
    with _watched(session, options, hyperparameters.epochs, on_epoch):
        pairs = source.read(
            session, exchange, PAIRS, parts=parts, schema="user int, item int, rating float"
        )
        # This job waits for a node: without a node, the number of cores is unknown.
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
    """Return the number of tasks for one side: enough that each task fits a small node's memory."""
    return max(cores, math.ceil(pairs / _BLOCK_PAIRS), math.ceil(rows * rank * 4 / _BLOCK_BYTES))


@contextmanager
def _watched(
    session: SparkSession,
    options: SparkAls,
    epochs: int,
    on_epoch: Callable[[int], None],
) -> Iterator[None]:
    """Report epochs to `on_epoch`, and cancel the jobs if the cluster has no node for too long."""
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
                # Cancel again and again, since the next job may start later.
                starved.set()
                context.cancelAllJobs()
        except Exception:  # the session has ended: the fit itself raises the reason
            return
        if not jobs:
            continue
        # Spark forgets old jobs, so remember the number of the first one.
        first = min(jobs) if first is None else first
        done = min(epochs, max(0, (max(jobs) - first - _JOBS_BEFORE) // 2))
        if done > told:
            on_epoch(done - told)
            told = done
