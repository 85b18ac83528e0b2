"""What holds for every kind of index that is installed."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from lightfm_retriever.publication.search_effort import candidates_for
from tests.unit.trainer.index import cases
from tests.unit.trainer.index.cases import SPACES, build, most, recall, uneven, vectors
from trainer.index import NAMES, installed, make_backends

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


@pytest.mark.parametrize(("name", "space", "settings"), TRIED)
def test_at_the_highest_effort_the_true_ten_are_found(tmp_path, name, space, settings):
    built = build(name, items(), space, tmp_path, settings=settings)
    assert recall(built, items(), queries(), space) >= 0.99


# What does nothing in the place of each transform.
UNCHANGED = {
    "missing_lengths": lambda of: np.zeros(len(of), dtype=np.float32),
    "unit_rows": lambda of: of,
}
# Each way to search by the wrong order: what is patched where, and the space and settings it is for.
BROKEN = [
    ("annoy", "inner_product", "missing_lengths", {"trees": 10}),
    ("faiss", "inner_product", "missing_lengths", {"lists": 179, "codes": "SQfp16"}),
    ("faiss", "cosine", "unit_rows", {"lists": 179, "codes": "SQfp16"}),
    (
        "nmslib",
        "inner_product",
        "missing_lengths",
        {"metric": "cosinesimil", "M": 16, "efConstruction": 200},
    ),
]


@pytest.mark.parametrize(("name", "space", "transform", "settings"), BROKEN)
def test_that_bound_fails_without_the_transform(
    tmp_path, monkeypatch, name, space, transform, settings
):
    monkeypatch.setattr(f"trainer.index.{name}.{transform}", UNCHANGED[transform])
    built = build(name, items(), space, tmp_path, settings=settings)
    assert recall(built, items(), queries(), space) < 0.7


@pytest.mark.parametrize("name", [name for name in BACKENDS if name != "exact"])
def test_that_bound_fails_for_the_other_space(tmp_path, name):
    """Norms are uneven enough for the two orders to have little in common."""
    for space, other in (SPACES, SPACES[::-1]):
        built = build(name, items(), space, tmp_path)
        assert recall(built, items(), queries(), other) < 0.7


@every
def test_a_higher_effort_finds_more(tmp_path, name, space):
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
    assert found[-1] >= 0.99


@every
def test_more_than_the_highest_effort_changes_nothing(tmp_path, name, space):
    of = vectors(300)
    built = build(name, of, space, tmp_path)
    highest = most(built)
    for query in queries()[:10]:
        np.testing.assert_array_equal(
            np.sort(built.index.search(query, 20, highest)),
            np.sort(built.index.search(query, 20, 2 * highest)),
        )


@every
@pytest.mark.parametrize("threads", [2, 3])
def test_several_threads_build_as_good_an_index(tmp_path, name, space, threads):
    built = build(name, items(), space, tmp_path, threads=threads)
    assert recall(built, items(), queries(), space) >= 0.99


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
@pytest.mark.parametrize("count", [2, 40, 400])
def test_equal_items_are_no_difficulty(tmp_path, name, space, count):
    of = np.ones((count, 3), dtype=np.float32)
    built = build(name, of, space, tmp_path)
    for asked in (1, 10, 40):
        found = built.index.search(of[0], asked, most(built)).tolist()
        assert len({*found}) == len(found) == min(asked, count)
        assert {*found} <= {*range(count)}


@every
def test_of_duplicates_any_will_do(tmp_path, name, space):
    of = np.repeat(uneven(100), 10, axis=0)[np.random.default_rng(1).permutation(1000)]
    built = build(name, of, space, tmp_path)
    assert recall(built, of, queries(), space) >= 0.99


@every
def test_items_along_one_line_are_found(tmp_path, name, space):
    """They differ by their norms alone, so that by angle all of one side are equal."""
    of = np.outer(np.linspace(-1, 1, 200), np.ones(4)).astype(np.float32)
    built = build(name, of, space, tmp_path)
    assert recall(built, of, of[[0, 50, -1]], space) >= 0.99


@pytest.mark.parametrize("scale", [2.0**-24, 2.0**-10, 2.0**10, 2.0**20])
@pytest.mark.parametrize(("name", "space", "settings"), [one for one in TRIED if "100" not in one.id])
def test_much_shorter_and_longer_items_than_queries_are_found_as_well(
    tmp_path, name, space, settings, scale
):
    of = items() * np.float32(scale)
    built = build(name, of, space, tmp_path, settings=settings)
    assert recall(built, of, queries(), space) >= 0.99


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
    np.testing.assert_array_equal(arranged, of)
    contents = []
    for vectors_given in (of, arranged):
        built = build(name, vectors_given, space, tmp_path)
        assert recall(built, of, queries(), space) >= 0.99
        contents.append((tmp_path / f"it.{name}").read_bytes() if built.has_file else b"")
    # NMSLIB draws anew each time.
    assert contents[0] == contents[1] or name == "nmslib"
    np.testing.assert_array_equal(arranged, of)


@every
def test_a_query_may_be_a_view_and_is_left_as_it_was(tmp_path, name, space):
    built = build(name, items()[:300], space, tmp_path)
    wide = np.repeat(queries()[:5], 2, axis=1)
    wide.flags.writeable = False
    for query, view in zip(queries()[:5], wide[:, ::2], strict=True):
        found = built.index.search(view, 10, most(built))
        np.testing.assert_array_equal(found, built.index.search(query, 10, most(built)))


@every
@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 2048])
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
    if effort is None:
        assert built.effort is None
        assert built.query(0) == {"candidates": candidates}
    else:
        assert built.effort.name == effort
        assert built.query(17) == {effort: 17, "candidates": candidates}


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


@every
def test_the_settings_worth_trying_begin_with_the_quickest_and_are_all_different(name, space):
    for count in (1, 3, 100, 10**4, 10**6, 10**7):
        rounds = BACKENDS[name].rounds(count, space)
        assert rounds
        assert all(len(settings) for settings in rounds)
        tried = [tuple(settings.items()) for one in rounds for settings in one]
        assert len({*tried}) == len(tried)
        assert make_backends(name)[0].rounds(count, space) == rounds


@every
def test_each_answer_is_the_same_again(tmp_path, name, space):
    """The effort of one search is no other's."""
    built = build(name, items(), space, tmp_path)
    efforts = (0,) if built.effort is None else (built.effort.least, built.effort.most)
    asked = [
        (query, candidates_for(10, built.candidates, 5 * number), effort)
        for number, query in enumerate(queries()[:5])
        for effort in efforts
    ]
    first = [built.index.search(*search).tolist() for search in asked]
    for search, answer in reversed([*zip(asked, first, strict=True)]):
        assert built.index.search(*search).tolist() == answer


def test_uneven_norms_are_uneven():
    norms = np.linalg.norm(items(), axis=1)
    assert norms.max() / np.median(norms) > 10
    assert cases.nothing(3).offsets.tolist() == [0] * 4
