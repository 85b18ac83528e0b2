import pytest

from trainer.spark.reasons import reason_of

IN_PYTHON = """org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "worker.py", line 1, in main
FileNotFoundError: /data/pairs/0.parquet isn't there: every node

\tat org.apache.spark.api.python.BasePythonRunner.read(PythonRunner.scala:1)
"""
PYTHON = f"""An error occurred while calling o73.fit.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 failed: {IN_PYTHON}
Driver stacktrace:
\tat org.apache.spark.scheduler.DAGScheduler.failJobAndIndependentStages(DAGScheduler.scala:1)
Caused by: {IN_PYTHON}"""
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
NO_MEMORY = 'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space'
ENDED = f"""26/11/26 20:11:21 WARN Utils: Set SPARK_LOCAL_IP
{NO_MEMORY}
\tat java.base/java.lang.Error.foo(Error.java:1)
the end
"""
OVERFLOW = "26/11/26 ERROR Executor: Exception in task 1.0\njava.lang.StackOverflowError\n\tat a\n"
MASTERS = "All masters are unresponsive! Giving up."
GIVEN_UP = f"26/11/26 ERROR Backend: Application has been killed. Reason: {MASTERS}\nERROR later\n"
SHUT_DOWN = "Job 39 cancelled because SparkContext was shut down"
PLAIN = """An error occurred while calling None.org.apache.spark.api.java.JavaSparkContext.
: java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.
This stopped SparkContext was created at:
\tat org.apache.spark.Foo.bar(Foo.scala:1)
"""


@pytest.mark.parametrize(
    ("log", "error", "reason"),
    [
        (None, Exception(PYTHON), "FileNotFoundError: /data/pairs/0.parquet isn't there: every node"),
        (None, Exception(JAVA), f"IOException: {NO_PYTHON}"),
        (None, Exception(NO_JOB), f"IOException: {NO_PYTHON}"),
        (
            None,
            Exception(PLAIN),
            "IllegalStateException: Cannot call methods on a stopped SparkContext.",
        ),
        (None, Exception("x" * 1000), "x" * 397 + "..."),
        (ENDED, ConnectionResetError("reset"), f"its process ended: {NO_MEMORY}"),
        (ENDED, Exception("Answer from Java side is empty"), f"its process ended: {NO_MEMORY}"),
        (ENDED, Exception("[JAVA_GATEWAY_EXITED]"), f"Java can't be started: {NO_MEMORY}"),
        (OVERFLOW, Exception(SHUT_DOWN), "it was shut down: java.lang.StackOverflowError"),
        (None, Exception(SHUT_DOWN), SHUT_DOWN),
        # Of a master that never answers.
        (GIVEN_UP, ConnectionResetError("reset"), f"its process ended: {MASTERS}"),
        # A log that says nothing is no trouble.
        ("", ConnectionResetError("reset"), "its process ended: its log has no lines"),
        (None, ConnectionResetError("reset"), "its process ended: its log has no lines"),
    ],
)
def test_the_last_cause_or_of_a_process_that_ended_the_log_tells_why(tmp_path, log, error, reason):
    path = tmp_path / "log"
    if log is not None:
        path.write_text(log)
    assert reason_of(error, path) == reason
