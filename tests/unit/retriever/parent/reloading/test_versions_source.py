"""Versions that are copied, with a folder as the store, and a check that needs no process."""

import pytest

from lightfm_retriever.hosting.process import Awaited
from lightfm_retriever.publication import labels, layout, reader, verification
from lightfm_retriever.publication.errors import MismatchError
from lightfm_retriever.remote.errors import StoreError
from retriever import version_files
from retriever.config import Config
from retriever.errors import StartError
from retriever.parent.reloading.versions_source import Copied, FolderSource, open_source
from tests import publications


def check(volume, version, _):
    verification.verify(volume, version)
    directory = layout.version_dir(volume, version)
    return version_files.look(directory, version_files.names_of(directory))


class Service:
    """A volume, a cache, and sources that copy from one to the other."""

    def __init__(self, folder):
        self.volume, self.cache = folder / "volume", folder / "cache"

    def publish(self, seed=1):
        """Publish another version, and name it; returns what it is called."""
        version = publications.publish(self.volume, seed=seed)
        labels.promote(self.volume, version)
        return version

    def source(self, **options):
        options = {"label": "current", "pin": None, "max_bytes": None, **options}
        return Copied(self.volume, self.cache, check=check, **options)


def bring(source, version):
    return source.verify(version, Awaited())


def serve(source):
    """Let it serve what it sees."""
    version = source.look().target
    bring(source, version)
    source.serves(version)
    return version


@pytest.fixture
def service(tmp_path):
    return Service(tmp_path)


@pytest.fixture
def version(service):
    return service.publish()


def spoil(folder, version, name=layout.ITEM_VECTORS):
    """Change a file; returns what it was."""
    path = layout.version_dir(folder, version) / name
    before = path.read_bytes()
    publications.overwrite(path, before[:-1] + bytes([before[-1] ^ 1]))
    return before


def test_what_the_label_names_is_brought_and_comes_anew_once_it_is_damaged(service, version):
    source = service.source()
    assert source.look().target == version
    files = bring(source, version)
    assert files == check(service.cache, version, None)
    spoil(service.cache, version)
    bring(source, version)
    # Also where the damaged file is another version's, too.
    newer = service.publish(seed=2)
    before, after = (reader.read_manifest(service.volume, name).files for name in (version, newer))
    spoil(service.cache, version, next(name for name, own in after.items() if before.get(name) == own))
    source.look()
    bring(source, newer)
    verification.verify(service.cache, newer)


def test_a_start_while_the_store_is_away_serves_what_was_served(service, version):
    before = service.source()
    serve(before)
    # What never served is not what a start begins with.
    newer = service.publish(seed=2)
    assert before.look().target == newer
    bring(before, newer)
    away = service.volume.with_name("away")
    service.volume.rename(away)
    source = service.source()
    assert serve(source) == version
    seen = source.look()
    assert (seen.target, str(service.volume) in seen.problem) == (None, True)
    assert "continues to serve the cached version" in seen.problem
    away.rename(service.volume)
    seen = source.look()
    assert (seen.target, seen.problem) == (newer, "")
    # The next start begins with what was served meanwhile, and asks for the label again after it.
    serve(source)
    newest = service.publish(seed=3)
    source = service.source()
    assert [source.look().target for _ in range(2)] == [newer, newest]


def test_a_label_that_names_no_version_says_where_it_is(service, version):
    path = layout.label_file(service.volume, "current")
    for change, problem in (
        (lambda: path.write_bytes(b"../../etc/passwd"), "should contain a version name"),
        (path.unlink, "nothing is published under it"),
    ):
        change()
        seen = service.source().look()
        # Where nothing serves, nothing is said to.
        told = [text in seen.problem for text in (str(path), problem, "the cache serves")]
        assert (seen.target, told) == (None, [True, True, False])


def test_a_version_that_is_wrong_at_its_source_is_refused_until_it_changes(service, version):
    source = service.source()
    before = source.look()
    good = spoil(service.volume, version)
    spoilt = source.look()
    assert spoilt.fingerprint != before.fingerprint
    with pytest.raises(MismatchError, match="SHA-256"):
        bring(source, version)
    assert source.look().fingerprint == spoilt.fingerprint
    (layout.version_dir(service.volume, version) / layout.ITEM_VECTORS).write_bytes(good)
    assert source.look().fingerprint != spoilt.fingerprint
    bring(source, version)
    assert source.look().fingerprint[0] == "here"


def test_only_what_serves_and_what_comes_is_kept_when_room_is_needed(service, version):
    size = sum(path.stat().st_size for path in layout.version_dir(service.volume, version).iterdir())
    source = service.source(max_bytes=int(2.2 * size))
    served = [version]
    for seed in (2, 3, 4):
        serve(source)
        source.look()
        served.append(service.publish(seed=seed))
    bring(source, source.look().target)
    here = reader.list_versions(service.cache)
    assert {*served[-2:]} <= {*here}
    assert served[0] not in here


def test_a_pinned_version_is_brought_while_wanted_whatever_the_label_names(service, version):
    service.publish(seed=2)
    source, wanted = service.source(pin=version), Awaited()
    wanted.end()
    with pytest.raises(StoreError, match="the download was cancelled"):
        source.verify(version, wanted)
    assert reader.list_versions(service.cache) == []
    assert serve(source) == source.look().target == version
    assert labels.read_label_or_none(service.cache, "current") is None


def test_a_folder_is_served_as_it_is_and_a_cache_must_be_one(service, version):
    source = open_source(Config(volume=service.volume))
    assert isinstance(source, FolderSource)
    assert source.look().target == version
    service.cache.write_text("a file")
    with pytest.raises(StartError, match="cache"):
        open_source(Config(volume=service.cache, source="s3://bucket/prefix"))
