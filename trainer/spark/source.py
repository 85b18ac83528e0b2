"""Provides the exchange's parts as a Spark data source, which the nodes read and write themselves.

So the cluster needs no Hadoop library for an object store. (`mapInArrow` would work, too, but needs
pandas.)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pyspark import cloudpickle
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import (
    DataSource,
    DataSourceArrowWriter,
    DataSourceReader,
    InputPartition,
    WriterCommitMessage,
)
from pyspark.sql.types import StructType

from lightfm_retriever.remote import credentials
from trainer.spark import exchange
from trainer.spark.exchange import Exchange

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = "exchange"


class ExchangeSource(DataSource):
    """A data source of the parts NAME/0, NAME/1, ... of an exchange."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the data source in Spark."""
        return _NAME

    def schema(self) -> str:
        """Return the columns of the pairs; factors are only written."""
        return str(self.options["schema"])

    def reader(self, schema: StructType) -> DataSourceReader:  # noqa: ARG002 - the interface's
        """See DataSource."""
        return _Reader(
            Exchange(self.options["location"]), self.options["part"], int(self.options["parts"])
        )

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceArrowWriter:  # noqa: ARG002
        """See DataSource."""
        return _Writer(Exchange(self.options["location"]), self.options["part"])


class _Reader(DataSourceReader):
    def __init__(self, of: Exchange, part: str, parts: int) -> None:
        self._exchange, self._part, self._parts = of, part, parts

    def partitions(self) -> Sequence[InputPartition]:
        return [InputPartition(number) for number in range(self._parts)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        yield from self._exchange.read(f"{self._part}/{partition.value}")


class _Writer(DataSourceArrowWriter):
    def __init__(self, of: Exchange, part: str) -> None:
        self._exchange, self._part = of, part

    def write(self, iterator: Iterator[pa.RecordBatch]) -> WriterCommitMessage:
        import pyarrow as pa
        from pyspark import TaskContext

        # Cast Spark's types to the trainer's.
        schema = pa.schema([("id", pa.int32()), ("features", pa.list_(pa.float32()))])
        context = TaskContext.get()
        assert context is not None  # noqa: S101 - in a task
        batches = (batch.cast(schema) for batch in iterator)
        self._exchange.write(f"{self._part}/{context.partitionId()}", batches, schema)
        return WriterCommitMessage()


def register(session: SparkSession) -> None:
    """Register the data source with a session."""
    # Nodes have pyspark and pyarrow, but not this project, so send its code with the tasks.
    for module in (credentials, exchange, sys.modules[__name__]):
        cloudpickle.register_pickle_by_value(module)
    session.dataSource.register(ExchangeSource)


def read(session: SparkSession, of: Exchange, part: str, *, parts: int, schema: str) -> DataFrame:
    """Return the rows of all parts of a kind."""
    options = {"location": of.location, "part": part, "parts": str(parts), "schema": schema}
    return session.read.format(_NAME).options(**options).load()


def write(rows: DataFrame, of: Exchange, part: str) -> int:
    """Write factors, one part for each partition. Returns the number of parts."""
    options = {"location": of.location, "part": part}
    rows.write.format(_NAME).options(**options).mode("append").save()
    return int(rows.rdd.getNumPartitions())
