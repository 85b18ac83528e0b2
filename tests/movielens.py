"""A training on MovieLens 100K with the defaults."""

from dataclasses import dataclass
from pathlib import Path

from lightfm_retriever.publication.volume import Volume
from trainer.data import movielens
from trainer.errors import DatasetMissingError
from trainer.pipeline import Places, TrainingInput, TrainingResult, train_and_publish
from trainer.promotion.checks import promote_if_passed
from trainer.spec import DataSpec, TrainingSpec

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
    places = Places(Volume(volume), DATA_DIR, DATA_DIR)
    spec = TrainingSpec(data=DataSpec(dataset="movielens-100k"))
    result = train_and_publish(spec, places, source=read())
    promote_if_passed(places.volume, result, label="current")
    return MovieLensRun(volume, result)
