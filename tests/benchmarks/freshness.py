"""Compare cold starts with warm starts of training, while MovieLens 100K grows.

    python -m tests.benchmarks.freshness --epochs 3,5 --seeds 3

The ratings are split by time. The first model is trained on 80 %, and each step adds 4 %. At each step,
every model is evaluated on the next 4 %, for the users and items that it knows. The metrics are
precision@10 and AUC among the items that a user hasn't rated yet. A cold start trains all default
epochs. A warm start continues from the warm model of the previous step. "none" doesn't train again, and
new users get the most popular items.

Figures are means over steps and seeds; ± is the deviation between seeds. Seconds are of one training on
one thread.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import scipy.sparse as sp

from lightfm_retriever.publication.storage.ragged import Ragged
from tests.benchmarks import frame
from tests.benchmarks.indexes import DATA_DIR
from tests.machine import machine_name
from tests.measured_vectors import evaluate_vectors
from trainer.data import movielens
from trainer.data.features import FeatureTable
from trainer.data.interactions import Interactions
from trainer.fitting import warm_start
from trainer.fitting.embeddings import extract_embeddings
from trainer.fitting.lightfm_model import Hyperparameters, train
from trainer.preparing.dataset import Dataset, build_dataset
from trainer.preparing.splits import Splitting

FIRST = 0.8
STEP = 0.04
STEPS = 5
COLD, WARM, STALE = "cold", "warm", "none"


@dataclass(frozen=True)
class Step:
    """One state of the data, and the interactions that follow."""

    share: float  # share of all ratings, in order of time
    dataset: Dataset  # the ratings so far
    next_items: Ragged  # for each user of the dataset, the rows of the items in the next 4 %


@dataclass(frozen=True)
class Figure:
    """The result of one model at one step. Its `epochs` took `seconds`."""

    start: str
    epochs: int
    share: float
    seed: int
    seconds: float
    precision_at_10: float
    auc: float
    users: float


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument(
        "--epochs", default="1,3,5,10,20", help="epochs of warm starts (default: 1,3,5,10,20)"
    )
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (default: 5)")
    options = parser.parse_args()
    epochs = [int(text) for text in options.epochs.split(",")]
    steps = list(cut(movielens.read_interactions(DATA_DIR)))
    seeds = range(1, options.seeds + 1)
    figures = [figure for seed in seeds for figure in measure(steps, epochs, seed)]
    rows = summary(figures)
    title = f"{rows[0]['users']:.0f} users at a step, {options.seeds} seeds; {machine_name()}"
    frame.report(
        options,
        frame.table(title, map(_row, rows)),
        summary=rows,
        figures=[asdict(figure) for figure in figures],
    )


def cut(interactions: Interactions) -> Iterator[Step]:
    """Yield the data at each step. The next 4 % of the last step are the end of the data."""
    count = len(interactions)
    assert interactions.timestamps is not None
    rank = np.empty(count, dtype=np.int64)
    rank[np.argsort(interactions.timestamps, kind="stable")] = np.arange(count)
    for step in range(STEPS):
        share = FIRST + step * STEP
        known, coming = (
            interactions.where((rank >= round(low * count)) & (rank < round(high * count)))
            for low, high in ((0, share), (share, share + STEP))
        )
        nothing = FeatureTable()
        dataset = build_dataset(known, items=nothing, users=nothing, splitting=Splitting("none", 1))
        yield Step(round(share, 2), dataset, _rows_of(dataset, coming))


def measure(steps: Sequence[Step], epochs: Sequence[int], seed: int) -> Iterator[Figure]:
    """Measure each kind of start at each step. All begin with the model of the first step."""
    options = Hyperparameters(seed=seed)
    first = train(steps[0].dataset, options, on_epoch=lambda: None)
    state = warm_start.state_of(first, steps[0].dataset)
    states = {(COLD, options.epochs): state, (STALE, 0): state}
    states |= {(WARM, count): state for count in epochs}
    for step in steps[1:]:
        for (start, count), before in states.items():
            started = time.perf_counter()
            model = None if start == COLD else warm_start.warm_model(before, step.dataset, options)
            if count:
                own = replace(options, epochs=count)
                model = train(step.dataset, own, on_epoch=lambda: None, start=model)
            seconds = time.perf_counter() - started
            states[start, count] = warm_start.state_of(model, step.dataset)
            found = evaluate_vectors(
                extract_embeddings(model, step.dataset),
                seen=step.dataset.seen(),
                held_out=step.next_items,
            )
            names = ("test_precision_at_10_unseen", "test_auc_unseen", "evaluated_users")
            figures = (found[name] for name in names)
            yield Figure(start, count, step.share, seed, round(seconds, 4), *figures)


def summary(figures: Sequence[Figure]) -> list[dict[str, float | str]]:
    """Return the means over steps and seeds."""

    def mean(own: Sequence[Figure], name: str = "precision_at_10") -> float:
        return float(np.mean([getattr(figure, name) for figure in own]))

    rows = []
    for start, epochs in dict.fromkeys((figure.start, figure.epochs) for figure in figures):
        own = [figure for figure in figures if (figure.start, figure.epochs) == (start, epochs)]
        row = {"start": start, "epochs": epochs}
        row |= {name: mean(own, name) for name in ("seconds", "precision_at_10", "auc")}
        # The deviation of the mean over the steps, between seeds.
        seeds = {figure.seed for figure in own}
        of_seeds = [mean([figure for figure in own if figure.seed == seed]) for seed in seeds]
        row["precision_spread"] = float(np.std(of_seeds))
        for share in dict.fromkeys(figure.share for figure in own):
            at = [figure for figure in own if figure.share == share]
            row[f"precision_at_{share:.2f}"] = mean(at)
        rows.append({**row, "users": mean(own, "users")})
    return rows


def _rows_of(dataset: Dataset, coming: Interactions) -> Ragged:
    """Return for each user of the dataset the known items that follow and that the user hasn't seen."""
    users, items = (
        np.array([-1 if (row := ids.row(name)) is None else row for name in names])[own]
        for ids, names, own in (
            (dataset.users, coming.user_ids, coming.users),
            (dataset.items, coming.item_ids, coming.items),
        )
    )
    known = (users >= 0) & (items >= 0)
    matrix = sp.csr_matrix(
        (np.ones(known.sum()), (users[known], items[known])), shape=dataset.train.shape
    )
    matrix = (matrix - matrix.multiply(dataset.train > 0)).tocsr()
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return Ragged(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32))


def _row(row: Mapping[str, float | str]) -> dict[str, str]:
    shares = [name for name in row if name.startswith("precision_at_0.")]
    return {
        "start": str(row["start"]),
        "epochs": str(row["epochs"]),
        "seconds": f"{row['seconds']:.2f}",
        "precision@10": f"{row['precision_at_10']:.4f}",
        "±": f"{row['precision_spread']:.4f}",
        "AUC": f"{row['auc']:.4f}",
        **{f"at {name.removeprefix('precision_at_0.')} %": f"{row[name]:.4f}" for name in shares},
    }


if __name__ == "__main__":
    frame.run(main)
