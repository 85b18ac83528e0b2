"""Training on Spark: in one process, on a cluster that loses a node, by way of an object store."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import list_labels
from lightfm_retriever.publication.reader import list_versions, open_publication
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.volume import Volume
from lightfm_retriever.remote.location import parse_location
from lightfm_retriever.remote.store import Store
from tests import datasets, seaweedfs, spark
from tests.integration.trainer.conftest import start
from trainer.errors import SparkError
from trainer.models.given import GivenHyperparameters
from trainer.pipeline import Places, train_and_publish
from trainer.progress import Silent
from trainer.promotion.checks import promote_if_passed
from trainer.promotion.gates import Gates
from trainer.spark.options import SparkAls
from trainer.spec import DataSpec, TrainingSpec

pytestmark = [
    pytest.mark.skipif(not spark.installed(), reason=spark.MISSING),
    # Starting Java takes seconds, and many on a busy machine.
    pytest.mark.timeout(300),
]

EPOCHS = 6
HYPERPARAMETERS = GivenHyperparameters(components=4, epochs=EPOCHS, seed=1, sample_weights=True)
ALS = {"als_regularization": 0.05, "als_alpha": 2.0}
# ALS can know nothing of somebody who has only seen things, nor of what was only seen.
ROWS = [*datasets.rows(), ("nobody", "i1", 0.0), ("u1", "unloved", 0.0)]


@pytest.fixture(scope="module", autouse=True)
def _quick_java():
    """Compiles little, which pays for processes that live for seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        yield


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return datasets.write_rows(tmp_path_factory.mktemp("files") / "interactions.parquet", ROWS)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with spark.cluster(tmp_path_factory.mktemp("spark")) as running:
        yield running


def by_command(file, volume, *flags, **environment):
    """Run `trainer train --engine spark-als`; returns exit status, output and errors."""
    arguments = ["train", "--volume", volume, "--interactions", file, "--engine", "spark-als"]
    arguments += ["--components", 4, "--epochs", EPOCHS, "--seed", 1, "--sample-weights"]
    arguments += ["--als-regularization", 0.05, "--als-alpha", 2, "--backend", "exact", *flags]
    with start(*arguments, **environment) as process:
        output, errors = process.communicate()
    return process.returncode, output, errors


def train(file, volume, options, *, reporter=None):
    """The same in this process."""
    spec = TrainingSpec(
        data=DataSpec(interactions=str(file), split="random"),
        hyperparameters=HYPERPARAMETERS,
        backend="exact",
        gates=Gates(allow_different_data=True),
        spark=options,
    )
    place = Volume(volume)
    result = train_and_publish(spec, Places(place, volume, volume), reporter=reporter)
    return promote_if_passed(place, result, label=spec.label)


def staged(volume):
    return [*layout.staging_dir(volume).iterdir()]


@pytest.fixture(scope="module")
def local(file, tmp_path_factory):
    """A volume that a command trained for in one process of Spark's, and what it said."""
    place, temporary = tmp_path_factory.mktemp("local"), tmp_path_factory.mktemp("tmp")
    # The log would be there.
    flags = ["--spark-master", "local[2]", "--json"]
    status, output, errors = by_command(file, place, *flags, TMPDIR=str(temporary))
    assert (status, errors) == (0, "")
    left = [path.name for path in temporary.iterdir() if "spark" in path.name]
    return place, json.loads(output), left


def test_a_command_trains_and_publishes_with_nothing_left_over(local):
    volume, said, left = local
    manifest = verify(volume, said["version"])
    assert list_labels(volume) == {"current": manifest.version}
    als_settings = {"rank": 4, "reg_param": 0.05, "alpha": 2.0, "iterations": EPOCHS}
    shared = {"engine": "spark-als", "sample_weights": True, "seed": 1}
    assert manifest.hyperparameters == shared | als_settings
    assert manifest.libraries["pyspark"].startswith("4.")
    assert "rectools-lightfm" not in manifest.libraries
    precisions = {f"test_precision_at_10_{of}" for of in ("unseen", "folded_in", "popular")}
    assert manifest.metrics.keys() >= {"test_auc_unseen", *precisions}
    assert (staged(volume), left) == ([], [])

    # Who has no positive stands for the mean.
    found = open_publication(volume, said["version"])
    for kind, name, ids, vectors in (
        ("item", "unloved", found.items, found.item_vectors),
        ("user", "nobody", found.users, found.user_vectors),
    ):
        row = ids.row(name)
        others = np.delete(np.array(vectors), row, axis=0)
        np.testing.assert_allclose(vectors[row], others.mean(axis=0) / 1000, rtol=1e-4)
        [warning] = [text for text in said["warnings"] if text.startswith(f"1 of {len(ids)} {kind}s")]
        assert repr(name) in warning
        assert not vectors[:, -1].any(), "ALS has no biases"


