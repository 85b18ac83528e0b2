"""Indexes whose file, or what the manifest says of it, isn't what it should be.

The manifest is signed anew: checksums tell of damage, this is about what was written wrong.
"""

import itertools
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
from retriever.index import open_index
from tests import publications, retrievable
from tests.unit.retriever.index.asking import FILED, NAMES, backends, filed, names

# What each can't be searched without, and what its metric and dimensions should be for each question.
EFFORT = {"annoy": "search_k", "faiss": "probes", "nmslib": "ef"}
METRICS = {
    "annoy": ("angular", "angular"),
    "exact": ("cosine", "inner_product"),
    "faiss": ("l2", "l2"),
    "nmslib": ("cosinesimil", "negdotprod"),
}
DIMENSIONS = {"annoy": (4, 6), "exact": (4, 5), "faiss": (4, 6), "nmslib": (4, 5)}


def edited(published, name, **changes):
    """The same publication, with other facts of an index."""
    publications.edit_manifest(published.directory, lambda own: own["indexes"][name].update(changes))
    return published


def resealed(published, name, data):
    """The same publication, with another file of an index."""
    publications.reseal(published.directory, name, data)
    return published


def opened(published, name):
    return open_index(published.open(), name)


def assert_refused(published, name, message):
    with pytest.raises(SnapshotError) as caught:
        opened(published, name)
    assert str(caught.value) == f"index '{name}'{message}"


def assert_mismatch(published, name, *what_expected_found):
    with pytest.raises(MismatchError) as caught:
        opened(published, name)
    error = caught.value
    assert error.path == published.directory / published.open().manifest.indexes[name].file
    assert (error.what, error.expected, error.found) == what_expected_found


@names
@backends
def test_another_metric_or_other_dimensions_are_refused_with_what_it_should_have(
    published_by, backend, name
):
    place = NAMES.index(name)
    metric, dimensions = METRICS[backend][place], DIMENSIONS[backend][place]
    published = published_by(backend)
    for other in ("euclidean", "", "Angular"):
        edited(published, name, metric=other)
        assert_refused(published, name, f" has metric '{other}', but should have '{metric}'")
    edited(published, name, metric=metric)
    for other in (dimensions - 1, dimensions + 1):
        edited(published, name, dimensions=other)
        assert_refused(published, name, f" has dimensions {other}, but should have {dimensions}")


def test_angles_by_nmslib_need_the_transform_for_inner_products(published_by):
    """Its recommendations may be of two metrics, each with dimensions of its own."""
    published = edited(published_by("nmslib"), layout.RECOMMEND, metric="cosinesimil")
    assert_refused(published, layout.RECOMMEND, " has dimensions 5, but should have 6")
    edited(published, layout.RECOMMEND, dimensions=6)
    assert_mismatch(published, layout.RECOMMEND, "dimensions", 6, 5.0)


@names
@filed
def test_an_index_without_a_file_is_refused(published_by, backend, name):
    published = edited(published_by(backend), name, file=None)
    with pytest.raises(InvalidPublicationError, match=f"index '{name}' has no file"):
        opened(published, name)


@names
def test_a_norm_of_queries_for_faiss_that_is_none_is_named(published_by, name):
    published = published_by("faiss")
    whole = published.open().manifest.indexes[name].build
    del whole["query_norm"]
    for norm, given in (({}, None), *(({"query_norm": own}, own) for own in (0.0, 1, "0.3"))):
        edited(published, name, build={**whole, **norm})
        assert_refused(published, name, f": build.query_norm is {given!r}, but should be above 0")


