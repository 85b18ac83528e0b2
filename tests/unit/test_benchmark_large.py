"""The publications that benchmarks share: what they take, what is in them, and that they are reused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import reader, verification
from lightfm_retriever.publication.manifest import DatasetFacts
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import Ragged
from tests.benchmarks import large
from tests.benchmarks.large import BenchmarkError, Recipe, Room
from tests.benchmarks.questions import KINDS, Questions
from trainer.fitting.embeddings import Embeddings
from trainer.progress import Silent
from trainer.report.subject import interpolated

PLENTY = Room(1e12, 1e12)


@pytest.fixture
def movielens(monkeypatch):
    """Small made-up factors and interactions instead of MovieLens'."""
    random = np.random.default_rng(1)
    items, users = (random.standard_normal((count, 9)).astype(np.float32) for count in (60, 40))
    values = np.concatenate([np.sort(random.choice(60, 15, replace=False)) for _ in range(40)])
    seen = Ragged(np.arange(41, dtype=np.int64) * 15, values.astype(np.int32))
    monkeypatch.setattr(large, "_movielens", lambda _: (Embeddings(items, users), seen))
    monkeypatch.setattr(large, "room_in", lambda _: PLENTY)


def make(folder, **changes):
    recipe = Recipe(**{"items": 200, "users": 150, "backend": "exact", "seed": 1, **changes})
    return large.make(folder, recipe, Silent())


def test_it_has_all_that_questions_need_and_answers_are_exact(movielens, tmp_path):
    made = make(tmp_path)
    opened = reader.open_publication(made.volume, made.version)
    assert (len(opened.items), len(opened.users)) == (200, 150)
    assert opened.fold_in is not None
    assert opened.popularity is not None
    assert opened.attributes is not None
    assert [one.name for one in opened.attributes.facts] == ["tenth", "number"]
    assert set(opened.manifest.indexes) == {"similar", "recommend"}
    questions = Questions(made, queries=20, seed=1)
    for name in KINDS:
        kind = questions.kind(name)
        assert len(kind.asked) >= 20
        assert kind.measured * kind.answers == len(kind.asked)
        assert len(kind.requests) > kind.measured


@pytest.mark.parametrize("name", KINDS)
def test_recall_is_that_of_the_replies(movielens, tmp_path, name):
    made = make(tmp_path)
    opened = reader.open_publication(made.volume, made.version)
    questions = Questions(made, queries=20, seed=1)
    kind = questions.kind(name)
    right, wrong = (
        [reply_of(opened, kind, number, best=best) for number in range(kind.measured)]
        for best in (True, False)
    )
    assert questions.found(kind, right) == 1
    assert questions.found(kind, wrong) < 0.1
    half = len(right) // 2
    if half:
        found = questions.found(kind, right[:half] + wrong[half:])
        assert found == pytest.approx(half / len(right), abs=0.05)


def test_users_are_asked_for_by_their_own_vectors(movielens, tmp_path):
    made = make(tmp_path)
    opened = reader.open_publication(made.volume, made.version)
    kind = Questions(made, queries=5, seed=1).kind("recommend")
    for request, asked in zip(kind.requests, kind.asked, strict=False):
        row = opened.users.row(pb.RecommendRequest.FromString(request).user_id)
        assert asked.query.tolist() == [*opened.user_vectors[row][:-1].tolist(), 1]
        assert asked.excluded.tolist() == opened.seen[row].tolist()


def reply_of(opened, kind, number, *, best):
    """The ten best items by a plain sort, or the ten worst that may be returned."""
    asked = kind.asked[number * kind.answers : (number + 1) * kind.answers]
    message = pb.SimilarItemsResponse if kind.method == "SimilarItems" else pb.RecommendResponse
    answers = []
    for one in asked:
        vectors = opened.item_vectors.astype(np.float64)
        if kind.cosine:
            vectors = vectors[:, :-1] / np.linalg.norm(vectors[:, :-1], axis=1, keepdims=True)
        scores = vectors @ one.query
        allowed = np.setdiff1d(np.arange(len(scores)), one.excluded)
        if kind.allowed is not None:
            allowed = allowed[kind.allowed[allowed]]
        order = allowed[np.argsort(-scores[allowed] if best else scores[allowed])]
        ids = [opened.items.external_id(row) for row in order[: 10 if best else 1].tolist()]
        answers.append(message(items=[pb.ScoredItem(item_id=item_id) for item_id in ids]))
    if kind.method != "BatchRecommend":
        return answers[0].SerializeToString()
    results = [pb.RecommendResult(response=answer) for answer in answers]
    return pb.BatchRecommendResponse(results=results).SerializeToString()


