"""What holds for every kind of index that is installed."""

from __future__ import annotations

import functools
import itertools
import tracemalloc

import numpy as np
import pytest

from lightfm_retriever.publication.search_effort import candidates_for
from lightfm_retriever.publication.storage.chunks import row_chunks
from tests.unit.trainer.index import cases
from tests.unit.trainer.index.cases import SPACES, build, most, recall, uneven, vectors
from trainer.index import NAMES, installed
from trainer.index.measure import query_settings

COUNT = 2000
BACKENDS = {backend.name: backend for backend in installed()}


def settings_of(name, space, items=COUNT):
    """All settings that would be tried."""
    return [settings for tried in BACKENDS[name].rounds(items, space) for settings in tried]


EVERY = [(name, space) for name in BACKENDS for space in SPACES]
TRIED = [
    pytest.param(name, space, settings, id=f"{name}-{space}-{'-'.join(map(str, settings.values()))}")
    for name, space in EVERY
    for settings in settings_of(name, space)
    # A hundred trees take much longer to build and are no other than thirty.
    if settings != {"trees": 100}
]
every = pytest.mark.parametrize(("name", "space"), EVERY)


@functools.cache
def items():
    made = uneven(COUNT)
    made.flags.writeable = False
    return made


@functools.cache
def queries():
    made = vectors(40, seed=2)
    made.flags.writeable = False
    return made


def test_all_of_them_are_tested():
    assert tuple(BACKENDS) == NAMES


@pytest.mark.parametrize(("scale", "threads"), [(2.0**-24, 1), (1, 3), (2.0**20, 1)])
@pytest.mark.parametrize(("name", "space", "settings"), TRIED)
def test_at_the_highest_effort_the_true_ten_are_found(tmp_path, name, space, settings, scale, threads):
    """Also of items that are much shorter or longer than queries, and by several threads."""
    of = items() * np.float32(scale)
    built = build(name, of, space, tmp_path, settings=settings, threads=threads)
    assert recall(built, of, queries(), space) >= 0.99


# What does nothing in the place of each transform.
UNCHANGED = {
    "missing_lengths": lambda of: np.zeros(len(of), dtype=np.float32),
    "unit_rows": lambda of: of,
}
NMSLIB = {"metric": "cosinesimil", "M": 16, "efConstruction": 200}
FAISS = {"lists": 179, "codes": "SQfp16"}


@pytest.mark.parametrize(
    ("name", "space", "transform", "settings"),
    [
        ("annoy", "inner_product", "missing_lengths", {"trees": 10}),
        ("faiss", "inner_product", "missing_lengths", FAISS),
        ("faiss", "cosine", "unit_rows", FAISS),
        ("nmslib", "inner_product", "missing_lengths", NMSLIB),
    ],
)
def test_that_bound_fails_without_the_transform(
    tmp_path, monkeypatch, name, space, transform, settings
):
    monkeypatch.setattr(f"trainer.index.{name}.{transform}", UNCHANGED[transform])
    built = build(name, items(), space, tmp_path, settings=settings)
    assert recall(built, items(), queries(), space) < 0.7


@every
def test_a_higher_effort_finds_more_up_to_the_highest(tmp_path, name, space):
    built = build(name, items(), space, tmp_path)
    if built.effort is None:
        assert name == "exact"
        return
    least, high = built.effort.least, built.effort.most
    assert 1 <= least < high
    found = [
        recall(built, items(), queries(), space, effort)
        for effort in np.unique(np.geomspace(least, high, 5).astype(int)).tolist()
    ]
    # Rounding apart, and graphs, where luck has a part.
    assert all(later >= earlier - 0.03 for earlier, later in itertools.pairwise(found))
    assert found[0] < 0.97 or name == "nmslib"
    # Norms are uneven enough for the orders of the two spaces to have little in common.
    [other] = {*SPACES} - {space}
    assert recall(built, items(), queries(), other) < 0.7
    small = build(name, vectors(300), space, tmp_path)
    for query in queries()[:10]:
        np.testing.assert_array_equal(
            np.sort(small.index.search(query, 20, most(small))),
            np.sort(small.index.search(query, 20, 2 * most(small))),
        )


@every
@pytest.mark.parametrize("count", [1, 2, 3, 7, 11])
def test_of_few_items_all_are_found(tmp_path, name, space, count):
    """Fewer than there are trees, lists, links or neighbours asked for."""
    of = vectors(count)
    for settings in settings_of(name, space, count):
        built = build(name, of, space, tmp_path, settings=settings)
        least = 0 if built.effort is None else built.effort.least
        for query in queries()[:5]:
            for asked in (10, 11, 100):
                found = built.index.search(query, asked, most(built)).tolist()
                assert len({*found}) == len(found) == min(asked, count), settings
                assert {*found} <= {*range(count)}
            few = built.index.search(query, 1, least).tolist()
            assert len(few) <= 1
            assert {*few} <= {*range(count)}
        assert recall(built, of, queries()[:5], space) == 1.0