@names
@filed
def test_a_query_parameter_that_is_no_count_or_no_effort_is_named(published_by, backend, name):
    published, effort = published_by(backend), EFFORT[backend]
    whole = published.open().manifest.indexes[name].query
    for key, value in itertools.product((effort, "candidates"), (True, 1.0, -2, 2**31)):
        edited(published, name, query={**whole, key: value})
        assert_refused(published, name, f": query.{key} is {value!r}, but should be a whole number")
    # Without one the recall that was measured isn't that of the search; Annoy has one of its own.
    for query in [{}, {effort: 0}, {effort: -1}] if backend != "annoy" else []:
        edited(published, name, query={"candidates": 10, **query})
        given = query.get(effort)
        assert_refused(published, name, f": query.{effort} is {given}, but should be 1 or more")


@names
@filed
@pytest.mark.parametrize("items", [1, 41])
def test_an_index_of_another_number_of_items_is_refused(published_by, tmp_path, backend, name, items):
    item_vectors = np.random.default_rng(1).normal(size=(items, 5)).astype(np.float32)
    path = tmp_path / "other"
    retrievable.build_index(name, item_vectors, path, backend=backend)
    published = resealed(published_by(backend), f"{name}.{backend}", path.read_bytes())
    assert_mismatch(published, name, "items", 40, items)


@pytest.mark.parametrize("backend", ["faiss", "nmslib"])
def test_the_file_of_the_other_question_is_refused(published_by, backend):
    published = published_by(backend)
    other = (published.directory / f"recommend.{backend}").read_bytes()
    resealed(published, f"similar.{backend}", other)
    assert_mismatch(published, layout.SIMILAR, "dimensions", 4, DIMENSIONS[backend][1])


@pytest.mark.parametrize("kind", ["Flat", "HNSW8", "SQ8", "IVF2,SQ8"])
def test_an_index_of_faiss_that_is_no_inverted_file_or_of_another_metric_is_refused(published_by, kind):
    other = faiss.METRIC_INNER_PRODUCT
    index = faiss.index_factory(4, kind, other)
    vectors = np.random.default_rng(1).normal(size=(40, 4)).astype(np.float32)
    index.train(vectors)
    index.add(vectors)
    data = faiss.serialize_index(index).tobytes()
    published = resealed(published_by("faiss"), "similar.faiss", data)
    if kind == "IVF2,SQ8":
        assert_mismatch(published, layout.SIMILAR, "metric", faiss.METRIC_L2, other)
    else:
        with pytest.raises(
            InvalidPublicationError, match=r"similar.faiss: isn't an inverted-file index"
        ):
            opened(published, layout.SIMILAR)


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


@names
@filed
def test_what_is_no_index_of_its_backend_or_is_cut_is_refused_and_kills_nobody(
    published_by, tmp_path, backend, name
):
    published = published_by(backend)
    path = published.directory / f"{name}.{backend}"
    whole = path.read_bytes()
    files = [
        (published_by(other).directory / f"{name}.{other}").read_bytes()
        for other in FILED
        if other != backend
    ]
    files += nonsense(whole)
    if backend != "annoy":
        # All of its head and of its tail, and some of what lies between.
        sizes = {*range(150), *range(150, len(whole), 97), *range(len(whole) - 300, len(whole))}
        assert len(sizes) > 450
        files += [whole[:size] for size in sorted(sizes)]
    *refused, last = refusals(published, name, tmp_path, [*files, whole])
    assert last == "opened"
    for said in refused:
        assert said.startswith(f"{path}: ")


def test_a_graph_of_nmslib_that_begins_nowhere_or_goes_on_behind_its_end_is_refused(published_by):
    published = published_by("nmslib")
    path = published.directory / "similar.nmslib"
    data = path.read_bytes()
    for beyond in (40, 2**31, 2**32 - 1):
        changed = data[:36] + struct.pack("<I", beyond) + data[40:]
        with pytest.raises(InvalidPublicationError) as caught:
            opened(resealed(published, path.name, changed), layout.SIMILAR)
        assert str(caught.value) == f"{path}: its search begins at item {beyond}, but it has 40 items"
    for more in (1, 4, 1000):
        resealed(published, path.name, data + bytes(more))
        assert_mismatch(published, layout.SIMILAR, "size in bytes", len(data), len(data) + more)
