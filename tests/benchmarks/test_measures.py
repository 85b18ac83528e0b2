"""What benchmarks report is what its name says."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import reader
from lightfm_retriever.publication.storage.ragged import Ragged
from tests.benchmarks import asking, large, startup, synthetic, training
from tests.benchmarks.asking import Calls
from tests.benchmarks.figures import Figures, Ratio
from tests.benchmarks.footprint import Footprint, Memory, further_worker
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.large import Recipe
from tests.benchmarks.questions import KINDS, Questions, among_the_best
from tests.benchmarks.serving import Compared
from tests.benchmarks.synthetic import InteractionsSpec
from trainer.fitting import lightfm_model
from trainer.fitting.embeddings import Embeddings
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.progress import Silent


def scheduled(due, asked, answered):
    return Calls(*(np.array(times, dtype=float) for times in (due, asked, answered)))


def closed(seconds, callers, cpu_seconds):
    """Calls of a closed loop that took so long each."""
    asked = np.arange(len(seconds))
    return Calls(asked, asked, asked + np.array(seconds), callers, cpu_seconds)


def test_latency_counts_from_when_a_call_was_due_not_from_when_it_was_asked():
    # The server stalls for a second: what was due meanwhile is asked after it and answered at once.
    made = scheduled(due=[0, 0.2, 0.6], asked=[0, 1.0, 1.1], answered=[1.0, 1.1, 1.2])
    assert made.seconds == pytest.approx([1.0, 0.9, 0.6])
    assert made.late == pytest.approx([0, 0.8, 0.5])
    assert made.calls_per_second == pytest.approx(3 / 1.2)
    assert Figures.of(made).p50_milliseconds == pytest.approx(900)


def test_percentiles_are_of_all_rounds_together_but_rates_are_medians():
    fast = closed([0.001] * 990, callers=1, cpu_seconds=0.099)
    slow = closed([0.1] * 10, callers=1, cpu_seconds=0.002)
    figures = Figures.of(fast, slow, fast)
    assert figures.calls_per_second == pytest.approx(1000)
    assert figures.p99_milliseconds == pytest.approx(1)
    assert figures.p999_milliseconds == pytest.approx(100)
    assert closed([0.01, 0.03], 16, 1).calls_per_second == pytest.approx(800)


def test_ratios_are_of_rounds_that_belong_together_not_of_the_medians():
    assert Ratio.of([90, 45, 22.5], [100, 50, 25]) == Ratio(*[pytest.approx(0.9)] * 3)
    assert Ratio.of([2, 4, 2], [1, 2, 3]) == Ratio(2, pytest.approx(2 / 3), 2)
    # The machine got slower by ten from round to round; the retriever takes twice as long in each.
    own = [closed([2 * seconds] * 100, 4, 3 * seconds) for seconds in (0.001, 0.01)]
    echo = [closed([seconds] * 100, 4, seconds) for seconds in (0.001, 0.01)]
    made = Compared.of("4 at a time", own, echo)
    assert (made.throughput.median, made.p99.median, made.cpu.median) == pytest.approx((0.5, 2, 3))


def test_every_call_of_a_schedule_is_asked_once_and_not_before_it_is_due():
    due = asking.schedule(200, 3, seed=1)
    assert len(due) == 600
    # As independent callers come: the gaps spread as much as they are long.
    assert np.diff(due).std() == pytest.approx(np.diff(due).mean(), rel=0.2)
    calls = asking.Turns([0.0, 0.001, 0.002, 0.003])
    calls.began = time.perf_counter()
    asked = []
    threads = [threading.Thread(target=calls.keep, args=(asked.append,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(asked) == [0, 1, 2, 3]
    for number, seconds in enumerate([0.0, 0.001, 0.002, 0.003]):
        assert calls.began + seconds <= calls.asked[number] <= calls.answered[number]


def test_a_reload_is_held_against_calls_outside_it():
    made = scheduled([0, 1, 2, 3.5, 6, 9], [0, 1, 2, 3.5, 6, 9], [1, 2, 4, 4.5, 7, 10])
    steady, during = startup.parted(made, 3, 5)
    assert steady.due.tolist() == [0, 1]
    # What was asked before and answered in it has felt it too.
    assert during.due.tolist() == [2, 3.5]


def test_a_further_worker_costs_the_slope_whatever_all_share():
    def of(count):
        shared = (500 + 40 * count) // count
        return Footprint(Memory(1000, 1, 2), [Memory(shared, 1, 1)] * count)

    assert further_worker({count: of(count) for count in (4, 1, 2)}, "pss") == pytest.approx(
        40, abs=0.5
    )
    assert further_worker({2: of(2)}, "pss") is None


@pytest.mark.parametrize(
    ("returned", "hits"),
    [
        ([0, 1, 2], 3),
        # Rows 2 and 3 are equally good for the last place.
        ([2, 3, 1], 3),
        # All that ties is right, but not more than was asked for.
        ([0, 1, 2, 3], 3),
        ([0, 1, 4], 2),
        # Row 5 may not be returned.
        ([0, 1, 5], 2),
        ([0, 0, 0], 1),
        ([], 0),
    ],
)
def test_what_is_as_good_as_the_last_of_the_best_is_found(returned, hits):
    scores = np.array([9, 8, 7, 7, 6, -np.inf], dtype=np.float32)
    rows = np.array(returned, dtype=np.int64)
    assert among_the_best(scores, rows, 3, np.zeros(len(rows), dtype=np.float32)) == (hits, 3)


@pytest.fixture
def made(monkeypatch, tmp_path):
    """A publication of small made-up factors and interactions instead of MovieLens'."""
    random = np.random.default_rng(1)
    items, users = (random.standard_normal((count, 9)).astype(np.float32) for count in (60, 40))
    values = np.concatenate([np.sort(random.choice(60, 15, replace=False)) for _ in range(40)])
    seen = Ragged(np.arange(41, dtype=np.int64) * 15, values.astype(np.int32))
    dataset = SimpleNamespace(seen=lambda: seen)
    monkeypatch.setattr(large, "movielens_model", lambda *_: (Embeddings(items, users), dataset))
    recipe = Recipe(items=200, users=150, backend="exact", seed=1)
    made = large.make(tmp_path, recipe, Silent())
    assert large.make(tmp_path, recipe, Silent()) == made
    return made