@every
@pytest.mark.parametrize(
    "of",
    [
        *(np.ones((count, 9), dtype=np.float32) for count in (2, 40, 400)),
        np.repeat(uneven(100), 10, axis=0)[np.random.default_rng(1).permutation(1000)],
        # Along one line items differ by their norms alone, so by angle all of one side are equal.
        np.outer(np.linspace(-1, 1, 200), np.ones(9)).astype(np.float32),
    ],
    ids=["2 equal", "40 equal", "400 equal", "each ten times", "along a line"],
)
def test_of_equal_items_any_will_do(tmp_path, name, space, of):
    built = build(name, of, space, tmp_path)
    asked = np.concatenate([queries()[:20], of[[0, len(of) // 4, -1]]])
    assert recall(built, of, asked, space) >= 0.99


# Embeddings are a view: of each item's row all but its bias.
ARRANGED = {
    "view": lambda of: np.concatenate([of, np.full((len(of), 1), 1e6, np.float32)], axis=1)[:, :-1],
    "fortran": np.asfortranarray,
    "every other row": lambda of: np.repeat(of, 2, axis=0)[::2],
    "reversed": lambda of: of[::-1].copy()[::-1],
    "read only": lambda of: np.frombuffer(of.tobytes(), dtype=of.dtype).reshape(of.shape),
}


@every
@pytest.mark.parametrize("arrangement", ARRANGED)
def test_the_arrangement_in_memory_makes_no_difference(tmp_path, name, space, arrangement):
    of = items()[:600].copy()
    arranged = ARRANGED[arrangement](of)
    contents = []
    for vectors_given in (of, arranged):
        built = build(name, vectors_given, space, tmp_path)
        assert recall(built, of, queries(), space) >= 0.99
        contents.append((tmp_path / f"it.{name}").read_bytes() if built.has_file else b"")
    # NMSLIB draws anew each time.
    assert contents[0] == contents[1] or name == "nmslib"
    np.testing.assert_array_equal(arranged, of)


@every
def test_each_answer_is_the_same_again_and_a_query_may_be_a_view(tmp_path, name, space):
    """The effort of one search is no other's."""
    built = build(name, items(), space, tmp_path)
    wide = np.repeat(queries()[:5], 2, axis=1)
    wide.flags.writeable = False
    efforts = (0,) if built.effort is None else (built.effort.least, built.effort.most)
    asked = [
        (number, candidates_for(10, built.candidates, 5 * number), effort)
        for number in range(5)
        for effort in efforts
    ]
    first = [built.index.search(queries()[row], *search).tolist() for row, *search in asked]
    for (row, *search), answer in reversed([*zip(asked, first, strict=True)]):
        assert built.index.search(wide[row, ::2], *search).tolist() == answer


@every
@pytest.mark.parametrize("count", [1, 1025, 2048])
def test_every_item_is_told_of_once(tmp_path, name, space, count):
    told = []
    build(name, vectors(count), space, tmp_path, on_items=told.append)
    assert sum(told) == count
    assert all(number > 0 for number in told)


# What is recorded beside the settings that were asked for.
EXTRA = {"faiss": {"query_norm": 0.3}}
FACTS = {
    ("annoy", "cosine"): ("angular", 9, 10, "search_k"),
    ("annoy", "inner_product"): ("angular", 10, 10, "search_k"),
    ("exact", "cosine"): ("cosine", 9, 0, None),
    ("exact", "inner_product"): ("inner_product", 9, 0, None),
    ("faiss", "cosine"): ("l2", 9, 30, "probes"),
    ("faiss", "inner_product"): ("l2", 10, 30, "probes"),
    ("nmslib", "cosine"): ("cosinesimil", 9, 10, "ef"),
    ("nmslib", "inner_product"): ("negdotprod", 9, 10, "ef"),
}


@every
def test_the_facts_are_those_of_what_was_built(tmp_path, name, space):
    of = vectors(100)
    settings = settings_of(name, space, 100)[0]
    built = build(name, of, space, tmp_path, settings=settings)
    metric, dimensions, candidates, effort = FACTS[name, space]
    assert (built.metric, built.dimensions, built.candidates) == (metric, dimensions, candidates)
    assert built.build == settings | EXTRA.get(name, {})
    assert built.has_file == (tmp_path / f"it.{name}").exists() == (name != "exact")
    assert (built.effort and built.effort.name) == effort
    own = {} if effort is None else {effort: 17}
    assert query_settings(built, 17) == {**own, "candidates": candidates}


@pytest.mark.parametrize("name", [name for name in BACKENDS if name != "exact"])
@pytest.mark.parametrize("space", SPACES)
def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path, name, space):
    with pytest.raises(OSError, match=r"none|No such file"):
        build(name, vectors(3), space, tmp_path / "none")


@pytest.mark.parametrize("name", ["annoy", "faiss"])
@pytest.mark.parametrize("space", SPACES)
def test_one_thread_and_a_seed_give_the_same_bytes(tmp_path, name, space):
    def data(**options):
        build(name, items(), space, tmp_path, **options)
        return (tmp_path / f"it.{name}").read_bytes()

    assert data() == data()
    assert data() != data(seed=2)


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
    module = pytest.importorskip(f"trainer.index.{name}")
    of = cases.vectors(1500, 256)
    monkeypatch.setattr(module, "row_chunks", lambda count, *_: row_chunks(count, 32))
    if name == "faiss":
        monkeypatch.setattr(module, "_TRAINING_POINTS_PER_LIST", 10)
        monkeypatch.setattr(module, "_WRITTEN_BYTES", 1 << 14)
    tracemalloc.start()
    try:
        # What the libraries take themselves isn't seen here.
        build(name, of, space, tmp_path, settings=settings)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < of.nbytes / 3