class Killing(Silent):
    """Kills a node in the middle of the fit, once two epochs are over."""

    def __init__(self, node):
        self._node, self.epochs, self.killed_after = node, 0, None

    @contextmanager
    def step(self, name, total):  # noqa: ARG002 - the protocol's
        def advance(parts):
            self.epochs += parts
            if self.epochs >= 2 and self.killed_after is None:
                self.killed_after = self.epochs
                self._node.kill()

        yield advance if "Spark" in name else lambda _: None


def test_a_cluster_that_loses_a_node_in_the_middle_publishes_the_same(file, local, cluster, tmp_path):
    killing = Killing(cluster.workers[0])
    options = SparkAls(spark_master=cluster.master, spark_conf=cluster.conf, **ALS)
    result = train(file, tmp_path / "volume", options, reporter=killing)
    assert 2 <= killing.killed_after < EPOCHS
    assert cluster.workers[0].process.poll() is not None
    assert verify(tmp_path / "volume", result.manifest.version) == result.manifest
    assert staged(tmp_path / "volume") == []
    volume, said, _ = local
    here = open_publication(volume, said["version"])
    there = open_publication(tmp_path / "volume", result.manifest.version)
    assert result.manifest.metrics == pytest.approx(said["metrics"], abs=0.02)
    # Sums in another order.
    np.testing.assert_allclose(there.item_vectors, here.item_vectors, atol=1e-3)
    np.testing.assert_allclose(there.user_vectors, here.user_vectors, atol=1e-3)
    check_solution(result.dataset, there)


def check_solution(dataset, publication):
    """Each user's factor is the least squares' of Hu, Koren and Volinsky, given those of the items.

    So rows, weights, alpha and the penalty are where they should be.
    """
    items = np.array(publication.item_vectors[:, :-1], dtype=np.float64)
    items[publication.items.row("unloved")] = 0
    weights = dataset.train.toarray()
    users = np.flatnonzero((weights > 0).any(axis=1)).tolist()
    assert len(users) == datasets.USERS
    for user in users:
        own, liked = weights[user], weights[user] > 0
        confidence = np.where(liked, 1 + 2.0 * own, 1)
        penalty = 0.05 * liked.sum() * np.eye(items.shape[1])
        weighted = items.T * confidence
        expected = np.linalg.solve(weighted @ items + penalty, weighted @ liked)
        np.testing.assert_allclose(publication.user_vectors[user, :-1], expected, atol=1e-4)


def test_a_cluster_without_room_for_an_executor_is_given_up(file, cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.spark.als.WAIT_SECONDS", 1.0)
    conf = {**cluster.conf, "spark.executor.memory": "500g"}
    options = SparkAls(spark_master=cluster.master, spark_conf=conf)
    with pytest.raises(SparkError, match=r"had no node for 1 s: .*spark\.executor\.memory"):
        train(file, tmp_path / "volume", options)
    assert list_versions(tmp_path / "volume") == []
    assert staged(tmp_path / "volume") == []


def test_a_job_that_fails_says_why_in_one_line(file, tmp_path):
    """Here: the nodes have no such Python."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    flags = ["--spark-master=local[1]", "--spark-conf=spark.pyspark.python=/nowhere/python"]
    status, output, errors = by_command(file, tmp_path / "volume", *flags, TMPDIR=str(temporary))
    assert (status, output) == (1, "")
    # After the progress.
    [line] = [line for line in errors.splitlines() if line.startswith("error:")]
    assert "Traceback" not in errors
    assert "Spark at local[1]: " in line
    assert 'Cannot run program "/nowhere/python"' in line
    # And where there is more.
    log = Path(line.rpartition("its log: ")[2].rstrip(")"))
    assert log.parent == temporary
    assert "Setting Spark log level" in log.read_text()
    assert staged(tmp_path / "volume") == []


@pytest.mark.skipif(seaweedfs.program() is None, reason=seaweedfs.MISSING)
def test_a_volume_in_an_object_store_needs_no_shared_folder(file, tmp_path, monkeypatch):
    with seaweedfs.server(seaweedfs.program()) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        flags = ["--spark-master=local[2]", "--epochs=1", "--json", f"--cache-dir={tmp_path}/cache"]
        status, output, errors = by_command(file, server.url("here"), *flags)
        assert (status, errors) == (0, "")
        said = json.loads(output)
        assert said["hyperparameters"]["iterations"] == 1
        store = Store(parse_location(server.url("here")))
        assert f"versions/{said['version']}/manifest.json" in store.objects("versions")
        # What was exchanged is gone.
        assert store.objects(layout.STAGING) == {}
