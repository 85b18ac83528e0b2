"""A volume in a store, as the trainer has it: its versions, its clock, and its folder."""

import logging
import os
from dataclasses import replace
from datetime import timedelta

import pytest

from lightfm_retriever.publication import errors, labels, layout, manifest, reader, verification
from lightfm_retriever.publication.volume import Volume
from lightfm_retriever.remote.cache import Cache
from lightfm_retriever.remote.errors import StoreError
from lightfm_retriever.remote.labels import StoreLabels
from lightfm_retriever.remote.location import parse_location
from lightfm_retriever.remote.upload import upload
from lightfm_retriever.remote.volume import RemoteVolume, open_volume
from tests import publications
from tests.unit.lightfm_retriever.remote.stores import once, refusing, spoilt
from trainer.versions import catalogue
from trainer.versions.retention import RetentionPolicy, collect

HOUR = timedelta(hours=1)
NOBODYS = "20261124T120000Z-000000"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def volume(store, cache):
    return RemoteVolume(store, cache)


@pytest.fixture
def three(store, source, names):
    for version in names:
        upload(store, source, version)
    store.calls.clear()
    return names


def publish(volume, *, seed=1, day=0):
    """Publish to the store, and forget it here."""
    at = publications.NOON + timedelta(days=day)
    version = publications.publish(volume.folder, seed=seed, clock=lambda: at)
    volume.upload(version)
    return version


def fetch(volume, *versions):
    with volume.fetched(*versions):
        return reader.list_versions(volume.folder)


def key(version, name="manifest.json"):
    return f"versions/{version}/{name}"


def spoil(store, own):
    store.put(own, spoilt(store.content(own)))


