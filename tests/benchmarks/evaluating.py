"""Compare the time of the evaluation with that of the fit, and with LightFM's own evaluation.

    python -m tests.benchmarks.evaluating
    python -m tests.benchmarks.evaluating --interactions 5000000

Each dataset is fitted once with the default hyperparameters, and one thread. LightFM's evaluation then
computes precision@10 and AUC for the training part, for the test part, and for the test part without
seen items. The trainer's evaluation computes these six and all other measures, with standard errors and
segments. The datasets are MovieLens 100K, and synthetic interactions of 6,040 users and 3,706 items.
The result has the largest difference between LightFM's metrics of the test part and the trainer's.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from lightfm import LightFM
from lightfm.evaluation import auc_score, precision_at_k

from tests.benchmarks import frame
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.indexes import DATA_DIR
from tests.machine import machine_name
from trainer.data import movielens
from trainer.data.features import FeatureTable
from trainer.data.interactions import Interactions
from trainer.evaluation.evaluation import evaluate, evaluate_training
from trainer.evaluation.of_dataset import facts_of, held_out_test
from trainer.evaluation.of_vectors import scores_of
from trainer.fitting.embeddings import extract_embeddings
from trainer.fitting.lightfm_model import Hyperparameters, train
from trainer.preparing.dataset import Dataset, build_dataset
from trainer.preparing.splits import Split, Splitting

USERS, ITEMS = 6040, 3706


@dataclass(frozen=True)
class Figure:
    """The seconds of one dataset, and the number of metrics of the trainer."""

    data: str
    train_interactions: int
    fit: float
    by_lightfm: float
    by_trainer: float
    metrics: int
    largest_difference: float


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument("--interactions", type=frame.positive, default=1_000_000)
    options = parser.parse_args()
    rated = movielens.read_interactions(DATA_DIR)
    sources: dict[str, tuple[Interactions, Split]] = {
        "MovieLens 100K": (rated, "first-10"),
        "synthetic": (synthetic(options.interactions), "random"),
    }
    figures = [asdict(measured(name, *source)) for name, source in sources.items()]
    frame.report(
        options, frame.table(f"Seconds, {machine_name()}", map(_row, figures)), summary=figures
    )


def synthetic(count: int, *, seed: int = 1) -> Interactions:
    """Draw distinct pairs of USERS and ITEMS; a few of each have most of the interactions."""
    random = np.random.default_rng(seed)
    users, items = (1 / np.arange(1, n + 1) ** power for n, power in ((USERS, 0.5), (ITEMS, 0.8)))
    drawn = [
        random.choice(len(own), int(1.6 * count), p=own / own.sum()).astype(np.int64)
        for own in (users, items)
    ]
    pairs = random.permutation(np.unique(drawn[0] * ITEMS + drawn[1]))[:count]
    user_rows, item_rows = np.divmod(pairs, ITEMS)
    return Interactions(
        "synthetic",
        [f"u{row}" for row in range(USERS)],
        [f"i{row}" for row in range(ITEMS)],
        user_rows,
        item_rows,
        np.ones(len(pairs), dtype=np.float32),
        None,
        None,
        [],
    )


def measured(name: str, interactions: Interactions, split: Split) -> Figure:
    """Fit and evaluate one dataset in both ways."""
    nothing, own = FeatureTable(), Hyperparameters()
    dataset = build_dataset(
        interactions, items=nothing, users=nothing, splitting=Splitting(split, own.seed)
    )
    started = time.perf_counter()
    model = train(dataset, own, on_epoch=lambda: None)
    fitted = time.perf_counter()
    theirs = by_lightfm(model, dataset)
    evaluated = time.perf_counter()
    scores, test = scores_of(extract_embeddings(model, dataset)), held_out_test(dataset)
    if test is None:
        raise BenchmarkError(f"{name}: nothing is held out")
    found = evaluate(scores, test, seed=own.seed)
    ours = evaluate_training(scores, dataset, seed=own.seed) | found.metrics()
    facts_of(found, test, dataset.items, dataset.users)
    ended = time.perf_counter()
    # The metrics of the training part are those of a sample.
    differences = [abs(value - ours[key]) for key, value in theirs.items() if key[:4] == "test"]
    return Figure(
        data=name,
        train_interactions=int(dataset.train.nnz),
        fit=fitted - started,
        by_lightfm=evaluated - fitted,
        by_trainer=ended - evaluated,
        metrics=len(ours),
        largest_difference=max(differences),
    )


def by_lightfm(model: LightFM, dataset: Dataset) -> dict[str, float]:
    """Return LightFM's metrics under the trainer's names."""
    trained, tested = (
        part.multiply(part > 0).tocsr().astype(np.float32) for part in (dataset.train, dataset.test)
    )
    metrics = {}
    for pattern, part, excluded in (
        ("train_{}", trained, None),
        ("test_{}", tested, None),
        ("test_{}_unseen", tested, dataset.train),
    ):
        options = {
            "train_interactions": excluded,
            "user_features": dataset.user_features,
            "item_features": dataset.item_features,
        }
        precision = precision_at_k(model, part, k=10, **options)
        metrics[pattern.format("precision_at_10")] = float(precision.mean())
        metrics[pattern.format("auc")] = float(np.nanmean(auc_score(model, part, **options)))
    return metrics


def _row(figure: Mapping[str, str | int | float]) -> dict[str, str]:
    fit, theirs, ours = (float(figure[name]) for name in ("fit", "by_lightfm", "by_trainer"))
    return {
        "dataset": str(figure["data"]),
        "training interactions": f"{figure['train_interactions']:,}",
        "fit": f"{fit:.1f}",
        "LightFM's evaluation": f"{theirs:.1f}",
        "of the fit": f"{theirs / fit:.0%}",
        "trainer's evaluation": f"{ours:.1f}",
        "of fit": f"{ours / fit:.1%}",
        "metrics": str(figure["metrics"]),
        "largest difference": f"{figure['largest_difference']:.1e}",
    }


if __name__ == "__main__":
    frame.run(main)
