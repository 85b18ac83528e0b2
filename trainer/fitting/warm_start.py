"""What a model learned, kept with its publication so that a later training goes on from there.

LightFM learns a vector for each column of the feature matrices, an item's or user's own column among
them; what is served are only sums of these. Beside the columns, its adagrad schedule (Duchi et al.
2011) has a sum of squared gradients for each number, which makes the steps smaller the more a number
was trained. LightFM's momentum is left out: adagrad has none.

On a volume a side (items or users) has the five arrays that `layout` lists as its model. Its n
columns are the own columns of some ids, then other features; an id and a feature of the same name stay
apart. Each sum of squared gradients starts at 1.
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

# LightFM's, of items and of users: what was learned, and how much of that.
_ARRAYS = (("embeddings", "biases"), ("embedding_gradients", "bias_gradients"))


@dataclass(frozen=True)
class SideState:
    """What was learned of items or users; n columns, those of `rows` first.

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
    """What a training can go on from. Columns that were never trained aren't in it."""

    items: SideState
    users: SideState


def state_of(model: LightFM, dataset: Dataset) -> ModelState:
    """Copy what a model learned of a dataset's columns."""
    return ModelState(
        items=_side_of(model, "item", dataset.items, dataset.item_feature_names),
        users=_side_of(model, "user", dataset.users, dataset.user_feature_names),
    )


def stage(staging: Staging, state: ModelState) -> None:
    """Write the state's files beside the id maps of the same dataset.

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
    """The state that a version carries, as read-only memory maps; None when it carries none.

    The whole version is verified first: nothing would show that a model was trained on from damaged
    numbers.

    Raises:
        VersionNotFoundError: the volume has no such version.
        VolumeError: the volume can't be read.
        InvalidPublicationError: names the file at fault.
    """
    facts = verification.verify(volume, version)
    directory = layout.version_dir(volume, version)
    # The manifest has all of them or none.
    if layout.MODEL_ITEM_ROWS not in facts.files:
        return None
    sizes = {"components": facts.components}
    items = _open(directory, layout.ITEM_IDS, layout.MODEL_ITEM_FILES, sizes)
    return ModelState(items, _open(directory, layout.USER_IDS, layout.MODEL_USER_FILES, sizes))


def warm_model(state: ModelState, dataset: Dataset, hyperparameters: Hyperparameters) -> LightFM:
    """A model of the dataset's columns that knows what the state knows of them, for train's `start`.

    New ids and features begin as in any training: small random embeddings, by the seed. What the
    dataset doesn't have any more is forgotten.

    Raises:
        OptionError: the state's embeddings have another number of components.
    """
    if (components := state.items.vectors.shape[1] - 1) != hyperparameters.components:
        expected = f"{components}, as in the version to go on from; or train without a warm start"
        raise OptionError("--components", hyperparameters.components, expected)
    model = new_model(hyperparameters)
    # There is no public way to the formula: `fit` with no epochs would do the same at greater length.
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
    # Every step adds to the bias's sum, which starts at 1. The other columns are still random.
    trained = np.flatnonzero(gradients[:, -1] > 1)
    return SideState(
        ids=ids,
        rows=trained[trained < len(ids)].astype(np.int32),
        features=[names[column - len(ids)] for column in trained[trained >= len(ids)].tolist()],
        vectors=vectors[trained],
        # Beyond float32 a sum is infinite, and the step nothing: no reason not to publish.
        gradients=np.minimum(gradients[trained], np.finfo(np.float32).max),
    )


def _shared(
    side: SideState, ids: AnyIds, names: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns of a dataset that the state knows, and for each its row in the state."""
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
    # Written so that NaN doesn't pass.
    if not (np.isfinite(gradients) & (gradients >= 1)).all():
        raise InvalidPublicationError(
            gradients_path, "not every sum of squared gradients is finite and 1 or more"
        )
    return SideState(ids, rows, features, vectors, gradients)
