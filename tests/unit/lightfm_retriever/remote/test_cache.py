"""The cache on a folder as its store: the same code as for a network volume."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lightfm_retriever.publication import errors, layout, reader, verification
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


def told(**calls):
    arrival = Arrival()
    vars(arrival).update(calls)
    return arrival


@pytest.fixture
def volume(source, tmp_path):
    return publications.copy(source, tmp_path / "volume")


@pytest.fixture
def store(volume):
    return Counting(volume)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def small(tmp_path, volume, version):
    size = size_of(volume, version)
    return lambda versions: Cache(tmp_path / "cache", max_bytes=int(size * versions))


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(downloading, "PIECE_BYTES", 100)


def files_of(folder, version):
    return [*layout.version_dir(folder, version).iterdir()]


def size_of(folder, version):
    return sum(path.stat().st_size for path in files_of(folder, version))


def on_their_way(cache):
    return [*(cache.folder / "partial").iterdir()]


def test_a_version_is_fetched_once_and_of_the_next_what_changed(store, volume, cache, names):
    older, newer = names[:2]
    arrived = []
    fetched = cache.fetch(store, older, arrival=told(more=arrived.append))
    verification.verify(cache.folder, older)
    facts = reader.read_manifest(volume, older).files.values()
    assert (fetched.downloaded, fetched.linked) == (sum(own.size for own in facts), 0)
    assert sum(arrived) == fetched.downloaded
    assert {path.stat().st_mode & 0o777 for path in files_of(cache.folder, older)} == {0o444}
    assert on_their_way(cache) == []
    store.ranges.clear()
    assert cache.fetch(store, older) is None
    assert store.ranges == []
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


def test_a_download_that_was_cut_short_goes_on_where_it_was(store, volume, cache, version):
    name = layout.ITEM_VECTORS
    broken = Counting(volume, fail=lambda key, start: key.endswith(name) and start >= 100)
    with pytest.raises(StoreError, match="connection reset"):
        cache.fetch(broken, version)
    assert not cache.has(version)
    cache.fetch(store, version)
    verification.verify(cache.folder, version)
    assert not {*store.ranges} & {*broken.ranges}
    assert any(key.endswith(name) for key, _ in store.ranges)


def test_what_was_spoilt_before_the_end_is_fetched_again(store, cache, version):
    store.fail = lambda key, _: key.endswith(layout.USER_VECTORS)
    with pytest.raises(StoreError):
        cache.fetch(store, version)
    [kept] = on_their_way(cache)
    path = kept / "files" / layout.ITEM_VECTORS
    path.write_bytes(bytes(path.stat().st_size))
    # A passing trouble is tried again.
    failures = [True, True]
    store.fail = lambda *_: bool(failures) and failures.pop()
    cache.fetch(store, version)
    verification.verify(cache.folder, version)


def test_what_is_wrong_in_the_store_or_here_is_named(store, volume, cache, version):
    path = layout.version_dir(volume, version) / layout.ITEM_VECTORS
    publications.overwrite(path, spoilt(path.read_bytes()))
    with pytest.raises(errors.MismatchError, match=f"{path}: SHA-256"):
        cache.fetch(store, version)
    assert not cache.has(version)
    # Another size is known before anything is read.
    store.ranges.clear()
    publications.overwrite(path, path.read_bytes() + b"more")
    with pytest.raises(errors.MismatchError, match="size in bytes"):
        cache.fetch(store, version)
    path.unlink()
    with pytest.raises(errors.MissingFileError):
        cache.fetch(store, version)
    assert store.ranges == []
    for none in ("20261124T120000Z-abcdef", "../../etc", ""):
        with pytest.raises(errors.VersionNotFoundError):
            cache.fetch(store, none)
    (volume / "file").write_bytes(b"")
    with pytest.raises(errors.VolumeError, match="the cache can't be written"):
        Cache(volume / "file")


def test_what_another_process_uses_stays_and_the_download_is_refused(store, cache, small, names):
    first, second, _ = names
    cache.fetch(store, first)
    others = small(1.5)
    with pytest.raises(errors.VolumeError, match="--cache-gb"):
        others.fetch(store, second, linked=False)
    assert others.has(first)
    cache.uses.keep_only([])
    others.fetch(store, second, linked=False)
    assert not others.has(first)


def test_what_was_abandoned_goes_before_the_least_recently_used(store, volume, small, names):
    first, second, third = names
    cache = small(2.5)
    cache.fetch(store, first, linked=False)
    with pytest.raises(StoreError):
        cache.fetch(Counting(volume, fail=lambda *_: True), second, linked=False)
    cache.uses.keep_only([])
    cache.fetch(store, third, linked=False)
    assert [cache.has(version) for version in names] == [True, False, True]
    assert on_their_way(cache) == []
    for version, used in ((first, 1e9), (third, 1.5e9)):
        os.utime(cache.folder / "used" / version, (used, used))
    # Used again, which counts and not when it came.
    cache.uses.add(first)
    cache.uses.keep_only([])
    cache.fetch(store, second, linked=False)
    assert [cache.has(version) for version in names] == [True, True, False]


def test_several_who_fetch_one_version_download_it_once(store, tmp_path, version):
    caches = [Cache(tmp_path / "cache") for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        fetched = [*threads.map(lambda own: own.fetch(store, version), caches)]
    assert len([one for one in fetched if one is not None]) == 1
    assert len(store.ranges) == len({*store.ranges})
    verification.verify(tmp_path / "cache", version)


def test_what_is_not_wanted_any_more_is_not_gone_on_with_nor_waited_for(store, volume, cache, version):
    facts = reader.read_manifest(volume, version).files.values()
    # When all has arrived, it is only read again.
    for end in (0, sum(-(-own.size // downloading.PIECE_BYTES) for own in facts)):
        with pytest.raises(StoreError, match="the download was cancelled"):
            cache.fetch(store, version, arrival=told(wanted=lambda end=end: len(store.ranges) < end))
        assert len(store.ranges) == end
        assert not cache.has(version)
    folder = cache.folder / "partial" / version
    with locked(folder / "lock"):
        answers = iter([True, True, False])
        with pytest.raises(errors.VolumeError, match="isn't wanted any more"):
            cache.fetch(store, version, arrival=told(wanted=lambda: next(answers)))
    assert cache.fetch(store, version) is not None