def test_an_error_in_a_batch_and_an_item_of_another_version_are_no_answers(movielens, tmp_path):
    questions = Questions(make(tmp_path), queries=1, seed=1)
    failed = pb.RecommendResult()
    failed.error.message = "unknown user"
    with pytest.raises(BenchmarkError, match="unknown user"):
        questions.found(
            questions.kind("batch"), [pb.BatchRecommendResponse(results=[failed]).SerializeToString()]
        )
    strange = pb.RecommendResponse(items=[pb.ScoredItem(item_id="elsewhere")])
    with pytest.raises(BenchmarkError, match="doesn't have"):
        questions.found(questions.kind("recommend"), [strange.SerializeToString()])


def test_it_is_made_once_for_the_same_parameters(movielens, tmp_path):
    first = make(tmp_path)
    assert make(tmp_path) == first
    assert make(tmp_path, seed=2).version != first.version
    assert make(tmp_path, users=151).volume != first.volume
    assert make(tmp_path) == first


def test_what_was_damaged_or_made_by_other_rules_is_made_again(movielens, monkeypatch, tmp_path):
    first = make(tmp_path)
    (first.directory / "items.trie").unlink()
    second = make(tmp_path)
    assert verification.verify(second.volume, second.version)
    vectors = second.directory / "item_vectors.npy"
    vectors.chmod(0o644)
    vectors.write_bytes(b"cut short")
    second = make(tmp_path)
    assert verification.verify(second.volume, second.version)
    monkeypatch.setattr(large, "_RULES", large._RULES + 1)
    make(tmp_path)
    record = json.loads((second.volume.parent / large._RECORD).read_text())
    assert record["rules"] == large._RULES


def test_a_label_that_was_left_elsewhere_is_moved_back(movielens, tmp_path):
    made = make(tmp_path)
    other = large.again(made)
    assert other != made.version
    large.labels.promote(made.volume, other)
    assert make(tmp_path) == made
    assert large.labels.read_label(made.volume, "current") == made.version


def test_a_copy_is_the_same_in_files_of_its_own(movielens, tmp_path):
    made = make(tmp_path)
    other = made.directory.parent / large.again(made)
    names = [path.name for path in made.directory.iterdir()]
    assert sorted(names) == sorted(path.name for path in other.iterdir())
    vectors = "item_vectors.npy"
    assert (made.directory / vectors).read_bytes() == (other / vectors).read_bytes()
    assert not (made.directory / vectors).samefile(other / vectors)
    assert verification.verify(made.volume, other.name)


def test_as_many_as_movielens_has_are_its_own_and_more_are_interpolated(movielens):
    own, _ = large._movielens(1)
    assert large._scaled(own.item_vectors, 60, 1) is own.item_vectors
    more = large._scaled(own.item_vectors, 61, 1)
    assert np.array_equal(more, interpolated(own.item_vectors, 61, seed=1))
    assert large._scaled(own.item_vectors, 59, 1).shape == (59, 9)


def test_the_nearest_is_by_distance_not_by_inner_product():
    own = np.array([[1, 0], [10, 0], [0, 1]], dtype=np.float32)
    vectors = np.array([[2, 0], [9, 1], [0.1, 3]], dtype=np.float32)
    assert large.nearest(vectors, own).tolist() == [0, 1, 2]


def test_users_have_seen_what_is_near_what_the_user_nearby_has_seen(monkeypatch):
    # Less than there are users, so that several chunks are joined.
    monkeypatch.setattr(large, "_CHUNK", 7)
    own_seen = Ragged(np.array([0, 2, 3]), np.array([0, 2, 1], dtype=np.int32))
    item_near = np.array([2, 1, 0, 1, 0, 2, 1, 0] * 20, dtype=np.int32)
    user_near = np.array([0, 1] * 10, dtype=np.int32)
    seen = large.draw_seen(user_near, own_seen, item_near, seed=1)
    assert len(seen) == 20
    assert seen.problem() is None
    assert seen.first_not_ascending() is None
    assert (np.diff(seen.offsets) > 0).all()
    for user, near in enumerate(user_near.tolist()):
        assert set(item_near[seen[user]].tolist()) <= ({0, 2} if near == 0 else {1})


