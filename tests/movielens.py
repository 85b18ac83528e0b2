"""One training on MovieLens 100K with the defaults, for every test that needs the real thing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainer import movielens
from trainer.errors import DatasetMissingError
from trainer.index import make_backends
from trainer.indexing import Indexing
from trainer.model import Hyperparameters
from trainer.pipeline import TrainingInput, TrainingResult, train_and_publish

DATA_DIR = Path(__file__).parents[1] / ".data"


@dataclass(frozen=True)
class MovieLensRun:
    """A volume with one version, which `current` names, and the model that it was made of."""

    volume: Path
    result: TrainingResult


def read() -> TrainingInput:
    """The dataset, without features; DatasetMissingError when it wasn't fetched."""
    return TrainingInput(
        movielens.read_interactions(DATA_DIR),
        movielens.read_items(DATA_DIR, []),
        movielens.read_users(DATA_DIR, []),
    )


def missing() -> str | None:
    """Why the dataset can't be read, or None."""
    try:
        movielens.read_users(DATA_DIR, [])
    except DatasetMissingError as error:
        return str(error)
    return None


def train(volume: Path) -> MovieLensRun:
    """Train and publish as `python -m trainer train --dataset movielens-100k` does by default."""
    result = train_and_publish(
        read(),
        volume,
        hyperparameters=Hyperparameters(),
        split="first-10",
        indexing=Indexing(backends=make_backends("annoy")),
    )
    return MovieLensRun(volume, result)
