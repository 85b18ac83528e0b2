import socket
import sys

import pytest

from trainer.errors import ExtraMissingError, SparkError
from trainer.spark.options import SparkAls
from trainer.spark.session import spark_session


@pytest.fixture(autouse=True)
def _pyspark(monkeypatch):
    """One to import."""
    monkeypatch.setitem(sys.modules, "pyspark", object())


def begin(master):
    with spark_session(SparkAls(spark_master=master), checkpoints=None):
        pytest.fail("there is a session")


def test_without_java_or_pyspark_what_to_install_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(SparkError, match="no java on the PATH, and JAVA_HOME isn't set; install openj"):
        begin("local")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(SparkError, match=r"no java in JAVA_HOME \(/nowhere\)"):
        begin("local")
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(ExtraMissingError, match=r"--engine spark-als needs 'pyspark'.*\[spark\]"):
        begin("local")


@pytest.mark.parametrize("scheme", ["spark://", "k8s://https://"])
def test_a_master_that_does_not_listen_is_named_before_java_is_started(tmp_path, monkeypatch, scheme):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch(mode=0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with socket.socket() as found:
        # It is bound, and nobody listens.
        found.bind(("127.0.0.1", 0))
        master = f"{scheme}127.0.0.1:{found.getsockname()[1]}"
        with pytest.raises(SparkError, match=r"can't be reached: 127\.0\.0\.1:.*: Connection refused"):
            begin(master)
