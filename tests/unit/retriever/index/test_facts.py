"""Indexes whose file, or what the manifest says of it, isn't what it should be.

The manifest is signed anew: checksums tell of damage, this is about what was written wrong.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys

import faiss
import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import InvalidPublicationError, MismatchError
from retriever.errors import SnapshotError
from tests import publications, retrievable
from tests.unit.retriever.index.asking import FILED, NAMES, filed, names, opened

# What each can't be searched without, and what its metric should be for each question.
EFFORT = {"annoy": "search_k", "faiss": "probes", "nmslib": "ef"}
METRICS = {
    "annoy": {layout.SIMILAR: "angular", layout.RECOMMEND: "angular"},
    "faiss": {layout.SIMILAR: "l2", layout.RECOMMEND: "l2"},
    "nmslib": {layout.SIMILAR: "cosinesimil", layout.RECOMMEND: "negdotprod"},
}
DIMENSIONS = {
    "annoy": {layout.SIMILAR: 4, layout.RECOMMEND: 6},
    "faiss": {layout.SIMILAR: 4, layout.RECOMMEND: 6},
    "nmslib": {layout.SIMILAR: 4, layout.RECOMMEND: 5},
}


def edited(published, name, **changes):
    """The same publication, with other facts of an index."""
    publications.edit_manifest(
        published.directory, lambda content: content["indexes"][name].update(changes)
    )
    return published


@names
@filed
@pytest.mark.parametrize("metric", ["euclidean", "", "Angular", "dot"])
def test_another_metric_is_refused_with_the_one_it_should_be(published_by, backend, name, metric):
    published = edited(published_by(backend), name, metric=metric)
    expected = METRICS[backend][name]
    message = f"index '{name}' has metric '{metric}', but should have '{expected}'"
    with pytest.raises(SnapshotError) as caught:
        opened(published, name)
    assert str(caught.value) == message


@names
@filed
@pytest.mark.parametrize("more", [-1, 1, 100])
def test_other_dimensions_are_refused_with_those_it_should_have(published_by, backend, name, more):
    expected = DIMENSIONS[backend][name]
    published = edited(published_by(backend), name, dimensions=expected + more)
    with pytest.raises(SnapshotError) as caught:
        opened(published, name)
    message = f"index '{name}' has dimensions {expected + more}, but should have {expected}"
    assert str(caught.value) == message


def test_angles_by_nmslib_need_the_transform_for_inner_products(published_by):
    """Its recommendations may be of two metrics, each with dimensions of its own."""
    published = edited(published_by("nmslib"), layout.RECOMMEND, metric="cosinesimil")
    with pytest.raises(SnapshotError, match="has dimensions 5, but should have 6"):
        opened(published, layout.RECOMMEND)
    edited(published, layout.RECOMMEND, dimensions=6)
    with pytest.raises(MismatchError, match=r"dimensions is 5\.0, but should be 6"):
        opened(published, layout.RECOMMEND)


@names
@filed
def test_an_index_without_a_file_is_refused(published_by, backend, name):
    published = edited(published_by(backend), name, file=None)
    with pytest.raises(InvalidPublicationError, match=f"index '{name}' has no file"):
        opened(published, name)


@names
@pytest.mark.parametrize("backend", ["faiss", "nmslib"])
@pytest.mark.parametrize("value", [..., 0, -1])
def test_an_effort_that_is_missing_or_none_is_named(published_by, backend, name, value):
    """Without it, or with none, the recall that was measured isn't that of the search."""
    key = EFFORT[backend]
    query = {"candidates": 10} if value is ... else {"candidates": 10, key: value}
    published = edited(published_by(backend), name, query=query)
    given = None if value is ... else value
    with pytest.raises(SnapshotError) as caught:
        opened(published, name)
    assert str(caught.value) == f"index '{name}': query.{key} is {given}, but should be 1 or more"