def test_a_volume_is_opened_by_where_it_is(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("STORE_CREDENTIALS", "instance")
    assert open_volume(tmp_path, cache).folder == tmp_path
    remote = open_volume(parse_location("s3://bucket/some/prefix"), cache)
    assert (str(remote), remote.folder, remote.elsewhere) == ("s3://bucket/some/prefix", cache, True)
    # Before it is needed nothing is made.
    assert not cache.exists()


def test_nothing_that_a_volume_is_asked_is_answered_by_its_copy_instead():
    asked = {name for name in vars(Volume) if not name.startswith("_")}
    assert asked <= {*vars(RemoteVolume), *vars(StoreLabels)}


def test_a_version_is_fetched_whole_and_anew_if_spoilt(volume, store, source, cache, three, caplog):
    assert volume.list_versions() == three
    assert volume.read_manifest(three[1]) == reader.read_manifest(source, three[1])
    assert [*map(volume.has_version, (three[0], NOBODYS, "../labels"))] == [True, False, False]
    assert fetch(volume, three[0], three[2]) == [three[0], three[2]]
    path = layout.version_dir(cache, three[0]) / layout.ITEM_VECTORS
    publications.overwrite(path, spoilt(path.read_bytes()))
    with volume.fetched(three[0]) as folder:
        verification.verify(folder, three[0])
    assert "is damaged" in caplog.text
    with pytest.raises(errors.VersionNotFoundError):
        fetch(volume, NOBODYS)
    # A manifest that names what lies elsewhere is refused.
    facts = volume.read_manifest(three[1])
    files = {**facts.files, "../../labels/current": facts.files[layout.ITEM_IDS]}
    store.put(key(three[1]), manifest.encode(replace(facts, files=files)))
    with pytest.raises(errors.ManifestError, match="isn't a plain file name"):
        fetch(volume, three[1])
    assert reader.list_versions(volume.folder) == [three[0], three[2]]


def test_versions_in_use_stay_in_a_small_cache_and_others_go(store, cache, three):
    volume = RemoteVolume(store, cache, max_bytes=1)
    with pytest.raises(errors.VolumeError, match="--cache-gb"):
        fetch(volume, three[0])
    assert reader.list_versions(cache) == []
    # What is made stays until it is uploaded.
    assert publish(volume, seed=7) in volume.list_versions()
    assert reader.list_versions(cache) == []
    size = sum(facts.size for facts in store.objects(f"versions/{three[0]}").values())
    volume = RemoteVolume(store, cache, max_bytes=size + 1)
    with volume.fetched(three[0]), pytest.raises(errors.VolumeError, match="--cache-gb"):
        fetch(volume, three[1])
    assert fetch(volume, three[1]) == [three[1]]
    # What is made and not uploaded yet goes after what was used before.
    made = publications.publish(cache, seed=7, clock=lambda: publications.NOON - timedelta(days=9))
    for path in (layout.version_dir(cache, three[1]), cache / "used" / three[1]):
        os.utime(path, (1, 1))
    limit = Cache(cache).bytes() + 1
    assert fetch(RemoteVolume(store, cache, max_bytes=limit), three[2]) == [made, three[2]]


def test_verifying_reads_every_byte_from_the_store_also_of_what_is_here(volume, store, three):
    assert volume.verify(three[0]) == volume.read_manifest(three[0])
    fetch(volume, three[0])
    spoil(store, key(three[0], layout.ITEM_VECTORS))
    for _ in range(2):
        with pytest.raises(errors.MismatchError, match=r"s3://bucket/.*/item_vectors\.npy: SHA-256"):
            volume.verify(three[0])
    # Its file is one with another's here.
    assert volume.verify(three[1])
    # Nor is one that others here have in common taken for the store's.
    spoil(store, key(three[2], layout.ITEM_IDS))
    with pytest.raises(errors.MismatchError, match=r"items\.trie: SHA-256"):
        volume.verify(three[2])
    store.delete([key(three[2], layout.USER_IDS)])
    with pytest.raises(errors.MissingFileError, match=r"users\.trie"):
        volume.verify(three[2])
    with pytest.raises(errors.VersionNotFoundError):
        volume.verify(NOBODYS)


def test_a_version_is_deleted_with_all_its_objects(volume, store, three):
    volume.promote(three[1])
    volume.delete_version(three[0])
    assert volume.list_versions() == three[1:]
    assert store.keys(f"versions/{three[0]}") == []
    for name in (three[0], "../labels"):
        with pytest.raises(errors.VersionNotFoundError):
            volume.delete_version(name)
    with pytest.raises(errors.LabelledVersionError):
        volume.delete_version(three[1])
    # The first thing that goes is what makes it a version.
    assert next(own for name, own in store.calls if name == "delete") == [key(three[0])]
    # Files that are left are told, and make no version.
    store.before = refusing("delete", f"{three[2]}/items.trie")
    with pytest.raises(errors.VolumeError, match="the version is deleted, but files of it are left"):
        volume.delete_version(three[2])
    assert volume.list_versions() == [three[1]]


def test_of_who_deletes_a_version_and_who_moves_a_label_to_it_one_is_told(volume, store, three):
    label = f"{three[0]}\n".encode()
    store.before = once("delete manifest.json']", lambda: store.put("labels/current", label))
    with pytest.raises(errors.LabelledVersionError):
        volume.delete_version(three[0])
    assert volume.list_versions() == three
    volume.verify(three[0])
    volume.promote(three[1])
    # Labels that can't be read keep every version.
    store.before = refusing("read", "labels/")
    with pytest.raises(StoreError, match="away"):
        volume.delete_version(three[0])
    with pytest.raises(StoreError, match="away"):
        collect(volume, RetentionPolicy(keep=1, min_age=timedelta(0)))
    assert volume.list_versions() == three
    store.before = once("write_if labels/current", lambda: volume.delete_version(three[0]))
    with pytest.raises(errors.VersionNotFoundError):
        volume.promote(three[0])
    assert volume.read_label("current") == three[1]
    assert store.text("history/current").split() == ["promote", three[1]]
    assert volume.list_versions() == three[1:]


def test_versions_are_ordered_and_kept_by_the_stores_clock(volume, store):
    """Whatever the trainers' clocks say: here that of the first is a year ahead."""
    store.ages = {"staging": 1000 * HOUR}
    then = volume.now()
    store.ages = {}
    assert timedelta(0) <= volume.now() - then - 1000 * HOUR < HOUR
    volume.check_writable()
    assert store.keys() == []
    made = [publish(volume, seed=seed, day=day) for seed, day in enumerate((365, 0, 1, 2))]
    store.ages = {f"versions/{version}": (9 - n) * HOUR for n, version in enumerate(made)}
    assert [version.name for version in catalogue.list_published(volume)] == made[::-1]
    # Two of them are older than that, and the clock of this machine has no say.
    assert collect(volume, RetentionPolicy(keep=1, min_age=7.5 * HOUR)) == made[:2]
    assert volume.list_versions() == sorted(made[2:])
    # A store that can't be written is known before anything is trained.
    store.before = refusing("write", text="read-only")
    with pytest.raises(StoreError, match="read-only"):
        volume.check_writable()


def test_what_was_given_up_goes_and_what_is_on_its_way_stays(volume, store, three, caplog):
    caplog.set_level(logging.INFO)
    half = "versions/20261124T120009Z-000009"
    staged = ["staging/clock-given-up", "staging/old/a/b", "staging/new/a", "staging/new/b"]
    for own in (f"{half}/items.trie", *staged):
        store.put(own, b"1")
    assert collect(volume, RetentionPolicy()) == []
    assert store.keys(half)
    store.ages = dict.fromkeys([half, *staged[:3]], 25 * HOUR)
    # The manifest of another one comes after it was looked for.
    late = f"versions/{three[0]}"
    data = store.content(key(three[0]))
    store.ages[late] = 25 * HOUR
    store.delete([key(three[0])])
    store.before = once(f"objects {three[0]}/", lambda: store.put(key(three[0]), data))
    assert collect(volume, RetentionPolicy()) == []
    for name in ("20261124T120009Z-000009", "staging/clock-given-up", "staging/old"):
        assert f"removed {name}, which was left behind half-written" in caplog.text
    assert store.keys(half) == []
    assert store.keys("staging") == staged[2:]
    assert volume.list_versions() == three


def test_the_folder_follows_a_label(volume, store, three, caplog):
    for version in three[:2]:
        volume.promote(version)
        with volume.followed("current") as folder:
            assert labels.read_label(folder, "current") == version
            verification.verify(folder, version)
    # One that is gone is gone in the folder too.
    store.delete(["labels/current"])
    with volume.followed("current") as folder:
        assert labels.list_labels(folder) == {}
    # A labelled version that can't be had is missing there.
    volume.promote(three[2])
    for damage in (
        lambda: spoil(store, key(three[2], layout.ITEM_VECTORS)),
        lambda: store.delete([key(three[2])]),
    ):
        damage()
        caplog.clear()
        with volume.followed("current") as folder:
            assert labels.read_label(folder, "current") == three[2]
            assert not reader.has_version(folder, three[2])
        assert "names a version that can't be used" in caplog.text
    store.put("labels/current", b"nonsense")
    following = volume.followed("current")
    with pytest.raises(errors.LabelError, match="should contain a version name"), following:
        pass
