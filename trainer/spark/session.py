"""Runs a session with a Spark cluster, with a Java process on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.errors import ExtraMissingError, SparkError
from trainer.spark.options import ENGINE, SparkAls
from trainer.spark.reasons import reason_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CONNECT_SECONDS = 10.0
# How long the Java process may take to delete its temporary files at its end.
_END_SECONDS = 20.0
_OURS = {
    "spark.app.name": "trainer",
    # No factors pass through the driver, so this is enough for a catalogue of any size.
    "spark.driver.memory": "1g",
    # Without checkpoints, each iteration refers to the previous one, so the recursion grows.
    "spark.driver.extraJavaOptions": "-Xss16m",
    "spark.executor.extraJavaOptions": "-Xss16m",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "WARN",
    "spark.sql.shuffle.partitions": "8",
}
_OURS_LOCALLY = {
    # The only node is this process: no other machine needs to reach it.
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "2g",
}


@contextlib.contextmanager
def spark_session(options: SparkAls, *, checkpoints: Path | None) -> Iterator[SparkSession]:
    """Start a session. After the block, end the session and its Java process.

    Args:
        options: the cluster. Its Spark settings override the trainer's.
        checkpoints: folder that all nodes see. With checkpoints, Spark doesn't start over when it loses
            a node. None for no checkpoints, unless a Spark setting names a folder.

    Raises:
        ExtraMissingError: pyspark isn't installed.
        SparkError: Java is missing, the master can't be reached, or Spark fails in the block. The error
            has Spark's reason and the path of its log.
    """
    # Nothing here uses pandas, but Spark imports it where it is installed, and warns of its version.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    try:
        import pyspark  # noqa: F401
    except ModuleNotFoundError as error:
        raise ExtraMissingError(f"--engine {ENGINE}", "spark", str(error.name)) from error
    _check_java()
    _check_reachable(options)
    handle, name = tempfile.mkstemp(prefix="trainer-spark-", suffix=".log")
    log = Path(name)
    settings = _settings(options, checkpoints)
    kept = False
    try:
        with (
            os.fdopen(handle, "wb") as output,
            _explained(options, log),
            _running(settings, local=options.is_local, output=output) as session,
            # The reason comes from Java, so find it before Java ends.
            _explained(options, log),
        ):
            yield session
    except SparkError as error:
        kept = error.log is not None
        raise
    finally:
        if not kept:
            log.unlink()


@contextlib.contextmanager
def _explained(options: SparkAls, log: Path) -> Iterator[None]:
    """Turn Spark's errors into a SparkError with the reason in one line."""
    try:
        yield
    except Exception as error:
        if not _is_sparks(error):
            raise
        reason = reason_of(error, log)
        raise SparkError(f"Spark at {options.spark_master}: {reason}", log=log) from error


@contextlib.contextmanager
def _running(settings: dict[str, str], *, local: bool, output: Any) -> Iterator[SparkSession]:
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    conf = SparkConf(loadDefaults=False).setAll([*settings.items()])
    # The driver's Python is this one. Nodes use their own.
    pythons = {"PYSPARK_DRIVER_PYTHON": sys.executable}
    if (python := settings.get("spark.pyspark.python", sys.executable if local else None)) is not None:
        pythons["PYSPARK_PYTHON"] = python
    with _environment(pythons):
        gateway = launch_gateway(conf, {"stdout": output, "stderr": output})
        try:
            context = SparkContext(conf=conf, gateway=gateway)
            # The accumulator server would print a traceback if Java ends before it.
            context._accumulatorServer.handle_error = lambda *_: None  # noqa: SLF001
            try:
                yield SparkSession(context)
            finally:
                # If `stop` fails, the end of the Java process ends the session.
                with contextlib.suppress(Exception):
                    context.stop()
        finally:
            _end(gateway)
            # Otherwise the next session would call the process that has ended.
            SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001
            SparkSession._instantiatedSession = None  # noqa: SLF001


def _end(gateway: Any) -> None:
    with contextlib.suppress(Exception):
        gateway.shutdown()
    process: subprocess.Popen[bytes] = gateway.proc
    assert process.stdin is not None  # noqa: S101 - it was made with a pipe
    # Closing its standard input ends the process.
    process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _settings(options: SparkAls, checkpoints: Path | None) -> dict[str, str]:
    settings = {**_OURS, **(_OURS_LOCALLY if options.is_local else {})}
    if checkpoints is not None:
        settings["spark.checkpoint.dir"] = checkpoints.absolute().as_uri()
    return {**settings, **options.spark_conf, "spark.master": options.spark_master}


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if (shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")) is None:
        where = f"in JAVA_HOME ({home})" if home else "on the PATH, and JAVA_HOME isn't set"
        raise SparkError(
            f"--engine {ENGINE} needs Java 17 or newer: there is no java {where}; install "
            "openjdk-17-jre-headless, for instance"
        )


def _check_reachable(options: SparkAls) -> None:
    """Raise SparkError if no master can be reached: Spark itself would try for minutes."""
    problems = []
    for host, port in options.addresses:
        try:
            socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            problems.append(f"{host}:{port}: {error.strerror or error}")
        else:
            return
    if problems:
        raise SparkError(
            f"--spark-master {options.spark_master} can't be reached: {'; '.join(problems)}"
        )


def _is_sparks(error: Exception) -> bool:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    # If the Java process was killed, Py4J raises a ConnectionError.
    return isinstance(error, Py4JError | PySparkException | ConnectionError)


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Set variables for the block, without those that are set already."""
    new = {name: value for name, value in changes.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)
