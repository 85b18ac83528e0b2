"""What holds for every kind of index that is installed."""

import itertools
import tracemalloc

import numpy as np
import pytest

from lightfm_retriever.publication.storage.chunks import row_chunks
from tests.unit.trainer.index import cases
from tests.unit.trainer.index.cases import SPACES, build, most, recall, uneven, vectors
from trainer.index import installed
from trainer.index.measure import query_settings

COUNT = 2000
BACKENDS = {backend.name: backend for backend in installed()}


def settings_of(name, space, items=COUNT):
    return [settings for tried in BACKENDS[name].rounds(items, space) for settings in tried]


EVERY = [(name, space) for name in BACKENDS for space in SPACES]
# A hundred trees take much longer to build and are no other than thirty.
TRIED = [
    (name, space, settings)
    for name, space in EVERY
    for settings in settings_of(name, space)
    if settings != {"trees": 100}
]
every = pytest.mark.parametrize(("name", "space"), EVERY)


ITEMS, QUERIES = uneven(COUNT), vectors(40, seed=2)
ITEMS.flags.writeable = QUERIES.flags.writeable = False


@pytest.mark.parametrize(("scale", "threads"), [(2.0**-24, 3), (2.0**20, 1)])
@pytest.mark.parametrize(("name", "space", "settings"), TRIED)
def test_at_the_highest_effort_the_true_ten_are_found(tmp_path, name, space, settings, scale, threads):
    of = ITEMS * np.float32(scale)
    built = build(name, of, space, tmp_path, settings=settings, threads=threads)
    assert recall(built, of, QUERIES, space) >= 0.99


@every
def test_a_higher_effort_finds_more_up_to_the_highest(tmp_path, name, space):
    built = build(name, ITEMS, space, tmp_path)
    if built.effort is None:
        assert name == "exact"
        return
    least, high = built.effort.least, built.effort.most
    assert 1 <= least < high
    found = [
        recall(built, ITEMS, QUERIES, space, effort)
        for effort in np.unique(np.geomspace(least, high, 5).astype(int)).tolist()
    ]
    # Rounding apart, and graphs, where luck has a part.
    assert all(later >= earlier - 0.03 for earlier, later in itertools.pairwise(found))
    assert found[0] < 0.97 or name == "nmslib"


@every
@pytest.mark.parametrize("count", [1, 3, 11])
def test_of_few_items_all_are_found(tmp_path, name, space, count):
    of = vectors(count)
    for settings in settings_of(name, space, count):
        built = build(name, of, space, tmp_path, settings=settings)
        least = 0 if built.effort is None else built.effort.least
        for query in QUERIES[:5]:
            for asked in (10, 11, 100):
                found = built.index.search(query, asked, most(built)).tolist()
                assert len({*found}) == len(found) == min(asked, count), settings
                assert {*found} <= {*range(count)}
            few = built.index.search(query, 1, least).tolist()
            assert few in ([], *([row] for row in range(count)))
        assert recall(built, of, QUERIES[:5], space) == 1.0


@every
def test_of_equal_items_any_will_do(tmp_path, name, space):
    # Along one line items differ by their norms alone, so by angle all of one side are equal.
    of = np.outer(np.linspace(-1, 1, 200), np.ones(9)).astype(np.float32)
    assert recall(build(name, of, space, tmp_path), of, QUERIES, space) >= 0.99


@every
def test_vectors_and_queries_may_be_views_and_answers_are_the_same_again(tmp_path, name, space):
    # Embeddings are a view: of each item's row all but its bias.
    of = np.concatenate([ITEMS, np.full((COUNT, 1), 1e6, np.float32)], axis=1)[:, :-1]
    built = build(name, of, space, tmp_path)
    assert recall(built, ITEMS, QUERIES, space) >= 0.99
    wide = np.repeat(QUERIES[:5], 2, axis=1)
    wide.flags.writeable = False
    efforts = {most(built), 0 if built.effort is None else built.effort.least}
    asked = [(row, 10 + 5 * row, effort) for row in range(5) for effort in efforts]
    first = [built.index.search(QUERIES[row], *search).tolist() for row, *search in asked]
    for (row, *search), answer in reversed([*zip(asked, first, strict=True)]):
        assert built.index.search(wide[row, ::2], *search).tolist() == answer


# What is recorded beside the settings that were asked for.
EXTRA = {"faiss": {"query_norm": 0.3}}
FACTS = {
    "annoy": (["angular", "angular"], [9, 10], 10, "search_k"),
    "exact": (["cosine", "inner_product"], [9, 9], 0, None),
    "faiss": (["l2", "l2"], [9, 10], 30, "probes"),
    "nmslib": (["cosinesimil", "negdotprod"], [9, 9], 10, "ef"),
}


@every
def test_the_facts_are_those_of_what_was_built(tmp_path, name, space):
    settings, told = settings_of(name, space, 1025)[0], []
    built = build(name, vectors(1025), space, tmp_path, settings=settings, on_items=told.append)
    # Every item is told of once.
    assert sum(told) == 1025
    assert all(number > 0 for number in told)
    metrics, dimensions, candidates, effort = FACTS[name]
    of_space = SPACES.index(space)
    assert (built.metric, built.dimensions) == (metrics[of_space], dimensions[of_space])
    assert built.candidates == candidates
    assert built.build == settings | EXTRA.get(name, {})
    assert built.has_file == (tmp_path / f"it.{name}").exists() == (name != "exact")
    assert (built.effort and built.effort.name) == effort
    own = {} if effort is None else {effort: 17}
    assert query_settings(built, 17) == {**own, "candidates": candidates}


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("annoy", {"trees": 1}),
        ("faiss", {"lists": 10, "codes": "SQ8"}),
        ("nmslib", {"metric": "cosinesimil", "M": 4, "efConstruction": 10}),
    ],
)
def test_no_copy_of_all_vectors_is_made(tmp_path, monkeypatch, name, settings, space):
    of = cases.vectors(1500, 256)
    monkeypatch.setattr(f"trainer.index.{name}.row_chunks", lambda count, *_: row_chunks(count, 32))
    if name == "faiss":
        monkeypatch.setattr("trainer.index.faiss._TRAINING_POINTS_PER_LIST", 10)
        monkeypatch.setattr("trainer.index.faiss._WRITTEN_BYTES", 1 << 14)
    tracemalloc.start()
    try:
        # What the libraries take themselves isn't seen here.
        build(name, of, space, tmp_path, settings=settings)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < of.nbytes / 3