def test_where_no_item_is_near_any_is_seen():
    own_seen = Ragged(np.array([0, 1]), np.array([5], dtype=np.int32))
    item_near = np.zeros(50, dtype=np.int32)
    seen = large.draw_seen(np.zeros(3, dtype=np.int32), own_seen, item_near, seed=1)
    assert len(set(seen.values.tolist())) > 5
    assert seen.values.max() < 50


@pytest.mark.parametrize(
    ("have", "said"),
    [
        (Room(1e9, 9e9), "x needs about 2.0 GB of memory, but 1.0 GB are free"),
        (Room(9e9, 2.5e9), "x needs about 3.0 GB of disk, but 2.5 GB are free"),
    ],
)
def test_too_little_room_is_refused_with_both_figures(have, said):
    large.check_room("x", Room(2e9, 3e9), Room(2e9, 3e9))
    with pytest.raises(BenchmarkError) as caught:
        large.check_room("x", Room(2e9, 3e9), have)
    assert str(caught.value) == said


def test_more_items_users_and_backends_need_more():
    small = large.needs(Recipe(items=1000, users=1000, backend="faiss"))
    for changes in ({"items": 10_000}, {"users": 10_000}, {"backend": "auto"}):
        more = large.needs(Recipe(**{"items": 1000, "users": 1000, "backend": "faiss", **changes}))
        assert more.memory > small.memory
        assert more.disk > small.disk
    both = large.needs(Recipe(items=1000, users=1000, backend="faiss, annoy"))
    assert both == large.needs(Recipe(items=1000, users=1000, backend="annoy,faiss"))
    assert both.memory >= large.needs(Recipe(items=1000, users=1000, backend="annoy")).memory


def test_all_of_a_run_are_checked_first_disk_together_and_memory_one_by_one(monkeypatch, tmp_path):
    recipes = [Recipe(items=items, users=1000) for items in (1_000_000, 100_000)]
    one, two = map(large.needs, recipes)

    def check(memory, disk, besides):
        monkeypatch.setattr(large, "room_in", lambda _: Room(memory, disk))
        large.check_all(tmp_path, recipes, besides=lambda _: besides)

    disk = one.disk + two.disk + 14
    for besides, memory in ((Room(5, 7), one.memory), (Room(1e11, 7), 1e11)):
        check(memory, disk, besides)
        with pytest.raises(BenchmarkError, match="memory"):
            check(memory - 1, disk, besides)
        with pytest.raises(BenchmarkError, match="disk"):
            check(memory, disk - 1, besides)


def test_what_is_made_already_needs_only_what_comes_besides(movielens, monkeypatch, tmp_path):
    made = make(tmp_path)
    monkeypatch.setattr(large, "room_in", lambda _: Room(5, 7))
    large.check_all(tmp_path, [made.recipe], besides=lambda _: Room(5, 7))
    with pytest.raises(BenchmarkError, match="memory"):
        large.check_all(tmp_path, [made.recipe], besides=lambda _: Room(6, 7))


def a_system(folder, **group):
    (folder / "proc").mkdir()
    (folder / "proc/meminfo").write_text(
        "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:    4000 kB\n"
    )
    if group:
        cgroup = folder / "sys/fs/cgroup"
        cgroup.mkdir(parents=True)
        for name, text in group.items():
            (cgroup / f"memory.{name}").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("group", "left"),
    [
        ({}, 4000 * 1024),
        ({"max": "max\n", "current": "5\n", "stat": "anon 1\n"}, 4000 * 1024),
        (
            {"max": "1000000\n", "current": "700000\n", "stat": "anon 1\ninactive_file 200000\n"},
            500_000,
        ),
        ({"max": "100000000\n", "current": "7\n", "stat": "anon 1\n"}, 4000 * 1024),
    ],
)
def test_memory_is_what_the_system_and_the_control_group_have_left(tmp_path, group, left):
    assert large._memory_left(a_system(tmp_path, **group)) == left


def test_room_is_that_of_the_disk_where_the_folder_will_be(tmp_path):
    assert large.room_in(tmp_path / "not" / "there" / "yet").disk > 0


def test_facts_say_that_it_is_made_up(movielens):
    made = large.generate(Recipe(items=100, users=100, seed=3))
    assert isinstance(made.facts, DatasetFacts)
    assert made.facts.name.startswith("made up")
    assert isinstance(made.items, IdMap)
    assert made.facts.train_interactions == len(made.seen.values)
