"""Keep the state of a model in its publication, so that a later training can continue (warm start).

LightFM learns a vector for each column of the feature matrices: the own columns of items and users,
and the features. Served vectors are sums of these. The adagrad schedule (Duchi et al. 2011) also keeps
a sum of squared gradients for each number, which starts at 1, and makes steps smaller as it grows. The
momentum of LightFM is left out, since adagrad has none.

On a volume, each side (items or users) has the five arrays that `layout` lists as its model. Its n
columns are the own columns of some ids, and then the features. An id and a feature may have the same
name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lightfm import LightFM
from numpy.typing import NDArray

from lightfm_retriever.publication import layout, verification
from lightfm_retriever.publication.errors import InvalidPublicationError, MismatchError
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.arrays import map_file
from lightfm_retriever.publication.storage.id_map import AnyIds, IdMap
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import Float32Array, fold_biases, split_biases
from lightfm_retriever.publication.writer import Staging
from trainer.errors import OptionError
from trainer.fitting.lightfm_model import Hyperparameters, new_model
from trainer.preparing.dataset import Dataset

# Attributes of a LightFM model, for each side: the numbers, and their sums of squared gradients.
_ARRAYS = (("embeddings", "biases"), ("embedding_gradients", "bias_gradients"))


@dataclass(frozen=True)
class SideState:
    """The state of items or users; n columns, those of `rows` first.

    Attributes:
        ids: external id <-> row.
        rows: (k,) int32, ascending: the rows whose own column was trained.
        features: names of the other trained columns, distinct.
        vectors: (n, components + 1) float32, embedding then bias.
        gradients: (n, components + 1) float32, sums of squared gradients, each at least 1.
    """

    ids: AnyIds
    rows: NDArray[np.int32]
    features: list[str]
    vectors: Float32Array
    gradients: Float32Array


@dataclass(frozen=True)
class ModelState:
    """The state that a training can continue from, without columns that were never trained."""

    items: SideState
    users: SideState


def state_of(model: LightFM, dataset: Dataset) -> ModelState:
    """Copy the state of a model for the columns of a dataset."""
    return ModelState(
        items=_side_of(model, "item", dataset.items, dataset.item_feature_names),
        users=_side_of(model, "user", dataset.users, dataset.user_feature_names),
    )


def stage(staging: Staging, state: ModelState) -> None:
    """Write the files of a state next to the id maps of the same dataset.

    Raises:
        VectorError: a number isn't finite.
    """
    for names, side in ((layout.MODEL_ITEM_FILES, state.items), (layout.MODEL_USER_FILES, state.users)):
        rows, offsets, values, vectors, gradients = names
        staging.add_array(rows, side.rows)
        staging.add_ragged(offsets, values, ragged.from_texts(side.features))
        staging.add_array(vectors, side.vectors)
        staging.add_array(gradients, side.gradients)


def load(volume: Path, version: str) -> ModelState | None:
    """Load the state of a version as read-only memory maps; None if it has none.

    The whole version is verified first, since a training from damaged numbers would go unnoticed.

    Raises:
        VersionNotFoundError: the volume has no such version.
        VolumeError: the volume can't be read.
        InvalidPublicationError: names the file at fault.
    """
    facts = verification.verify(volume, version)
    directory = layout.version_dir(volume, version)
    # A manifest lists all model files or none.
    if layout.MODEL_ITEM_ROWS not in facts.files:
        return None
    sizes = {"components": facts.components}
    items = _open(directory, layout.ITEM_IDS, layout.MODEL_ITEM_FILES, sizes)
    return ModelState(items, _open(directory, layout.USER_IDS, layout.MODEL_USER_FILES, sizes))


def warm_model(state: ModelState, dataset: Dataset, hyperparameters: Hyperparameters) -> LightFM:
    """Return a model for the columns of a dataset that starts from a state; see `start` of train.

    New ids and features start with small random embeddings by the seed, as in any training. Columns
    that the dataset lacks are dropped.

    Raises:
        OptionError: the embeddings of the state have another number of components.
    """
    if (components := state.items.vectors.shape[1] - 1) != hyperparameters.components:
        expected = f"{components}, as in the version of the warm start; or train without --warm-start"
        raise OptionError("--components", hyperparameters.components, expected)
    model = new_model(hyperparameters)
    # LightFM has no public function for this; `fit` with no epochs would do the same more slowly.
    model._initialize(  # noqa: SLF001
        hyperparameters.components, dataset.item_features.shape[1], dataset.user_features.shape[1]
    )
    for kind, side, ids, names in (
        ("item", state.items, dataset.items, dataset.item_feature_names),
        ("user", state.users, dataset.users, dataset.user_feature_names),
    ):
        columns, known = _shared(side, ids, names)
        for learned, arrays in zip((side.vectors, side.gradients), _ARRAYS, strict=True):
            for array, part in zip(arrays, split_biases(learned[known]), strict=True):
                getattr(model, f"{kind}_{array}")[columns] = part
    return model


def _side_of(model: LightFM, kind: str, ids: AnyIds, names: Sequence[str]) -> SideState:
    vectors, gradients = (
        fold_biases(*(getattr(model, f"{kind}_{array}") for array in arrays)) for arrays in _ARRAYS
    )
    # Each step adds to the sum of the bias, which starts at 1. Untrained columns are still random.
    trained = np.flatnonzero(gradients[:, -1] > 1)
    return SideState(
        ids=ids,
        rows=trained[trained < len(ids)].astype(np.int32),
        features=[names[column - len(ids)] for column in trained[trained >= len(ids)].tolist()],
        vectors=vectors[trained],
        # A sum beyond float32 is infinite and makes steps of 0, which is harmless: limit it.
        gradients=np.minimum(gradients[trained], np.finfo(np.float32).max),
    )


def _shared(
    side: SideState, ids: AnyIds, names: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the columns of a dataset that the state knows, and the row of each in the state."""
    place = np.full(len(side.ids), -1, dtype=np.int64)
    place[side.rows] = np.arange(len(side.rows))
    known = np.full(len(ids) + len(names), -1, dtype=np.int64)
    for row in range(len(ids)):
        if (old := side.ids.row(ids.external_id(row))) is not None:
            known[row] = place[old]
    learned = {name: len(side.rows) + position for position, name in enumerate(side.features)}
    known[len(ids) :] = [learned.get(name, -1) for name in names]
    columns = np.flatnonzero(known >= 0)
    return columns, known[columns]


