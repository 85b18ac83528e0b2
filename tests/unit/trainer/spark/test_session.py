from __future__ import annotations

import socket
import sys

import pytest

from trainer.errors import ExtraMissingError, SparkError
from trainer.spark.options import SparkAls
from trainer.spark.reasons import last_problem, reason_of
from trainer.spark.session import spark_session


@pytest.fixture
def java(tmp_path, monkeypatch):
    """A java that is there, and never started by these tests."""
    program = tmp_path / "java" / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    return program


@pytest.fixture
def _pyspark(monkeypatch):
    """One to import."""
    monkeypatch.setitem(sys.modules, "pyspark", object())


def begin(master):
    with spark_session(SparkAls(spark_master=master), checkpoints=None):
        pytest.fail("there is a session")


def test_without_pyspark_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(ExtraMissingError, match=r"--engine spark-als needs 'pyspark'.*\[spark\]"):
        begin("local")


@pytest.mark.usefixtures("_pyspark")
def test_without_java_what_to_install_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(SparkError, match="no java on the PATH, and JAVA_HOME isn't set; install openj"):
        begin("local")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(SparkError, match=r"no java in JAVA_HOME \(/nowhere\)"):
        begin("local")


@pytest.mark.usefixtures("_pyspark", "java")
@pytest.mark.parametrize("scheme", ["spark://", "k8s://https://"])
def test_a_master_that_does_not_listen_is_named_before_java_is_started(scheme):
    with socket.socket() as found:
        # It is bound, and nobody listens.
        found.bind(("127.0.0.1", 0))
        master = f"{scheme}127.0.0.1:{found.getsockname()[1]}"
        with pytest.raises(SparkError, match=r"can't be reached: 127\.0\.0\.1:.*: Connection refused"):
            begin(master)


PYTHON = """An error occurred while calling o73.fit.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 failed 4 times, most \
recent failure: Lost task 0.3 in stage 0.0 (TID 3) (127.0.0.1 executor 0): \
org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "worker.py", line 1, in main
    process()
FileNotFoundError: /data/pairs/0.parquet isn't there: every node

\tat org.apache.spark.api.python.BasePythonRunner.read(PythonRunner.scala:1)
\tat java.base/java.lang.Thread.run(Thread.java:840)

Driver stacktrace:
\tat org.apache.spark.scheduler.DAGScheduler.failJobAndIndependentStages(DAGScheduler.scala:1)
Caused by: org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "worker.py", line 1, in main
FileNotFoundError: /data/pairs/0.parquet isn't there: every node
\tat org.apache.spark.api.python.BasePythonRunner.read(PythonRunner.scala:1)
"""
NO_PYTHON = 'Cannot run program "/nowhere/python": error=2, No such file or directory'
CAUSES = f""": java.io.IOException: {NO_PYTHON}
\tat java.base/java.lang.ProcessBuilder.start(ProcessBuilder.java:1143)
Caused by: java.io.IOException: error=2, No such file or directory
\t... 5 more
"""
JAVA = f"""An error occurred while calling o73.fit.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 failed
\tat org.apache.spark.Foo.bar(Foo.scala:1)
Caused by{CAUSES}"""
NO_JOB = f"An error occurred while calling o59.load.\n{CAUSES}"
PLAIN = """An error occurred while calling None.org.apache.spark.api.java.JavaSparkContext.
: java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.
This stopped SparkContext was created at:
\tat org.apache.spark.Foo.bar(Foo.scala:1)
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PYTHON, "FileNotFoundError: /data/pairs/0.parquet isn't there: every node"),
        (JAVA, f"IOException: {NO_PYTHON}"),
        (NO_JOB, f"IOException: {NO_PYTHON}"),
        (PLAIN, "IllegalStateException: Cannot call methods on a stopped SparkContext."),
        ("x" * 1000, "x" * 397 + "..."),
    ],
)
def test_the_last_cause_is_told_in_one_line(text, reason, tmp_path):
    assert reason_of(Exception(text), tmp_path / "none") == reason


def test_of_a_process_that_ended_the_log_tells_why(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "26/11/26 20:11:21 WARN Utils: Set SPARK_LOCAL_IP\n"
        'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space\n'
        "\tat java.base/java.lang.Error.foo(Error.java:1)\n"
        "the end\n"
    )
    reason = 'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space'
    assert last_problem(log) == reason
    for error in (ConnectionResetError("reset"), Exception("Answer from Java side is empty")):
        assert reason_of(error, log) == f"its process ended: {reason}"
    assert reason_of(Exception("[JAVA_GATEWAY_EXITED]"), log) == f"Java can't be started: {reason}"


def test_of_a_context_that_was_shut_down_the_log_tells_why(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "26/11/26 ERROR Executor: Exception in task 1.0\njava.lang.StackOverflowError\n\tat a\n"
    )
    error = Exception("Job 39 cancelled because SparkContext was shut down")
    assert reason_of(error, log) == "it was shut down: java.lang.StackOverflowError"
    assert reason_of(error, tmp_path / "none") == str(error)


def test_of_a_master_that_never_answers_the_log_tells(tmp_path):
    log = tmp_path / "log"
    why = "All masters are unresponsive! Giving up."
    log.write_text(f"26/11/26 ERROR Backend: Application has been killed. Reason: {why}\nERROR later\n")
    assert reason_of(ConnectionResetError("reset"), log) == f"its process ended: {why}"


def test_a_log_that_says_nothing_is_no_trouble(tmp_path):
    assert last_problem(tmp_path / "none") == "nothing says why"
    (tmp_path / "empty").touch()
    assert last_problem(tmp_path / "empty") == "nothing says why"
