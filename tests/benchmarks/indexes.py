"""Compare tuned index backends on one catalogue: recall@10, time per query, build time and size.

    python -m tests.benchmarks.indexes --n 200000 --backends annoy,faiss --vectors heavy-tailed

Vectors come from MovieLens 100K's factors: `interpolated` between random pairs (all distinct), or
`repeated` as in the notebook. `heavy-tailed` vectors have random directions and log-normal norms (sigma
1), a hard case for inner-product search. Queries are users. Recall is of inner-product search, relative
to exact search. Times are medians on one thread.
"""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.manifest import IndexFacts
from lightfm_retriever.publication.storage.ragged import empty as no_rows
from tests.benchmarks import frame
from tests.machine import machine_name
from trainer.data import movielens
from trainer.data.features import FeatureTable
from trainer.fitting.embeddings import Embeddings, extract_embeddings
from trainer.fitting.lightfm_model import Hyperparameters, train
from trainer.index import NAMES, installed, make_backends
from trainer.index.measure import Questions
from trainer.index.tuning import TuningOptions, tune
from trainer.preparing.dataset import Dataset, build_dataset
from trainer.preparing.splits import Splitting
from trainer.report.subject import interpolated, repeated

KINDS = ("interpolated", "repeated", "heavy-tailed")
QUERIES = 500
DATA_DIR = Path(__file__).parents[2] / ".data"


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument("--n", type=int, default=50_000, help="vectors (default: 50000)")
    parser.add_argument(
        "--backends",
        help=f"comma-separated names: {', '.join(NAMES)} (default: all that are installed)",
    )
    parser.add_argument(
        "--vectors", choices=KINDS, default=KINDS[0], help="kind of vectors (default: interpolated)"
    )
    parser.add_argument(
        "--target-recall",
        type=float,
        default=TuningOptions.target_recall,
        help="target of recall@10 (default: 0.95)",
    )
    parser.add_argument("--seed", type=int, default=42, help="random seed (default: 42)")
    options = parser.parse_args()
    vectors, queries = make(options.vectors, options.n, options.seed)
    results = measure(vectors, queries, options)
    rows = [
        {
            "backend": facts.backend,
            "settings": settings(facts),
            "recall@10": f"{facts.recall_at_10:.4f}",
            "µs a query": f"{facts.query_microseconds:,.0f}",
            "build, s": f"{facts.build_seconds:,.2f}",
            "file, MB": f"{size / 1e6:,.1f}",
        }
        for facts, size in results
    ]
    count, dimensions = vectors.shape
    title = f"{count:,} {options.vectors} vectors of {dimensions} dimensions; {machine_name()}"
    indexes = [{**asdict(facts), "file_bytes": size} for facts, size in results]
    frame.report(options, frame.table(title, rows, left=2), vectors=vectors.shape, indexes=indexes)


def settings(facts: IndexFacts) -> str:
    """Return the settings of an index, without those that all indexes share."""
    return " ".join(
        f"{name}={value}"
        for name, value in {**facts.build, **facts.query}.items()
        if name not in ("seed", "threads")
    )


def movielens_model(split: str, seed: int) -> tuple[Embeddings, Dataset]:
    """Train on MovieLens 100K with the defaults, without features."""
    dataset = build_dataset(
        movielens.read_interactions(DATA_DIR),
        items=FeatureTable(),
        users=FeatureTable(),
        splitting=Splitting(split, seed),
    )
    model = train(dataset, Hyperparameters(seed=seed), on_epoch=lambda: None)
    return extract_embeddings(model, dataset), dataset


def make(kind: str, count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return item vectors (count, d) and queries (m, d)."""
    if kind == "heavy-tailed":
        random = np.random.default_rng(seed)
        directions = random.standard_normal((count, 65), dtype=np.float32)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        norms = np.exp(random.standard_normal((count, 1), dtype=np.float32))
        return directions * norms, random.standard_normal((QUERIES, 65), dtype=np.float32)
    embeddings, _ = movielens_model("first-10", seed)
    items = embeddings.item_vectors
    made = repeated(items, count) if kind == "repeated" else interpolated(items, count, seed=seed)
    return made, embeddings.queries[:QUERIES]


def measure(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], options: argparse.Namespace
) -> list[tuple[IndexFacts, int]]:
    """Return the facts of each backend's best index, and the bytes of its file."""
    backends = make_backends(options.backends) if options.backends else installed()
    tuning = TuningOptions(target_recall=options.target_recall, seed=options.seed)
    excluded = no_rows(len(queries))
    asked = Questions(vectors, queries, "inner_product", excluded=excluded, seed=tuning.seed)
    results = []
    for backend in backends:
        with tempfile.TemporaryDirectory() as directory:
            told = {"reporter": frame.reporter(options), "name": f"{len(vectors):,}"}
            tuned = tune([backend], asked, Path(directory), tuning, **told)
            results.append((tuned.facts, tuned.path.stat().st_size if tuned.path else 0))
    return results


if __name__ == "__main__":
    frame.run(main)
