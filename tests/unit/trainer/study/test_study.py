import itertools
import json
import math
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import optuna
import pytest

from tests import datasets
from tests.measured_vectors import evaluate_vectors
from trainer.data.features import FeatureTable
from trainer.errors import DivergedError, ExtraMissingError, OptionError, TrainerError
from trainer.evaluation import evaluation
from trainer.fitting.embeddings import extract_embeddings
from trainer.fitting.lightfm_model import LOSSES, Hyperparameters, train
from trainer.preparing.dataset import held_out
from trainer.preparing.splits import Splitting
from trainer.progress import Silent
from trainer.reading import TrainingInput
from trainer.study import study
from trainer.study import trials as study_trials
from trainer.study.options import SearchSpace, StudyOptions
from trainer.study.study import run_study, write_study
from trainer.study.trials import search

SPACE = SearchSpace(components=(2, 8), losses=("warp", "bpr", "logistic"))
USERS, ITEMS, NOTHING = 30, 45, FeatureTable()
LIKES = np.array([[8.0 if item % 3 == group else 1.0 for item in range(ITEMS)] for group in range(3)])
LIKES /= LIKES.sum(axis=1, keepdims=True)
QUICK = StudyOptions(space=SPACE, start=datasets.QUICK, trials=8, max_epochs=6, epoch_step=2)


def liked():
    """Users like what their group likes, with more items than are recommended."""
    random = np.random.default_rng(1)
    rows = [
        (f"u{user}", f"i{item:02}", 1.0)
        for user in range(USERS)
        for item in random.choice(ITEMS, 14, replace=False, p=LIKES[user % 3])
    ]
    return [rows[place] for place in random.permutation(len(rows))]


ROWS = liked()
GIVEN = datasets.interactions(ROWS)


def run(of=GIVEN, *, items=NOTHING, split="random", options=QUICK, **others):
    made = TrainingInput(of, items)
    return run_study(made, split=split, options=options, reporter=Silent(), **others)


def inner(split="random"):
    return datasets.dataset(ROWS, split=split)


@pytest.fixture(scope="module")
def result():
    """Of a quick search."""
    return run()


@pytest.fixture
def searched(monkeypatch):
    """The trials of a search whose validations find what is given, by trial and validation."""

    def searched(of, *, clock=time.perf_counter, **changes):
        begun = itertools.count()

        def fake_train(dataset, hyperparameters, *, on_epoch, start=None):
            trial, validation = (next(begun), 0) if start is None else start
            return trial, validation + 1

        def fake_measure(model, *_, **__):
            return of(*model)

        monkeypatch.setattr(study_trials, "train", fake_train)
        monkeypatch.setattr(study_trials, "extract_embeddings", lambda model, _: model)
        monkeypatch.setattr(study_trials, "measure_one", fake_measure)
        monkeypatch.setattr(study_trials, "scores_of", lambda model: model)
        return search(inner(), replace(QUICK, **changes), reporter=Silent(), clock=clock)

    return searched


def test_trials_are_within_the_space_and_others_for_another_seed(result, capfd):
    """That they are the same for one is in the integration tests."""
    before = optuna.logging.get_verbosity()
    other = run(options=replace(QUICK, start=replace(datasets.QUICK, seed=2), trials=2))
    # Optuna keeps quiet, and its own settings.
    assert (optuna.logging.get_verbosity(), *capfd.readouterr()) == (before, "", "")
    assert other.trials[1].parameters != result.trials[1].parameters
    for trial in result.trials:
        assert {*trial.parameters} == {"loss", *SPACE.ranges()}
        assert trial.parameters["loss"] in SPACE.losses
        for name, (low, high) in SPACE.ranges().items():
            assert low <= trial.parameters[name] <= high, name
    assert len({trial.parameters["learning_rate"] for trial in result.trials}) == len(result.trials)
    # Features are used.
    genres = datasets.table({f"i{item:02}": [f"genres:{item % 3}"] for item in range(ITEMS)})
    [hybrid] = run(items=genres, options=replace(QUICK, trials=1)).trials
    assert hybrid.parameters == result.trials[0].parameters
    assert hybrid.value != result.trials[0].value


def test_the_best_is_trained_on_all_training_interactions_and_tested(result):
    best = max(result.trials, key=lambda trial: trial.value)
    assert (result.trials[result.best], result.value) == (best, best.value)
    assert result.hyperparameters == replace(datasets.QUICK, **best.parameters, epochs=best.epochs)
    dataset = inner()
    model = train(dataset, result.hyperparameters, on_epoch=lambda: None)
    seen, held_out = dataset.seen(), dataset.held_out()
    embeddings = extract_embeddings(model, dataset)
    assert result.test == evaluate_vectors(embeddings, seen=seen, held_out=held_out, seed=1)
    used = result.fit_interactions + result.validation_interactions
    assert used == pytest.approx(dataset.train.nnz, abs=20)
    assert 0 < result.validation_interactions < result.fit_interactions < dataset.train.nnz
    assert result.test_interactions == dataset.test.nnz


