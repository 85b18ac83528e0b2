"""Versions that are copied, with a folder as the store, and a check that needs no process."""

import pytest

from lightfm_retriever.hosting.process import Awaited
from lightfm_retriever.publication import labels, layout, reader, verification
from lightfm_retriever.publication.errors import MismatchError, VersionNotFoundError
from lightfm_retriever.remote.errors import StoreError
from retriever.config import Config
from retriever.errors import StartError
from retriever.parent.reloading.versions_source import Copied, FolderSource, open_source
from tests import publications


def check(volume, version, _):
    verification.verify(volume, version)


@pytest.fixture
def volume(tmp_path):
    return tmp_path / "volume"


@pytest.fixture
def version(volume):
    made = publications.publish(volume)
    labels.promote(volume, made)
    return made


@pytest.fixture
def copied(volume, tmp_path):
    def make(*, pin=None, max_bytes=None):
        return Copied(
            volume, tmp_path / "cache", label="current", pin=pin, max_bytes=max_bytes, check=check
        )

    return make


def spoil(folder, version, name=layout.ITEM_VECTORS):
    path = layout.version_dir(folder, version) / name
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_what_the_label_names_is_brought_and_checked(volume, version, copied, tmp_path):
    source = copied()
    assert source.look().target == version
    source.verify(tmp_path / "cache", version, Awaited())
    verification.verify(tmp_path / "cache", version)


def test_a_start_while_the_store_is_away_serves_what_was_served(volume, version, copied, tmp_path):
    before = copied()
    before.look()
    before.verify(tmp_path / "cache", version, Awaited())
    before.serves(version)
    before.look()
    volume.rename(tmp_path / "away")
    source = copied()
    assert source.look().target == version
    source.verify(tmp_path / "cache", version, Awaited())
    source.serves(version)
    seen = source.look()
    assert seen.target is None
    assert str(volume) in seen.problem
    assert "the cache serves on" in seen.problem
    (tmp_path / "away").rename(volume)
    assert source.look().problem == ""


def test_where_nothing_serves_nothing_is_said_to(volume, copied):
    seen = copied().look()
    assert seen.target is None
    assert str(volume) in seen.problem
    assert "cache" not in seen.problem.replace(str(volume), "")


def test_a_version_that_never_served_is_not_what_a_start_begins_with(volume, version, copied, tmp_path):
    before = copied()
    before.look()
    before.verify(tmp_path / "cache", version, Awaited())
    before.serves(version)
    newer = publications.publish(volume, seed=2)
    labels.promote(volume, newer)
    assert before.look().target == newer
    before.verify(tmp_path / "cache", newer, Awaited())
    assert copied().look().target == version


def test_the_label_is_asked_again_after_the_start(volume, version, copied, tmp_path):
    before = copied()
    before.look()
    before.verify(tmp_path / "cache", version, Awaited())
    before.serves(version)
    before.look()
    newer = publications.publish(volume, seed=2)
    labels.promote(volume, newer)
    source = copied()
    assert [source.look().target for _ in range(2)] == [version, newer]


def test_a_pinned_version_is_brought_whatever_the_label_names(volume, version, copied, tmp_path):
    pinned = publications.publish(volume, seed=2)
    source = copied(pin=pinned)
    assert source.look().target == pinned
    source.verify(tmp_path / "cache", pinned, Awaited())
    source.serves(pinned)
    source.look()
    assert labels.read_label_or_none(tmp_path / "cache", "current") is None


@pytest.mark.parametrize("content", [b"", b"../../etc/passwd", b"x" * 150])
def test_a_label_that_names_no_version_says_where_it_is(volume, version, copied, content):
    layout.label_file(volume, "current").write_bytes(content)
    seen = copied().look()
    assert seen.target is None
    assert str(layout.label_file(volume, "current")) in seen.problem
    assert "should hold a version's name" in seen.problem