@pytest.mark.parametrize("name", KINDS)
def test_recall_is_that_of_the_replies(made, name):
    opened = reader.open_publication(made.volume, made.version)
    questions = Questions(made, queries=20, seed=1)
    kind = questions.kind(name)
    right, wrong = (
        [reply_of(opened, kind, number, best=best) for number in range(kind.measured)]
        for best in (True, False)
    )
    assert questions.found(kind, right) == 1
    assert questions.found(kind, wrong) < 0.1
    if half := len(right) // 2:
        found = questions.found(kind, right[:half] + wrong[half:])
        assert found == pytest.approx(half / len(right), abs=0.05)


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


def test_an_error_in_a_batch_is_no_answer(made):
    questions = Questions(made, queries=1, seed=1)
    failed = pb.RecommendResult()
    failed.error.message = "unknown user"
    reply = pb.BatchRecommendResponse(results=[failed]).SerializeToString()
    with pytest.raises(BenchmarkError, match="unknown user"):
        questions.found(questions.kind("batch"), [reply])


def test_both_fits_of_the_training_benchmark_do_the_same_work(tmp_path, monkeypatch):
    """The bare fit ends in the very numbers that the trainer's does."""
    (data := tmp_path / "data").mkdir()
    spec = InteractionsSpec(users=150, items=150, interactions=3000, clusters=5)
    synthetic.write_interactions(spec, data, Silent())
    matrix = tmp_path / "matrix.npz"
    training.read(str(data), str(matrix))
    models = []
    for_real = lightfm_model.train
    kept = lambda *given, **options: models.append(for_real(*given, **options)) or models[-1]  # noqa: E731
    monkeypatch.setattr(lightfm_model, "train", kept)
    asked = json.dumps(asdict(Hyperparameters(components=4, epochs=2, seed=1)))
    training.train(str(data), str(tmp_path / "volume"), asked)
    shown = training.BARE_FIT + "\nprint(json.dumps({'biases': model.item_biases.tolist()}))"
    said = training.run_part("the bare fit", shown, str(matrix), asked)
    assert np.array_equal(models[0].item_biases, np.array(said["biases"], dtype=np.float32))
    assert len(np.unique(models[0].item_biases)) > 100


@pytest.mark.parametrize("exponent", [0.6, 1.3])
def test_synthetic_popularity_follows_zipfs_law(exponent):
    spec = InteractionsSpec(
        users=2000, items=3000, interactions=200_000, clusters=10, exponent=exponent
    )
    items = np.concatenate([block.items for block in synthetic.Interests(spec).blocks()])
    counts = np.sort(np.bincount(items, minlength=spec.items))[::-1]
    ranks = np.arange(10, 300)
    slope = np.polyfit(np.log(1 + ranks), np.log(counts[ranks]), 1)[0]
    # Clusters of different size blur the head, and that every item appears once lifts the tail.
    assert slope == pytest.approx(-exponent, abs=0.25)


def test_grpc_is_no_part_of_the_memory_of_training():
    parts = "import sys; from tests.benchmarks import training; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", parts], check=False).returncode == 0