def _open(directory: Path, ids_name: str, names: Sequence[str], sizes: dict[str, int]) -> SideState:
    rows_path, offsets_path, values_path, vectors_path, gradients_path = (
        directory / name for name in names
    )
    ids: AnyIds = IdMap.open(directory / ids_name)
    rows = map_file(rows_path, sizes)
    if len(rows) and not (rows[0] >= 0 and rows[-1] < len(ids) and bool((rows[1:] > rows[:-1]).all())):
        raise InvalidPublicationError(rows_path, f"the rows don't ascend within 0..{len(ids) - 1}")
    names_column = Ragged(map_file(offsets_path, sizes), map_file(values_path, sizes))
    if not len(names_column.offsets):
        raise MismatchError(offsets_path, "shape", expected="(1,) at least", found=(0,))
    if (problem := names_column.problem()) is not None:
        raise InvalidPublicationError(offsets_path, f"offsets {problem}")
    features = [ragged.text(names_column, row) for row in range(len(names_column))]
    if len(set(features)) < len(features):
        raise InvalidPublicationError(values_path, "two features have the same name")
    sizes = sizes | {"n": len(rows) + len(features)}
    vectors = map_file(vectors_path, sizes)
    if not np.isfinite(vectors).all():
        raise InvalidPublicationError(vectors_path, "not every number is finite")
    gradients = map_file(gradients_path, sizes)
    # This form also refuses NaN.
    if not (np.isfinite(gradients) & (gradients >= 1)).all():
        raise InvalidPublicationError(
            gradients_path, "not every sum of squared gradients is finite and 1 or more"
        )
    return SideState(ids, rows, features, vectors, gradients)