def test_the_search_never_sees_the_test_interactions():
    is_test = held_out(GIVEN, Splitting("first-10", 1))
    items, weights = GIVEN.items.copy(), GIVEN.weights.copy()
    items[is_test] = np.random.default_rng(3).permutation(items[is_test])
    weights[is_test] = 1000
    other = replace(GIVEN, items=items, weights=weights)
    first, second = (run(of, split="first-10") for of in (GIVEN, other))
    timeless, again = ([replace(t, seconds=0.0) for t in of.trials] for of in (first, second))
    assert (timeless, first.test != second.test) == (again, True)


@pytest.mark.parametrize(
    ("split", "asked", "validation"),
    [
        ("none", None, "random"),
        ("first-10", None, "random"),
        ("leave-last-k", None, "leave-last-k"),
        ("time", None, "time"),
        ("time", "random", "random"),
    ],
)
def test_validation_interactions_are_held_out_as_the_test_interactions_are(split, asked, validation):
    times = np.random.default_rng(1).permutation(len(GIVEN)).astype(np.float64)
    timed = replace(GIVEN, timestamps=times)
    result = run(timed, split=split, options=replace(QUICK, trials=1, validation=asked), split_count=2)
    assert (result.split, result.validation) == (split, validation)
    assert (result.test is None, result.test_interactions == 0) == (split == "none",) * 2
    if (split, validation) == ("leave-last-k",) * 2:
        assert result.test_interactions == result.validation_interactions == 2 * USERS


def test_the_first_trial_is_the_start_moved_into_the_space():
    start = replace(datasets.QUICK, loss="bpr", learning_rate=0.07, user_alpha=0.0)
    numbers = {"components": 6, "learning_rate": 0.07, "item_alpha": 0.001, "user_alpha": 1e-6}
    # A loss that isn't searched isn't tried first.
    for losses, loss in ((SPACE.losses, "bpr"), (("logistic",), "logistic")):
        space = replace(SPACE, components=(6, 8), user_alpha=(1e-6, 1e-2), losses=losses)
        [trial] = run(options=replace(QUICK, space=space, start=start, trials=1)).trials
        assert trial.parameters == {"loss": loss, **numbers}
    # By default every loss is searched around the defaults of a training; a penalty of 0 isn't.
    assert SearchSpace().losses == LOSSES
    inside = {name: of for name, of in SearchSpace().ranges().items() if name != "user_alpha"}
    assert all(low < getattr(Hyperparameters(), name) < high for name, (low, high) in inside.items())


def test_the_best_epoch_is_kept_and_a_trial_ends_when_nothing_better_comes(searched):
    def ended(*values, **changes):
        found = dict(enumerate(values, start=1))
        [trial] = searched(lambda _, number: found[number], trials=1, epoch_step=4, **changes)
        assert trial.state == "complete"
        return trial.value, trial.epochs, trial.trained_epochs

    # The first of equals, and no further when nothing better comes.
    assert ended(0.1, 0.3, 0.2, 0.3, 0.25, max_epochs=100, patience=3) == (0.3, 8, 20)
    # It still improves, and ends with the last epoch.
    assert ended(0.01, 0.02, 0.03, max_epochs=10) == (0.03, 10, 10)


def test_a_trial_that_is_worse_than_most_ends_early(searched):
    values = lambda trial, validation: 0.5 + validation / 100 if trial < 6 else 0.1  # noqa: E731
    trials = searched(values, max_epochs=20)
    assert [trial.state for trial in trials] == ["complete"] * 6 + ["pruned"] * 2
    assert [trial.trained_epochs for trial in trials] == [20] * 6 + [4] * 2
    assert trials[-1].value == 0.1


def fragile(when):
    """A training that diverges by its hyperparameters."""

    def fragile(dataset, hyperparameters, **options):
        if when(hyperparameters):
            raise DivergedError(1)
        return train(dataset, hyperparameters, **options)

    return fragile


def test_a_trial_that_diverges_is_recorded_as_failed_and_the_search_goes_on(monkeypatch):
    monkeypatch.setattr(study_trials, "train", fragile(lambda own: own.loss == "bpr"))
    result = run(options=replace(QUICK, trials=12))
    failed = [trial for trial in result.trials if trial.state == "failed"]
    found = {(trial.parameters["loss"], trial.value, trial.epochs) for trial in failed}
    assert found == {("bpr", None, 0)}
    errors = [(trial.error or "")[:28] for trial in result.trials]
    assert errors == ["training diverged in epoch 1" * (trial in failed) for trial in result.trials]
    assert result.hyperparameters.loss != "bpr"
    # Where nothing succeeds that is said.
    monkeypatch.setattr(study_trials, "train", fragile(lambda _: True))
    with pytest.raises(TrainerError, match=r"none of 2 trials succeeded; the first: training diverged"):
        run(options=replace(QUICK, trials=2))


