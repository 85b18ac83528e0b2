"""The cache on a folder as its store: the same code as for a network volume."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lightfm_retriever.publication import layout, reader, verification
from lightfm_retriever.publication.errors import (
    MismatchError,
    MissingFileError,
    VersionNotFoundError,
    VolumeError,
)
from lightfm_retriever.remote import download as downloading
from lightfm_retriever.remote.cache import Cache
from lightfm_retriever.remote.download import Arrival
from lightfm_retriever.remote.errors import StoreError
from lightfm_retriever.remote.store import Store
from lightfm_retriever.remote.uses import locked
from tests import publications
from tests.unit.lightfm_retriever.remote.stores import spoilt


class Counting(Store):
    """A store that notes what is read, and may fail."""

    def __init__(self, location, *, fail=lambda *_: False):
        super().__init__(location)
        self.ranges = []
        self.fail = fail

    def read_range(self, key, start, end):
        if self.fail(key, start):
            raise StoreError(self.where(key), "connection reset")
        self.ranges.append((key, start))
        return super().read_range(key, start, end)


class Watched(Arrival):
    def __init__(self, *, wanted=lambda: True):
        self.arrived = []
        self.more = self.arrived.append
        self.wanted = wanted


@pytest.fixture
def volume(source, tmp_path):
    return publications.copy(source, tmp_path / "volume")


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(downloading, "PIECE_BYTES", 100)


@pytest.fixture
def version(names):
    return names[0]


def spoil(path):
    publications.overwrite(path, spoilt(path.read_bytes()))


def files_of(folder, version):
    return [*layout.version_dir(folder, version).iterdir()]


def size_of(folder, version):
    return sum(path.stat().st_size for path in files_of(folder, version))


def on_their_way(cache):
    return [*(cache.folder / "partial").iterdir()]


def test_a_fetched_version_is_what_was_published_and_not_fetched_again(volume, cache, version):
    arrival = Watched()
    fetched = cache.fetch(Store(volume), version, arrival=arrival)
    verification.verify(cache.folder, version)
    facts = reader.read_manifest(volume, version).files.values()
    assert (fetched.downloaded, fetched.linked) == (sum(own.size for own in facts), 0)
    assert sum(arrival.arrived) == fetched.downloaded
    assert {path.stat().st_mode & 0o777 for path in files_of(cache.folder, version)} == {0o444}
    assert on_their_way(cache) == []
    store = Counting(volume)
    assert cache.fetch(store, version) is None
    assert store.ranges == []


def test_only_files_that_changed_are_fetched(volume, cache, names):
    older, newer = names[:2]
    cache.fetch(Store(volume), older)
    store = Counting(volume)
    fetched = cache.fetch(store, newer)
    before, after = (reader.read_manifest(volume, version).files for version in (older, newer))
    common = {own.sha256 for own in before.values()} & {own.sha256 for own in after.values()}
    changed = {name for name, own in after.items() if own.sha256 not in common}
    assert {Path(key).name for key, _ in store.ranges} == changed
    assert 0 < len(changed) < len(after)
    assert fetched.linked == sum(own.size for own in after.values() if own.sha256 in common)
    verification.verify(cache.folder, newer)
    # What both have counts once.
    assert cache.bytes() == sum(size_of(cache.folder, own) for own in (older, newer)) - fetched.linked


def test_a_download_that_was_cut_short_goes_on_where_it_was(volume, cache, version):
    name = layout.ITEM_VECTORS
    broken = Counting(volume, fail=lambda key, start: key.endswith(name) and start >= 100)
    with pytest.raises(StoreError, match="connection reset"):
        cache.fetch(broken, version)
    assert not cache.has(version)
    store = Counting(volume)
    cache.fetch(store, version)
    verification.verify(cache.folder, version)
    assert not {*store.ranges} & {*broken.ranges}
    assert any(key.endswith(name) for key, _ in store.ranges)


def test_a_passing_trouble_is_tried_again(volume, cache, version):
    failures = [True, True]
    cache.fetch(Counting(volume, fail=lambda *_: bool(failures) and failures.pop()), version)
    verification.verify(cache.folder, version)


def test_what_was_spoilt_before_the_end_is_fetched_again(volume, cache, version):
    broken = Counting(volume, fail=lambda key, _: key.endswith(layout.USER_VECTORS))
    with pytest.raises(StoreError):
        cache.fetch(broken, version)
    (kept,) = on_their_way(cache)
    path = kept / "files" / layout.ITEM_VECTORS
    path.write_bytes(bytes(path.stat().st_size))
    cache.fetch(Store(volume), version)
    verification.verify(cache.folder, version)


def test_a_version_whose_file_is_wrong_in_the_store_names_it_there(volume, cache, version):
    path = layout.version_dir(volume, version) / layout.ITEM_VECTORS
    spoil(path)
    with pytest.raises(MismatchError, match="SHA-256") as wrong:
        cache.fetch(Store(volume), version)
    assert str(path) in str(wrong.value)
    assert not cache.has(version)
    # Another size is known before anything is read.
    publications.overwrite(path, path.read_bytes() + b"more")
    store = Counting(volume)
    with pytest.raises(MismatchError, match="size in bytes"):
        cache.fetch(store, version)
    path.unlink()
    with pytest.raises(MissingFileError):
        cache.fetch(store, version)
    assert store.ranges == []


@pytest.mark.parametrize("version", ["20261124T120000Z-abcdef", "../../etc", "x", ""])
def test_a_version_that_is_not_there_or_none_is_refused(volume, cache, version):
    with pytest.raises(VersionNotFoundError):
        cache.fetch(Store(volume), version)


def test_a_version_without_a_manifest_is_none_yet(volume, cache, version):
    manifest = layout.version_dir(volume, version) / layout.MANIFEST
    content = manifest.read_bytes()
    manifest.unlink()
    with pytest.raises(VersionNotFoundError):
        cache.fetch(Store(volume), version)
    manifest.write_bytes(content)
    cache.fetch(Store(volume), version)


def test_the_least_recently_used_go_first(volume, tmp_path, names):
    first, second, third = names
    most = int(size_of(volume, first) * 2.5)
    cache = Cache(tmp_path / "cache", max_bytes=most)
    for version in (first, second):
        cache.fetch(Store(volume), version, linked=False)
    os.utime(tmp_path / "cache" / "used" / first, (1e9, 1e9))
    os.utime(tmp_path / "cache" / "used" / second, (1.5e9, 1.5e9))
    # Used again, which counts and not when it came.
    cache.uses.add(first)
    cache.uses.keep_only([])
    cache.fetch(Store(volume), third, linked=False)
    assert [cache.has(version) for version in names] == [True, False, True]
    assert cache.bytes() <= most


def test_what_another_process_uses_stays_and_the_download_is_refused(volume, tmp_path, names):
    first, second, _ = names
    others = Cache(tmp_path / "cache")
    others.fetch(Store(volume), first)
    cache = Cache(tmp_path / "cache", max_bytes=int(size_of(volume, first) * 1.5))
    with pytest.raises(VolumeError, match="--cache-gb"):
        cache.fetch(Store(volume), second, linked=False)
    assert cache.has(first)
    others.uses.keep_only([])
    cache.fetch(Store(volume), second, linked=False)
    assert not cache.has(first)


def test_what_an_abandoned_download_left_goes_before_any_version(volume, tmp_path, names):
    first, second, third = names
    cache = Cache(tmp_path / "cache", max_bytes=int(size_of(volume, first) * 2.5))
    cache.fetch(Store(volume), first, linked=False)
    with pytest.raises(StoreError):
        cache.fetch(Counting(volume, fail=lambda *_: True), second, linked=False)
    cache.uses.keep_only([])
    cache.fetch(Store(volume), third, linked=False)
    assert [cache.has(version) for version in names] == [True, False, True]
    assert on_their_way(cache) == []


def test_two_who_fetch_one_version_download_it_once(volume, tmp_path, version):
    store = Counting(volume)
    caches = [Cache(tmp_path / "cache") for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        fetched = [*threads.map(lambda own: own.fetch(store, version), caches)]
    assert len([one for one in fetched if one is not None]) == 1
    assert len(store.ranges) == len({*store.ranges})
    verification.verify(tmp_path / "cache", version)


def test_a_cache_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(VolumeError, match="the cache can't be written"):
        Cache(tmp_path / "cache")


@pytest.mark.timeout(30)
def test_a_lock_that_is_a_fifo_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(OSError, match="is a FIFO"), locked(tmp_path / "lock"):
        pass


def test_who_is_not_wanted_any_more_waits_for_no_other_process(volume, cache, version):
    with cache._fetching(version, lambda: True):
        answers = iter([True, True, False])
        with pytest.raises(VolumeError, match="isn't wanted any more"):
            cache.fetch(Store(volume), version, arrival=Watched(wanted=lambda: next(answers)))
    assert cache.fetch(Store(volume), version) is not None


@pytest.mark.parametrize("share", [0, 1])
def test_what_is_not_wanted_any_more_is_neither_fetched_nor_checked_to_its_end(
    volume, cache, version, share
):
    """Of a large file that takes long, and what comes after waits for the end of it."""
    store = Counting(volume)
    facts = reader.read_manifest(volume, version).files.values()
    # When all has arrived, it is only read again.
    end = share * sum(-(-own.size // downloading.PIECE_BYTES) for own in facts)
    with pytest.raises(StoreError, match="isn't wanted any more"):
        cache.fetch(store, version, arrival=Watched(wanted=lambda: len(store.ranges) < end))
    assert len(store.ranges) == end
    assert not cache.has(version)