@names
@pytest.mark.parametrize("value", [..., None, 0.0, -0.3, 1, True, "0.3"])
def test_a_norm_of_queries_for_faiss_that_is_none_is_named(published_by, name, value):
    published = published_by("faiss")
    build = {**published.open().manifest.indexes[name].build, "query_norm": value}
    if value is ...:
        del build["query_norm"]
    edited(published, name, build=build)
    given = None if value is ... else value
    with pytest.raises(SnapshotError) as caught:
        opened(published, name)
    assert str(caught.value) == (
        f"index '{name}': build.query_norm is {given!r}, but should be above 0"
    )


@names
@filed
@pytest.mark.parametrize("value", [True, False, 1.0, 1.5, "1", None, -2, 2**31])
def test_a_query_parameter_that_is_no_count_is_named(published_by, backend, name, value):
    published = published_by(backend)
    whole = published.open().manifest.indexes[name].query
    for key in (EFFORT[backend], "candidates"):
        edited(published, name, query={**whole, key: value})
        with pytest.raises(SnapshotError) as caught:
            opened(published, name)
        assert str(caught.value) == f"index '{name}': query.{key} is {value!r}, which isn't a count"


@names
@filed
@pytest.mark.parametrize("items", [1, 39, 41, 400])
def test_an_index_of_another_number_of_items_is_refused(published_by, tmp_path, backend, name, items):
    published = published_by(backend)
    item_vectors = np.random.default_rng(1).normal(size=(items, 5)).astype(np.float32)
    path = tmp_path / "other"
    retrievable.build_index(name, item_vectors, path, backend=backend)
    publications.reseal(published.directory, f"{name}.{backend}", path.read_bytes())
    with pytest.raises(MismatchError) as caught:
        opened(published, name)
    assert caught.value.path == published.directory / f"{name}.{backend}"
    assert (caught.value.what, caught.value.expected, caught.value.found) == ("items", 40, items)


@names
@pytest.mark.parametrize("backend", ["faiss", "nmslib"])
def test_the_file_of_the_other_question_is_refused(published_by, backend, name):
    published = published_by(backend)
    other = layout.RECOMMEND if name == layout.SIMILAR else layout.SIMILAR
    data = (published.directory / f"{other}.{backend}").read_bytes()
    publications.reseal(published.directory, f"{name}.{backend}", data)
    with pytest.raises(MismatchError) as caught:
        opened(published, name)
    assert (caught.value.what, caught.value.expected, caught.value.found) == (
        "dimensions",
        DIMENSIONS[backend][name],
        DIMENSIONS[backend][other],
    )


def serialized(index, dimensions, count=40):
    vectors = np.random.default_rng(1).normal(size=(count, dimensions)).astype(np.float32)
    index.train(vectors)
    index.add(vectors)
    return faiss.serialize_index(index).tobytes()


@pytest.mark.parametrize("kind", ["Flat", "HNSW8", "SQ8"])
def test_an_index_of_faiss_that_is_no_inverted_file_is_refused(published_by, kind):
    published = published_by("faiss")
    data = serialized(faiss.index_factory(4, kind), 4)
    publications.reseal(published.directory, "similar.faiss", data)
    with pytest.raises(InvalidPublicationError, match=r"similar.faiss: isn't an inverted file"):
        opened(published, layout.SIMILAR)


def test_a_file_of_faiss_for_another_metric_is_refused(published_by):
    published = published_by("faiss")
    index = faiss.index_factory(4, "IVF2,SQ8", faiss.METRIC_INNER_PRODUCT)
    publications.reseal(published.directory, "similar.faiss", serialized(index, 4))
    with pytest.raises(MismatchError) as caught:
        opened(published, layout.SIMILAR)
    assert (caught.value.what, caught.value.expected, caught.value.found) == (
        "metric",
        faiss.METRIC_L2,
        faiss.METRIC_INNER_PRODUCT,
    )