def test_a_label_that_is_missing_says_that_nothing_is_published(volume, version, copied):
    layout.label_file(volume, "current").unlink()
    assert "nothing is published under it" in copied().look().problem


def test_a_damaged_copy_comes_anew(volume, version, copied, tmp_path):
    source = copied()
    source.look()
    source.verify(tmp_path / "cache", version, Awaited())
    spoil(tmp_path / "cache", version)
    source.verify(tmp_path / "cache", version, Awaited())
    verification.verify(tmp_path / "cache", version)


def test_a_damaged_file_that_two_versions_share_comes_anew(volume, version, copied, tmp_path):
    source = copied()
    source.look()
    source.verify(tmp_path / "cache", version, Awaited())
    newer = publications.publish(volume, seed=2)
    labels.promote(volume, newer)
    before, after = (reader.read_manifest(volume, name).files for name in (version, newer))
    shared = next(name for name, own in after.items() if before.get(name) == own)
    spoil(tmp_path / "cache", version, shared)
    source.look()
    source.verify(tmp_path / "cache", newer, Awaited())
    verification.verify(tmp_path / "cache", newer)


def test_a_version_that_is_wrong_at_its_source_is_refused_until_it_changes(
    volume, version, copied, tmp_path
):
    source = copied()
    before = source.look()
    good = (layout.version_dir(volume, version) / layout.ITEM_VECTORS).read_bytes()
    spoil(volume, version)
    spoilt = source.look()
    assert spoilt.fingerprint != before.fingerprint
    with pytest.raises(MismatchError, match="SHA-256"):
        source.verify(tmp_path / "cache", version, Awaited())
    assert source.look().fingerprint == spoilt.fingerprint
    (layout.version_dir(volume, version) / layout.ITEM_VECTORS).write_bytes(good)
    assert source.look().fingerprint != spoilt.fingerprint
    source.verify(tmp_path / "cache", version, Awaited())


def test_a_label_that_is_ahead_of_its_version_waits_for_it(volume, version, copied, tmp_path):
    source = copied()
    directory = layout.version_dir(volume, version)
    content = (directory / layout.MANIFEST).read_bytes()
    (directory / layout.MANIFEST).unlink()
    early = source.look()
    with pytest.raises(VersionNotFoundError, match=version):
        source.verify(tmp_path / "cache", version, Awaited())
    (directory / layout.MANIFEST).write_bytes(content)
    assert source.look().fingerprint != early.fingerprint
    source.verify(tmp_path / "cache", version, Awaited())


def test_only_what_serves_and_what_comes_is_kept_when_room_is_needed(volume, version, copied, tmp_path):
    size = sum(path.stat().st_size for path in layout.version_dir(volume, version).iterdir())
    source = copied(max_bytes=int(2.2 * size))
    served = [version]
    for seed in (2, 3, 4):
        source.look()
        source.verify(tmp_path / "cache", served[-1], Awaited())
        source.serves(served[-1])
        source.look()
        served.append(publications.publish(volume, seed=seed))
        labels.promote(volume, served[-1])
    source.look()
    source.verify(tmp_path / "cache", served[-1], Awaited())
    here = reader.list_versions(tmp_path / "cache")
    assert {*served[-2:]} <= {*here}
    assert served[0] not in here


def test_a_folder_is_served_as_it_is(volume, version):
    source = open_source(Config(volume=volume))
    assert isinstance(source, FolderSource)
    assert source.look().target == version


def test_a_cache_that_cannot_be_written_stops_the_start(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StartError, match="cache"):
        open_source(Config(volume=tmp_path / "cache", source="s3://bucket/prefix"))


def test_a_download_that_is_not_wanted_any_more_ends_and_leaves_nothing_to_serve(
    version, copied, tmp_path
):
    wanted = Awaited()
    wanted.end()
    with pytest.raises(StoreError, match="isn't wanted any more"):
        copied().verify(tmp_path / "cache", version, wanted)
    assert reader.list_versions(tmp_path / "cache") == []
