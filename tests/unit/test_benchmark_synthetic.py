"""Synthetic data is what it says: the same for the same arguments, popular by Zipf's law, and so on."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.benchmarks import synthetic
from tests.benchmarks.synthetic import Clustered, InteractionsSpec, Interests, VectorsSpec
from trainer.data.interactions import read_interactions
from trainer.errors import OptionError
from trainer.progress import Silent
from trainer.publishing.own_vectors import OwnVectors, read_own_vectors

SPEC = InteractionsSpec(users=2000, items=3000, interactions=200_000, clusters=10)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(synthetic, "BLOCK_ROWS", 10_000)
    monkeypatch.setattr(synthetic, "PART_ROW_GROUPS", 3)
    monkeypatch.setattr(synthetic, "VECTOR_BLOCK_ROWS", 100)


@pytest.fixture
def call(capsys, monkeypatch):
    """Run it; returns its exit status and what it printed."""

    def call(*flags):
        monkeypatch.setattr(sys, "argv", ["synthetic", *map(str, flags)])
        status = synthetic.main()
        return status, capsys.readouterr()

    return call


def drawn(spec):
    """All interactions: clusters' model, users, items, timestamps."""
    interests = Interests(spec)
    blocks = [*interests.blocks()]
    columns = (np.concatenate([getattr(block, name) for block in blocks]) for name in FIELDS)
    return interests, *columns


FIELDS = ("users", "items", "timestamps")


def digests(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def slope(counts, *, ranks):
    """Of the logarithm of how often against that of the rank."""
    ordered = np.sort(counts)[::-1][ranks]
    return np.polyfit(np.log(1 + np.arange(len(counts))[ranks]), np.log(ordered), 1)[0]


def distance(some, others, *, size):
    """Total variation: 0 for the same distribution, 1 for two that have nothing in common."""
    one, other = (np.bincount(of, minlength=size) / len(of) for of in (some, others))
    return np.abs(one - other).sum() / 2


def test_the_same_arguments_give_the_same_files_and_another_seed_others(call, tmp_path):
    flags = ("interactions", "--users", 300, "--items", 400, "--interactions", 50_000)
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        status, _ = call(*flags, "--seed", seed, "--output", tmp_path / name)
        assert status == 0
        made.append(digests(tmp_path / name))
    assert made[0] == made[1]
    assert [*made[0]] == [*made[2]]
    assert not set(made[0].values()) & set(made[2].values())
    of_seeds = [Interests(replace(SPEC, seed=seed)).item_cluster for seed in (1, 2)]
    assert (of_seeds[0] != of_seeds[1]).mean() > 0.5


def test_the_trainer_reads_all_of_it_in_the_order_of_time(tmp_path):
    spec = replace(SPEC, interactions=50_000)
    counts = synthetic.write_interactions(spec, tmp_path, Silent())
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["part-00000.parquet", "part-00001.parquet"]
    read = read_interactions(tmp_path)
    assert len(read) == 50_000
    assert counts == (len(read.user_ids), len(read.item_ids)) == (2000, 3000)
    assert (np.diff(read.timestamps) >= 0).all()
    assert read.timestamps[0] == synthetic.START
    assert 0 <= synthetic.START + synthetic.SPAN_SECONDS - read.timestamps[-1] < 1000
    _, users, items, _ = drawn(spec)
    assert [read.user_ids[user] for user in read.users[:50]] == [f"u{user}" for user in users[:50]]
    assert [read.item_ids[item] for item in read.items[-50:]] == [f"i{item}" for item in items[-50:]]


@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.3])
def test_popularity_follows_zipfs_law(exponent):
    _, _, items, _ = drawn(replace(SPEC, exponent=exponent))
    counts = np.bincount(items, minlength=SPEC.items)
    # Clusters of different size blur the head, and that every item appears once lifts the tail.
    assert slope(counts, ranks=slice(10, 300)) == pytest.approx(-exponent, abs=0.25)


def test_what_is_popular_has_no_telling_number():
    _, users, items, _ = drawn(SPEC)
    for numbers, size in ((users, SPEC.users), (items, SPEC.items)):
        counts = np.bincount(numbers, minlength=size)
        assert abs(np.corrcoef(np.arange(size), counts)[0, 1]) < 0.1


def test_users_keep_to_their_clusters():
    interests, users, items, _ = drawn(replace(SPEC, drift=0.0))
    own = (interests.item_cluster[items] == interests.early_cluster[users]).mean()
    # A tenth of what is of any cluster is of one's own; a few percent give everyone a first one.
    assert 0.75 < own < 0.85
    interests, users, items, _ = drawn(replace(SPEC, drift=0.0, concentration=0.0))
    assert (interests.item_cluster[items] == interests.early_cluster[users]).mean() < 0.15


@pytest.mark.parametrize(("drift", "low", "high"), [(0.0, 0.0, 0.02), (1.0, 0.1, 0.5)])
def test_interests_drift(drift, low, high):
    interests, users, items, _ = drawn(replace(SPEC, drift=drift))
    clusters = interests.item_cluster[items]
    early, late = clusters[:40_000], clusters[-40_000:]
    assert low <= distance(early, late, size=SPEC.clusters) <= high
    own = clusters == interests.early_cluster[users]
    assert (own[:40_000].mean() - own[-40_000:].mean() > 0.3) == bool(drift)
    if drift:
        assert (clusters == interests.late_cluster[users])[-40_000:].mean() > 0.6


