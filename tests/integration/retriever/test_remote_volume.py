"""A retriever whose volume is in an S3 store behind a network that fails."""

import os

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.remote.location import parse_location
from lightfm_retriever.remote.store import Store
from tests import fault_proxy, seaweedfs
from tests.integration.disks import fill
from tests.load import models

PROGRAM = seaweedfs.program()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=seaweedfs.MISSING)


@pytest.fixture(scope="module")
def server():
    with seaweedfs.server(PROGRAM) as running:
        yield running


@pytest.fixture
def network(server):
    with fault_proxy.proxy(server.port) as proxy:
        yield proxy


class Bucket:
    """A prefix of its own: what publishes to it, and a retriever's environment behind a network."""

    def __init__(self, server, folder, network, name, monkeypatch):
        for variable, value in server.environment.items():
            monkeypatch.setenv(variable, value)
        self.url = server.url(name)
        self.store = Store(parse_location(self.url))
        self.folder = folder
        self.environment = {"AWS_ENDPOINT_URL": network.endpoint}

    def send(self, version, *names):
        for name in names:
            path = layout.version_dir(self.folder, version) / name
            self.store.upload(f"versions/{version}/{name}", path)

    def upload(self, seed, *, but=(), items=300):
        """A version with all its files, the manifest last, but for some; returns its name."""
        size = models.Size(items=items)
        version = models.publish(self.folder, f"model {seed}", seed, size).version
        names = [path.name for path in layout.version_dir(self.folder, version).iterdir()]
        names.sort(key=lambda name: name == layout.MANIFEST)
        self.send(version, *(name for name in names if name not in but))
        return version

    def point(self, version):
        self.store.write("labels/current", f"{version}\n".encode())

    def publish(self, seed, **options):
        version = self.upload(seed, **options)
        self.point(version)
        return version


@pytest.fixture
def bucket(server, network, tmp_path, request, monkeypatch):
    return Bucket(server, tmp_path / "published", network, request.node.name.split("[")[0], monkeypatch)


@pytest.fixture
def serve(start, bucket, tmp_path):
    def serving(**options):
        return start(
            bucket.url,
            environment={**bucket.environment, **options.pop("environment", {})},
            **{"cache_dir": tmp_path / "cache", "workers": 1, **options},
        )

    return serving


def failed(status):
    return {own.version: own.reason for own in status.failed_versions}


def test_the_label_in_the_store_is_followed_to_versions_that_are_whole(bucket, serve):
    first = bucket.publish(1)
    service = serve(workers=2)
    service.wait_until_all_serve(first)
    serves = first
    for seed, missing, reason in (
        (2, layout.MANIFEST, "isn't on the volume"),
        (3, layout.ITEM_VECTORS, f"/{layout.ITEM_VECTORS}"),
    ):
        newer = bucket.publish(seed, but=[missing])
        status = service.wait_until(lambda status, newer=newer: newer in failed(status))
        assert reason in failed(status)[newer]
        assert {worker.version for worker in status.workers} == {serves}
        bucket.send(newer, missing)
        service.wait_until_all_serve(newer)
        serves = newer
    bucket.point(first)
    service.wait_until_all_serve(first)
    assert service.status().label_problem == ""


def test_while_the_store_is_away_the_old_version_serves_and_then_the_new_one(bucket, serve, network):
    serves = bucket.publish(1)
    service = serve()
    service.wait_until_all_serve(serves)
    for seed, fail in ((2, network.refuse), (3, network.hang), (4, lambda: network.answer(500))):
        fail()
        newer = bucket.publish(seed)
        status = service.wait_until(lambda status: status.label_problem)
        assert {worker.version for worker in status.workers} == {serves}
        assert bucket.url in status.label_problem or "hasn't answered" in status.label_problem
        network.forward()
        service.wait_until_all_serve(newer)
        service.wait_until(lambda status: not status.label_problem)
        serves = newer


def test_a_download_whose_connections_break_arrives_and_goes_on_where_it_was(bucket, serve, network):
    bucket.publish(1)
    service = serve()
    second = bucket.upload(2, items=30_000)
    size = sum(path.stat().st_size for path in layout.version_dir(bucket.folder, second).iterdir())
    before = network.counts
    network.cut(500_000, times=4)
    bucket.point(second)
    service.wait_until_all_serve(second)
    after = network.counts
    assert after.cut - before.cut == 4
    # Each of the four cost what had arrived of it, and no more.
    assert after.to_client - before.to_client < size + 4 * 16_000_000


def write_credentials(path, server):
    new = path.with_suffix(".new")
    pair = f"aws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    new.write_text(f"[default]\n{pair}")
    os.replace(new, path)


def test_credentials_that_expire_during_a_download_are_named_and_read_again(
    bucket, serve, server, network, tmp_path
):
    first = bucket.publish(1)
    path = tmp_path / "credentials"
    write_credentials(path, server)
    service = serve(environment={"AWS_SHARED_CREDENTIALS_FILE": str(path)})
    second = bucket.upload(2, items=30_000)
    before = network.counts.to_client
    network.slow(8_000_000)
    bucket.point(second)
    network.wait_for(lambda counts: counts.to_client > before + 2_000_000)
    server.change_credentials(f"{server.access_key}-new", "another/secret")
    try:
        status = service.wait_until(lambda status: status.label_problem or second in failed(status))
        told = status.label_problem + failed(status).get(second, "")
        assert "credentials are refused" in told
        assert seaweedfs.SECRET_KEY not in told + service.log
        assert {worker.version for worker in status.workers} == {first}
        write_credentials(path, server)
        network.forward()
        service.wait_until_all_serve(second)
    finally:
        server.change_credentials(seaweedfs.ACCESS_KEY, seaweedfs.SECRET_KEY)


def test_a_full_cache_disk_keeps_what_serves_until_there_is_room(bucket, serve, small_disk):
    disk = small_disk("size=96m")
    first = bucket.publish(1)
    service = serve(cache_dir=disk / "cache")
    service.wait_until_all_serve(first)
    fill(disk, leave=1_000_000)
    second = bucket.publish(2, items=5_000)
    status = service.wait_until(lambda status: second in failed(status))
    assert "use a larger disk or --cache-gb" in failed(status)[second]
    assert {worker.version for worker in status.workers} == {first}
    (disk / "filler").unlink()
    service.wait_until_all_serve(second)
    service.terminate()
