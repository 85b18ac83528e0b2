"""MovieLens 100K, where it was fetched."""

from pathlib import Path

from trainer.data import movielens
from trainer.errors import DatasetMissingError
from trainer.pipeline import TrainingInput

DATA_DIR = Path(__file__).parents[1] / ".data"


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
