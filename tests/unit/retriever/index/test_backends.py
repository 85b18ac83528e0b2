"""What all backends promise, each for both questions."""

from __future__ import annotations

import itertools
import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.search_effort import candidates_for
from retriever.answering.snapshot import open_snapshot
from retriever.index import open_index
from tests import publications
from tests.unit.retriever.index import asking
from tests.unit.retriever.index.asking import backends, filed, names, questions_of


@names
@filed
@pytest.mark.parametrize("effort", [0.1, 1.0, 100.0])
def test_it_proposes_no_item_twice_and_no_more_than_it_was_asked_for(
    published_by, backend, name, effort
):
    publication = published_by(backend).open()
    index = open_index(publication, name)
    for query in questions_of(publication, name)[0]:
        # As they are in a request: a row of what is mapped, which can't be written.
        query.setflags(write=False)
        for count in (1, 2, 10, 39, 40, 41, 1000):
            rows = index.search(query, count, effort).tolist()
            assert len(rows) == len({*rows}) <= count
            assert {*rows} <= {*range(40)}
            # Asked for everything, it proposes every item.
            assert len(rows) == 40 or count < 40 or effort < 1
            assert index.search(query, count, effort).tolist() == rows


@filed
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_neighbours_do_not_depend_on_how_long_the_vectors_are(tmp_path, backend, scale):
    """A strong L2 penalty makes embeddings tiny."""
    of = asking.built(tmp_path, layout.SIMILAR, backend, items=200, scale=scale)
    index = of.opened()
    assert of.recall(lambda query: index.search(query, candidates_for(10, index.candidates, 0))) == 1


@names
@filed
def test_more_effort_finds_more_of_the_true_ten(tmp_path, backend, name):
    # A poor graph, or NMSLIB's least effort would find everything.
    build = {"M": 5, "efConstruction": 20} if backend == "nmslib" else {}
    of = asking.built(tmp_path, name, backend, build=build, users=200)
    index = of.at({"annoy": 100, "faiss": 4, "nmslib": 10}[backend])
    count = candidates_for(10, index.candidates, 0)
    recalls = [
        of.recall(lambda query, factor=factor: index.search(query, count, factor))
        for factor in (0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
    ]
    for less, more in itertools.pairwise(recalls):
        # One item of a thousand may be lost among codes of eight bits.
        assert more >= less - 0.001
    assert recalls[-1] >= 0.99
    assert recalls[0] < recalls[-1] - 0.01


@names
@filed
def test_several_threads_may_search_at_the_same_time(tmp_path, backend, name):
    """With other counts and efforts in each: none is another's."""
    of = asking.built(tmp_path, name, backend)
    index = of.at(of.index.effort.least)
    asked = [
        (query, count, effort)
        for number, query in enumerate(of.queries())
        for count, effort in [((1, 10, 40, 150)[number % 4], (0.1, 1.0, 5.0, 20.0)[number // 4 % 4])]
    ]
    expected = [index.search(*each).tolist() for each in asked]
    # Otherwise one that mixes them up would be right all the same.
    assert [index.search(query, 10, 1.0).tolist() for query, _, _ in asked] != expected
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            assert [*pool.map(lambda each: index.search(*each).tolist(), asked)] == expected


@backends
def test_a_snapshot_holds_both_indexes_of_its_backend(published_by, backend):
    published = published_by(backend)
    snapshot = open_snapshot(published.volume, published.version)
    for ranker in (snapshot.similar, snapshot.recommend):
        # Where nothing proposes, all items are scored.
        of = None if backend == "exact" else f"retriever.index.{backend}"
        assert (ranker.index and type(ranker.index).__module__) == of


@filed
def test_indexes_of_two_backends_may_be_in_one_publication(published_by, backend):
    """The trainer chooses for each question by itself."""
    published, other = published_by("exact"), published_by(backend)
    file = layout.index_file(layout.RECOMMEND, backend)
    shutil.copy(other.directory / file, published.directory / file)
    theirs = json.loads((other.directory / layout.MANIFEST).read_bytes())

    def edit(content):
        content["indexes"][layout.RECOMMEND] = theirs["indexes"][layout.RECOMMEND]
        content["files"][file] = theirs["files"][file]

    publications.edit_manifest(published.directory, edit)
    snapshot = open_snapshot(published.volume, published.version)
    assert snapshot.similar.index is None
    assert type(snapshot.recommend.index).__module__ == f"retriever.index.{backend}"