def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch):
    # What Arrow takes, tracemalloc doesn't see.
    before = pa.default_memory_pool()
    peaks = []
    for rows in (50_000, 200_000):
        pool = pa.proxy_memory_pool(before)
        pa.set_memory_pool(pool)
        (folder := tmp_path / str(rows)).mkdir()
        tracemalloc.start()
        try:
            synthetic.write_interactions(replace(SPEC, interactions=rows), folder, Silent())
            peaks.append((tracemalloc.get_traced_memory()[1], pool.max_memory()))
        finally:
            tracemalloc.stop()
            pa.set_memory_pool(before)
    (small, small_arrow), (large, large_arrow) = peaks
    assert small > 100_000
    assert small_arrow > 100_000
    assert large < 1.2 * small
    assert large_arrow < 1.2 * small_arrow


def test_vectors_can_be_published(call, tmp_path):
    flags = ("vectors", "--items", 250, "--users", 120, "--components", 8, "--clusters", 5)
    for name in "ab":
        status, printed = call(*flags, "--output", tmp_path / name, "--json")
        assert status == 0
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    made = json.loads(printed.out)
    assert (made["rows"], made["items"], made["users"], made["files"]) == (370, 250, 120, 4)
    folder = tmp_path / "a"
    publishable, warnings = read_own_vectors(
        OwnVectors(
            item_vectors=folder / "items.npy",
            item_ids=folder / "items.txt",
            user_vectors=folder / "users.npy",
            user_ids=folder / "users.txt",
        ),
        tmp_path,
    )
    assert warnings == []
    assert publishable.embeddings.item_embeddings.shape == (250, 8)
    assert (len(publishable.users), publishable.users.row("u119") is None) == (120, False)
    vectors = np.load(folder / "items.npy")
    # Every block is another one, and all of them were written.
    assert len(np.unique(vectors, axis=0)) == 250


def test_vectors_lie_in_clusters_that_users_share():
    clustered = Clustered(VectorsSpec(users=1, items=1, clusters=5, spread=0.3))
    items, users = (clustered.block(kind, 0, 300) for kind in (synthetic._ITEMS, synthetic._USERS))
    items, users = (of / np.linalg.norm(of, axis=1, keepdims=True) for of in (items, users))
    # With independent normal components no cosine in 64 dimensions comes near this.
    assert np.median((users @ items.T).max(axis=1)) > 0.9
    # About a fifth of the items are of a user's cluster.
    assert 0.1 < (users @ items.T > 0.7).mean() < 0.3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--users", 0), "--users is 0, but should be in 1..100000000"),
        (("--items", 50), "--clusters is 100, but should be in 1..50"),
        (("--interactions", -1), "--interactions is -1, but should be in 1..10000000000"),
        (("--exponent", "nan"), "--exponent is nan, but should be in 0..3"),
        (("--drift", 1.5), "--drift is 1.5, but should be in 0..1"),
        (("--seed", -1), "--seed is -1, but should be in 0..2147483647"),
    ],
)
def test_a_bad_flag_is_one_line_and_exit_status_1(flags, message, call, tmp_path):
    good = ("--users", 200, "--items", 200, "--interactions", 1000, "--output", tmp_path / "made")
    status, printed = call("interactions", *good, *flags)
    assert (status, printed.out, printed.err) == (1, "", f"error: {message}\n")
    assert not any(tmp_path.iterdir())


def test_a_bad_flag_of_vectors_is_named_too():
    with pytest.raises(OptionError, match=r"^--components is 0, but should be in 1\.\.4096$"):
        VectorsSpec(users=1, items=1, components=0)


def test_what_is_there_already_stays_as_it_is(call, tmp_path):
    (tmp_path / "kept").write_text("mine")
    status, printed = call("vectors", "--items", 9, "--users", 9, "--output", tmp_path)
    assert status == 1
    assert printed.err == f"error: {tmp_path} is there already: name a folder that isn't, or is empty\n"
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_too_little_space_is_known_before_the_start(call, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    output = tmp_path / "made"
    status, printed = call("vectors", "--items", 10_000_000, "--users", 10, "--output", output)
    assert status == 1
    assert printed.err == f"error: {tmp_path} has 1.0 GB free, but this may need 2.7 GB\n"
    assert not any(tmp_path.iterdir())


def test_nothing_half_made_is_left(call, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synthetic.os, "posix_fallocate", full)
    output = tmp_path / "made"
    status, printed = call("vectors", "--items", 9, "--users", 9, "--output", output, "--json")
    assert (status, printed.err) == (1, f"error: {output}: No space left on device\n")
    assert not any(tmp_path.iterdir())


def test_the_space_asked_for_is_enough(tmp_path):
    vectors = VectorsSpec(users=100, items=200, components=4)
    for number, spec in enumerate((SPEC, vectors)):
        (folder := tmp_path / str(number)).mkdir()
        write = (synthetic.write_interactions, synthetic.write_vectors)[number]
        write(spec, folder, Silent())
        written = sum(file.stat().st_size for file in folder.iterdir())
        assert written <= synthetic.needed_bytes(spec) + 2000
