"""Kinds of index on one catalogue: recall@10, time of a query, build time and size, tuned alike.

    python -m tests.benchmarks.indexes --n 200000 --backends annoy,faiss --vectors heavy-tailed

Vectors are made of MovieLens 100K's factors: `interpolated` between random pairs (no two alike) or
`repeated` as in the notebook. `heavy-tailed` ones have random directions and log-normal norms (sigma
1), which is as hard as inner-product search gets. Queries are users. Recall is of inner-product search,
against exact search; times are medians on one thread.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.hosting import terminal
from lightfm_retriever.publication.manifest import IndexFacts
from lightfm_retriever.publication.storage.ragged import empty as no_rows
from tests.benchmarks import frame
from tests.machine import machine_name
from trainer.data import movielens
from trainer.data.features import FeatureTable
from trainer.fitting.embeddings import extract_embeddings
from trainer.fitting.lightfm_model import Hyperparameters, train
from trainer.index import NAMES, installed, make_backends
from trainer.index.measure import Questions
from trainer.index.protocol import Backend
from trainer.index.tuning import TuningOptions, tune
from trainer.preparing.dataset import build_dataset
from trainer.preparing.splits import Splitting
from trainer.progress import Bars, Silent
from trainer.report.subject import interpolated, repeated

KINDS = ("interpolated", "repeated", "heavy-tailed")
QUERIES = 500
DATA_DIR = Path(__file__).parents[2] / ".data"


def main() -> int:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument("--n", type=int, default=50_000, help="vectors (default: 50000)")
    parser.add_argument(
        "--backends", help=f"names with commas between, of {', '.join(NAMES)} (default: all installed)"
    )
    parser.add_argument("--vectors", choices=KINDS, default=KINDS[0], help="default: interpolated")
    parser.add_argument(
        "--target-recall", type=float, default=TuningOptions.target_recall, help="default: 0.95"
    )
    parser.add_argument("--seed", type=int, default=42, help="of everything random (default: 42)")
    options = parser.parse_args()
    with frame.handled() as failed:
        backends = make_backends(options.backends) if options.backends else installed()
        tuning = TuningOptions(target_recall=options.target_recall, seed=options.seed)
        vectors, queries = make(options.vectors, options.n, options.seed)
        results = measure(backends, vectors, queries, tuning, quiet=options.json)
        if options.json:
            content = [{**asdict(facts), "file_bytes": size} for facts, size in results]
            frame.print_json(vectors=vectors.shape, indexes=content)
        else:
            count, dimensions = vectors.shape
            kind = f"{count:,} {options.vectors} vectors of {dimensions} dimensions"
            _print(results, title=f"{kind}; {machine_name()}")
    return int(bool(failed))


def settings(facts: IndexFacts) -> str:
    """How an index is built and asked, without what is the same for all."""
    return " ".join(
        f"{name}={value}"
        for name, value in {**facts.build, **facts.query}.items()
        if name not in ("seed", "threads")
    )


def _print(results: Sequence[tuple[IndexFacts, int]], *, title: str) -> None:
    columns = ("recall@10", "µs a query", "build, s", "file, MB")
    table = frame.table(title, "backend", "settings", *columns, left=2)
    for facts, size in results:
        table.add_row(
            facts.backend,
            settings(facts),
            f"{facts.recall_at_10:.4f}",
            f"{facts.query_microseconds:,.0f}",
            f"{facts.build_seconds:,.2f}",
            f"{size / 1e6:,.1f}",
        )
    frame.show(table)


def make(kind: str, count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Item vectors (count, d) and queries (m, d)."""
    if kind == "heavy-tailed":
        random = np.random.default_rng(seed)
        directions = random.standard_normal((count, 65), dtype=np.float32)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        norms = np.exp(random.standard_normal((count, 1), dtype=np.float32))
        return directions * norms, random.standard_normal((QUERIES, 65), dtype=np.float32)
    interactions = movielens.read_interactions(DATA_DIR)
    dataset = build_dataset(
        interactions, items=FeatureTable(), users=FeatureTable(), splitting=Splitting("first-10", seed)
    )
    model = train(dataset, Hyperparameters(seed=seed), on_epoch=lambda: None)
    embeddings = extract_embeddings(model, dataset)
    items = embeddings.item_vectors
    made = repeated(items, count) if kind == "repeated" else interpolated(items, count, seed=seed)
    return made, embeddings.queries[:QUERIES]


def measure(
    backends: list[Backend],
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    tuning: TuningOptions,
    *,
    quiet: bool,
) -> list[tuple[IndexFacts, int]]:
    """The facts of each backend's best index, and the size of its file in bytes."""
    asked = Questions(
        vectors, queries, "inner_product", excluded=no_rows(len(queries)), seed=tuning.seed
    )
    results = []
    for backend in backends:
        with tempfile.TemporaryDirectory() as directory:
            tuned = tune(
                [backend],
                asked,
                Path(directory),
                tuning,
                reporter=Silent() if quiet else Bars(),
                name=f"{len(vectors):,}",
            )
            results.append((tuned.facts, tuned.path.stat().st_size if tuned.path else 0))
    return results


if __name__ == "__main__":
    sys.exit(terminal.run(main))
