"""Compare LightFM with MLlib's ALS on MovieLens 100K, each with defaults and tuned: precision@10.

    python -m tests.benchmarks.engines               # forty trials, about ten minutes
    python -m tests.benchmarks.engines --trials 5

Random search tunes ALS on the validation split of `trainer tune`: a random tenth of the training
interactions, none of the `ua` split's test interactions. The best setting is fitted again to all
training data, and evaluated once on the test interactions. `make tune` found LightFM's tuned
hyperparameters in sixty trials on the same validation split (see the README). One Spark session fits
all models.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests import movielens
from tests.benchmarks import frame
from tests.machine import machine_name
from tests.measured_vectors import evaluate_vectors
from trainer.fitting.embeddings import Embeddings, extract_embeddings
from trainer.fitting.lightfm_model import Hyperparameters, train
from trainer.preparing.dataset import Dataset, build_dataset, held_out
from trainer.preparing.splits import Splitting
from trainer.progress import Reporter
from trainer.spark.exchange import ITEMS, USERS, Exchange
from trainer.spark.options import SparkAls
from trainer.spark.session import spark_session
from trainer.spark.vectors import collect

SEED = 42
_PRECISION = "test_precision_at_10_unseen"
LIGHTFM = {
    "LightFM, defaults": Hyperparameters(),
    "LightFM, tuned": Hyperparameters(
        components=84, learning_rate=0.0308, item_alpha=0.00163, user_alpha=9.4e-5, epochs=60
    ),
}


@dataclass(frozen=True)
class Setting:
    """The settings of ALS to search."""

    rank: int
    regularization: float
    alpha: float
    iterations: int
    weighted: bool

    @classmethod
    def drawn(cls, random: np.random.Generator) -> Setting:
        """Draw a setting, uniformly on log scales."""

        def log(low: float, high: float) -> float:
            return float(np.exp(random.uniform(np.log(low), np.log(high))))

        return cls(
            rank=round(log(8, 96)),
            regularization=float(f"{log(0.003, 1):.3g}"),
            alpha=float(f"{log(0.1, 100):.3g}"),
            iterations=int(random.integers(5, 26)),
            weighted=bool(random.integers(2)),
        )


DEFAULTS = Setting(
    rank=Hyperparameters.components,
    regularization=SparkAls.als_regularization,
    alpha=SparkAls.als_alpha,
    iterations=Hyperparameters.epochs,
    weighted=False,
)


class Als:
    """Fits ALS to datasets, all in one session."""

    def __init__(self, session: Any, folder: Path) -> None:
        from trainer.spark import source

        source.register(session)
        self._session, self._folder = session, folder

    def fit(self, dataset: Dataset, setting: Setting) -> tuple[Embeddings, float]:
        """Fit ALS to a dataset. Returns the vectors, and the seconds."""
        from trainer.spark import als

        with tempfile.TemporaryDirectory(dir=self._folder) as temporary:
            exchange = Exchange(temporary)
            started = time.perf_counter()
            parts = als.fit(
                self._session,
                exchange,
                SparkAls(als_regularization=setting.regularization, als_alpha=setting.alpha),
                Hyperparameters(
                    components=setting.rank,
                    epochs=setting.iterations,
                    sample_weights=setting.weighted,
                    seed=SEED,
                ),
                train=dataset.train,
                on_epoch=lambda _: None,
            )
            items, users = (
                np.array(
                    collect(
                        exchange,
                        of,
                        Path(temporary) / f"{of}.npy",
                        parts=parts[of],
                        rows=rows,
                        rank=setting.rank,
                    )[0]
                )
                for of, rows in ((ITEMS, len(dataset.items)), (USERS, len(dataset.users)))
            )
            return Embeddings(items, users), time.perf_counter() - started


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument("--trials", type=int, default=40, help="number of trials of ALS (default: 40)")
    parser.add_argument("--spark-master", default="local[2]", help="Spark master (default: local[2])")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="engines-") as temporary,
        spark_session(
            SparkAls(spark_master=options.spark_master), checkpoints=Path(temporary) / "checkpoints"
        ) as session,
    ):
        als = Als(session, Path(temporary))
        results, best = _measure(als, options.trials, frame.reporter(options))
    rows = [
        {
            "": one["name"],
            "validation": f"{one['validation']:.4f}",
            "test, seen excluded": f"{one['test_unseen']:.4f}",
            "test, all items": f"{one['test']:.4f}",
            "AUC, seen excl.": f"{one['test_auc_unseen']:.4f}",
            "fit, s": f"{one['fit_seconds']:.1f}",
        }
        for one in results
    ]
    title = f"MovieLens 100K, ua split; {options.trials} trials of ALS; {machine_name()}"
    frame.report(
        options,
        frame.table(title, rows),
        f"best of ALS: {best}",
        best=asdict(best),
        rows=results,
    )


def _measure(als: Als, trials: int, reporter: Reporter) -> tuple[list[dict[str, Any]], Setting]:
    source = movielens.read()
    is_test = held_out(source.interactions, Splitting("first-10", SEED))
    whole, inner = (
        build_dataset(
            interactions, items=source.items, users=source.users, splitting=Splitting(split, SEED)
        )
        for interactions, split in (
            (source.interactions, "first-10"),
            (source.interactions.where(~is_test), "random"),
        )
    )
    random = np.random.default_rng(SEED)
    tried: dict[Setting, float] = {}
    with reporter.step("ALS, trials", trials + 1) as advance:
        for setting in [DEFAULTS, *(Setting.drawn(random) for _ in range(trials))]:
            embeddings, _ = als.fit(inner, setting)
            tried[setting] = _evaluate(embeddings, inner)[_PRECISION]
            advance(1)
    best = max(tried, key=tried.__getitem__)
    rows = []
    for name, hyperparameters in LIGHTFM.items():
        validation = _evaluate(_lightfm(inner, hyperparameters)[0], inner)[_PRECISION]
        rows.append(_row(name, whole, validation, *_lightfm(whole, hyperparameters)))
    for name, setting in (("ALS, defaults", DEFAULTS), ("ALS, tuned", best)):
        rows.append(_row(name, whole, tried[setting], *als.fit(whole, setting)))
    return rows, best


def _lightfm(dataset: Dataset, hyperparameters: Hyperparameters) -> tuple[Embeddings, float]:
    started = time.perf_counter()
    model = train(dataset, hyperparameters, on_epoch=lambda: None)
    return extract_embeddings(model, dataset), time.perf_counter() - started


def _evaluate(embeddings: Embeddings, dataset: Dataset) -> dict[str, float]:
    positives = dataset.held_out()
    assert positives is not None
    return evaluate_vectors(embeddings, seen=dataset.seen(), held_out=positives, seed=SEED)


def _row(
    name: str, dataset: Dataset, validation: float, embeddings: Embeddings, seconds: float
) -> dict[str, Any]:
    found = _evaluate(embeddings, dataset)
    return {
        "name": name,
        "validation": validation,
        "test_unseen": found[_PRECISION],
        "test": found["test_precision_at_10"],
        "test_auc_unseen": found["test_auc_unseen"],
        "fit_seconds": seconds,
    }


if __name__ == "__main__":
    frame.run(main)