def test_the_next_best_is_taken_when_the_best_diverges_on_all_training_interactions(monkeypatch):
    calls = []
    monkeypatch.setattr(study, "train", fragile(lambda own: calls.append(own) or len(calls) == 1))
    result = run()
    ordered = sorted(result.trials, key=lambda trial: trial.value, reverse=True)
    assert result.best == ordered[1].number
    assert result.hyperparameters == calls[1]
    [warning] = [text for text in result.warnings if "can't be used" in text]
    assert warning.startswith(f"trial {ordered[0].number} is better, but can't be used")


def test_the_timeout_ends_the_search_and_a_long_trial_at_its_next_validation(searched):
    def timed(**changes):
        clock = itertools.count().__next__
        return searched(lambda _, validation: validation / 1000, clock=clock, trials=1000, **changes)

    trials = timed(timeout_seconds=50, max_epochs=2, epoch_step=2)
    assert 5 < len(trials) < 50
    assert {trial.state for trial in trials} == {"complete"}
    [trial] = timed(timeout_seconds=5, max_epochs=1000, epoch_step=1)
    assert 1 <= trial.trained_epochs == trial.epochs < 10
    assert (trial.state, trial.value) == ("pruned", trial.trained_epochs / 1000)


@pytest.mark.parametrize(
    ("of", "change", "message"),
    [
        (SearchSpace, {"components": (8, 2)}, r"--components is 8, 2, but should be a range above 0"),
        (SearchSpace, {"components": (1, 5000)}, "--components is 5000, but should be in 1..4096"),
        (SearchSpace, {"learning_rate": (0.0, 0.1)}, "--learning-rate is .* a range above 0"),
        (SearchSpace, {"learning_rate": (0.1, math.nan)}, "--learning-rate is"),
        (SearchSpace, {"losses": ()}, "--losses is"),
        (SearchSpace, {"losses": ("warp", "warp")}, "--losses is"),
        (SearchSpace, {"losses": ("mse",)}, "--loss is 'mse'"),
        (StudyOptions, {"epoch_step": 61}, "--epoch-step is 61, but should be in 1..60"),
        (StudyOptions, {"timeout_seconds": 0}, "--timeout-seconds is 0, but should be above 0"),
        (StudyOptions, {"validation": "none"}, "--validation is 'none'"),
        (StudyOptions, {"start": Hyperparameters(sample_weights=True)}, "--loss is 'warp-kos', but"),
    ],
)
def test_what_cannot_be_searched_is_refused(of, change, message):
    with pytest.raises(OptionError, match=message):
        of(**change)


def test_a_search_needs_optuna_and_something_to_validate_on(monkeypatch):
    with pytest.raises(
        TrainerError, match="no interaction with a weight above 0 is left for validation"
    ):
        search(inner("none"), QUICK, reporter=Silent())
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ExtraMissingError, match=r"needs 'optuna', .* 'lightfm-retriever\[tune\]'"):
        run()


def test_a_study_is_written_beside_its_picture_if_there_is_one(result, tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.study.picture.draw", lambda of: f"a picture of {of.best}".encode())
    folder = tmp_path / "new" / "study"
    assert write_study(result, folder) == [folder / "study.json", folder / "study.png"]
    content = json.loads((folder / "study.json").read_text("utf-8"))
    assert content == json.loads(json.dumps(asdict(result)))
    assert Hyperparameters(**content["hyperparameters"]) == result.hyperparameters
    assert (folder / "study.png").read_bytes() == f"a picture of {result.best}".encode()
    # Without matplotlib there is no picture.
    for name in [*sys.modules]:
        if name.startswith(("matplotlib", "trainer.study.picture")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    # The package remembers its module too.
    monkeypatch.delattr("trainer.study.picture", raising=False)
    assert write_study(result, folder.parent) == [folder.parent / "study.json"]
    assert {path.name for path in folder.parent.rglob("*.*")} == {"study.json", "study.png"}


def test_a_search_maximises_the_measure_that_was_asked_for(monkeypatch):
    asked = []

    def noted(scores, test, measure, *, seed):
        asked.append(measure)
        return evaluation.measure_one(scores, test, measure, seed=seed)

    monkeypatch.setattr(study_trials, "measure_one", noted)
    dataset = datasets.dataset(split="random")
    short = {"trials": 1, "max_epochs": 1, "epoch_step": 1}
    for options, expected in (
        (StudyOptions(**short), "ndcg_at_10"),
        (StudyOptions(**short, objective="auc"), "auc"),
    ):
        [trial] = search(dataset, options, reporter=Silent())
        assert (asked.pop(), asked) == (expected, [])
        assert 0 < trial.value < 1
    with pytest.raises(OptionError, match=r"--objective.*ndcg_at_5.*auc"):
        StudyOptions(objective="ndcg")