@pytest.mark.parametrize("kind", ["IVF2,Flat", "IVF5,SQfp16", "IVF1,SQ4"])
def test_any_other_inverted_file_of_faiss_is_as_good(published_by, kind):
    published = published_by("faiss")
    publications.reseal(
        published.directory, "similar.faiss", serialized(faiss.index_factory(4, kind), 4)
    )
    index = opened(published, layout.SIMILAR)
    assert sorted(index.search(np.ones(4, dtype=np.float32), 40, 100.0)) == [*range(40)]


# ---- files that could end the process: they are opened in one of their own


def refusals(published, name, tmp_path, files):
    """What opening an index says to each of these files in its place, in one process."""
    paths = []
    for number, data in enumerate(files):
        paths.append(tmp_path / f"{number}.data")
        paths[-1].write_bytes(data)
    command = ["tests.unit.retriever.index.refusing", str(published.volume), published.version, name]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        input="".join(f"{path}\n" for path in paths),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [*map(json.loads, done.stdout.splitlines())]
    assert done.returncode == 0, f"died of file {len(said)} of {len(paths)}: {done.stderr}"
    assert len(said) == len(paths)
    return said


def nonsense(whole):
    """Files that are no index, and ones that begin as one or end too early."""
    random = np.random.default_rng(1)
    sizes = [1, 4, 19, 20, 67, 68, 100, 1000, len(whole), 10 * len(whole)]
    yield b""
    for size in sizes:
        yield bytes(size)
        yield b"\xff" * size
        yield random.bytes(size)
        for kept in (4, 20, 68, 100):
            yield whole[:kept] + random.bytes(size)


@filed
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_index_of_its_backend_is_refused_and_kills_nobody(
    published_by, tmp_path, backend, name
):
    published = published_by(backend)
    path = published.directory / f"{name}.{backend}"
    whole = path.read_bytes()
    others = [
        (published_by(other).directory / f"{name}.{other}").read_bytes()
        for other in FILED
        if other != backend
    ]
    for said in refusals(published, name, tmp_path, [*others, *nonsense(whole)]):
        assert said.startswith(f"{path}: ")


@pytest.mark.parametrize("beyond", [40, 2**31, 2**32 - 1])
def test_a_graph_of_nmslib_that_begins_nowhere_is_refused(published_by, beyond):
    published = published_by("nmslib")
    path = published.directory / "similar.nmslib"
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 36, beyond)
    publications.reseal(published.directory, path.name, bytes(data))
    with pytest.raises(InvalidPublicationError) as caught:
        opened(published, layout.SIMILAR)
    assert str(caught.value) == f"{path}: its search begins at item {beyond} of 40"


def test_more_behind_the_end_of_a_graph_of_nmslib_is_refused(published_by):
    published = published_by("nmslib")
    path = published.directory / "similar.nmslib"
    data = path.read_bytes()
    for more in (b"x", bytes(4), bytes(1000)):
        publications.reseal(published.directory, path.name, data + more)
        with pytest.raises(MismatchError) as caught:
            opened(published, layout.SIMILAR)
        assert (caught.value.what, caught.value.expected, caught.value.found) == (
            "size in bytes",
            len(data),
            len(data) + len(more),
        )


@names
@pytest.mark.parametrize("backend", ["faiss", "nmslib"])
def test_a_file_cut_anywhere_is_refused_and_kills_nobody(published_by, tmp_path, backend, name):
    published = published_by(backend)
    path = published.directory / f"{name}.{backend}"
    whole = path.read_bytes()
    # All of its head and of its tail, and some of what lies between.
    sizes = sorted({*range(150), *range(150, len(whole), 97), *range(len(whole) - 300, len(whole))})
    *refused, last = refusals(published, name, tmp_path, [*(whole[:size] for size in sizes), whole])
    assert last == "opened"
    assert len(refused) == len(sizes) > 450
    for said in refused:
        assert said.startswith(f"{path}: ")
