"""The trainer with its volume in a real S3 store: by hand, as a service, and what goes wrong."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.publication import layout, reader, verification
from lightfm_retriever.remote.errors import ConflictError
from lightfm_retriever.remote.location import parse_location
from lightfm_retriever.remote.store import Store
from tests import datasets, fault_proxy, seaweedfs
from tests.trainer_service import ROOT, TrainerService, spec
from trainer.__main__ import main

PROGRAM = seaweedfs.program()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=seaweedfs.MISSING)

QUICK = ["--components", "4", "--epochs", "2", "--index-threads", "1", "--backend", "exact"]


@pytest.fixture(scope="module")
def server():
    with seaweedfs.server(PROGRAM) as running:
        yield running


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Flags of `train` for what trains in no time."""
    path = datasets.write_rows(tmp_path_factory.mktemp("data") / "interactions.parquet")
    return ["--interactions", path, *QUICK]


class Bucket:
    """A prefix of its own, and a trainer that publishes to it."""

    def __init__(self, url, folder, capsys):
        self.url, self.folder, self._capsys = url, folder, capsys
        self.store = Store(parse_location(url))

    def call(self, command, *arguments, cache="cache", **options):
        """What a command prints as JSON; each cache is another machine's."""
        status, output, errors = self.run(command, *arguments, "--json", cache=cache, **options)
        assert (status, errors) == (0, "")
        return json.loads(output)

    def run(self, command, *arguments, url=None, cache="cache"):
        """Exit status, output and errors."""
        where = ["--volume", url or self.url]
        if cache:
            where += ["--cache-dir", str(self.folder / cache)]
        self._capsys.readouterr()
        status = main([command, *where, *map(str, arguments)])
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err

    def text(self, key):
        return self.store.read(key, at_most=1 << 20)[0].decode()

    def vectors(self, items, *, dimensions=4):
        """Flags of `publish` for so many vectors."""
        vectors, ids = self.folder / f"{items}.npy", self.folder / f"{items}.txt"
        np.save(vectors, np.random.default_rng(items).normal(size=(items, dimensions)))
        ids.write_text("".join(f"item {row}\n" for row in range(items)))
        return ["--item-vectors", vectors, "--item-ids", ids, *QUICK[4:], "--allow-unevaluated"]

    def versions(self):
        return [version["version"] for version in self.call("versions")]


@pytest.fixture
def bucket(server, tmp_path, capsys, monkeypatch, request):
    for name in [name for name in os.environ if name.startswith(("TRAINER_", "AWS_"))]:
        monkeypatch.delenv(name)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return Bucket(server.url(re.sub(r"\W", "-", request.node.name)), tmp_path, capsys)


def test_a_version_is_trained_published_and_looked_after_by_the_command_line(bucket, quick):
    first = bucket.call("train", *quick)
    assert (first["label"], bucket.text("labels/current")) == ("current", f"{first['version']}\n")
    # Of two that do so at once the store lets one.
    _, mark = bucket.store.read("labels/current", at_most=100)
    for before in (None, {**mark, "e_tag": "another"}):
        with pytest.raises(ConflictError):
            bucket.store.write_if("labels/current", b"text", before)
    assert first["seconds"]["upload"] > 0
    # Another machine goes on from its model, and holds its own against it.
    gates = ["--warm-start", "--max-relative-loss", "0.9", "--max-shrinkage", "0.1"]
    second = bucket.call("train", *quick, *gates, cache="other")
    assert second["label"] == "current"
    assert not any("--warm-start had no effect" in warning for warning in second["warnings"])
    names = [second["version"], first["version"]]
    assert bucket.versions() == names
    assert [row["problem"] for row in bucket.call("verify", cache="third")] == [None, None]
    assert bucket.call("diff", names[1], names[0], cache="third")["after"] == names[0]
    assert bucket.call("rollback", cache="third")["version"] == names[1]
    status, _, errors = bucket.run("delete", names[1])
    assert (status, "isn't deleted" in errors) == (1, True)
    assert bucket.call("promote", names[0])["previous"] == names[1]
    bucket.call("delete", names[1])
    assert bucket.versions() == [names[0]]
    assert bucket.store.objects(f"versions/{names[1]}") == {}
    moves = ("promote", names[1], "promote", names[0], "rollback", names[1], "promote", names[0])
    assert bucket.text("history/current").split() == [*moves]
    # What is in the bucket is a volume as a folder is one.
    folder = bucket.folder / "copy"
    for key in bucket.store.objects(""):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(bucket.store.read(key, at_most=1 << 30)[0])
    assert reader.list_versions(folder) == [names[0]]
    assert verification.verify(folder, names[0]).users == datasets.USERS


def test_a_trainer_that_is_killed_while_it_uploads_leaves_no_version(bucket, server):
    before = bucket.call("publish", *bucket.vectors(200), cache="")["version"]
    # By default the cache is beside the state.
    cache = bucket.folder / f"{parse_location(bucket.url).name}.trainer" / "cache"
    assert reader.list_versions(cache) == [before]
    # Other ids too, else most of it would be there already.
    flags = bucket.vectors(5_000, dimensions=64)
    with fault_proxy.proxy(server.port) as network:
        network.slow(400_000)
        command = [sys.executable, "-m", "trainer", "publish", "--volume", bucket.url, *map(str, flags)]
        trainer = subprocess.Popen(
            [*command, "--cache-dir", str(bucket.folder / "other")],
            cwd=ROOT,
            env={**os.environ, "AWS_ENDPOINT_URL": network.endpoint},
        )
        network.wait_for(lambda counts: counts.to_server > 300_000)
        trainer.kill()
        trainer.wait()
    [half] = {*reader.list_versions(bucket.folder / "other")} - {before}
    assert bucket.versions() == [before]
    assert bucket.text("labels/current").strip() == before
    assert not bucket.store.exists(f"versions/{half}/{layout.MANIFEST}")
    status, _, errors = bucket.run("promote", half)
    assert (status, errors) == (1, f"error: version '{half}' isn't on the volume {bucket.url}\n")
    assert bucket.call("publish", *flags)["label"] == "current"


def test_wrong_credentials_and_a_missing_bucket_are_told_first(bucket, quick, monkeypatch):
    for command, arguments in (("versions", []), ("publish", bucket.vectors(200))):
        status, output, errors = bucket.run(command, *arguments, url="s3://no-such-bucket/prefix")
        assert (status, output) == (1, "")
        assert errors.startswith("error: s3://no-such-bucket/prefix: the bucket doesn't exist")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    for command, arguments in (("versions", []), ("train", quick)):
        status, output, errors = bucket.run(command, *arguments)
        assert (status, output) == (1, "")
        assert errors.startswith(f"error: {bucket.url}/labels: the credentials are refused")


def test_the_service_trains_to_a_store(bucket, quick):
    flags = {"cache_dir": bucket.folder / "cache", "data_root": quick[1].parent}
    with TrainerService(bucket.url, bucket.folder / "state", **flags) as service:
        data = pb.DataSpec(interactions=quick[1].name)
        made = []
        for seed in (1, 2):
            few = pb.Hyperparameters(components=4, epochs=2, seed=seed)
            ended = service.end(service.submit(spec(data, hyperparameters=few, warm_start=True)))
            assert ended.state == pb.TRAINING_RUN_STATE_SUCCEEDED, ended.error
            made.append(ended.version)
        listed = service.call("ListVersions", pb.ListVersionsRequest()).versions
        assert [version.name for version in listed] == made[::-1]
        service.call("Rollback", pb.RollbackRequest())
        service.call("DeleteVersion", pb.DeleteVersionRequest(version=made[1]))
    assert bucket.versions() == [made[0]]
    assert bucket.text("labels/current").strip() == made[0]
