"""Where scores come from.

A score is an inner product, and so a sum over whatever the query is a sum of (after Hu, Koren &
Volinsky 2008, ICDM, section 5, who explain recommendations so).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.vectors.vector_space import Float32Array, unit_rows
from retriever.answering.snapshot import Snapshot

MAX_CONTRIBUTIONS = 3
"""How many contributions to a score are told at most."""


@dataclass(frozen=True)
class Parts:
    """What a query is the sum of, for explanations.

    Attributes:
        names: of the parts: item ids, or features.
        vectors: (parts, components) float32.
        bias: what every score has besides the item's own bias.
        cosine: whether scores are cosines, so inner products with items of length 1.
        of_features: whether the names are features.
    """

    names: Sequence[str]
    vectors: Float32Array
    bias: float = 0.0
    cosine: bool = False
    of_features: bool = False


@dataclass(frozen=True)
class ScoreParts:
    """Of one result.

    Attributes:
        contributions: names and what they contributed, largest first, each above 0, at most three.
        bias: the part of the score that is the item's bias and the user's.
        of_features: whether the names are features; else they are item ids.
    """

    contributions: Sequence[tuple[str, float]] = ()
    bias: float = 0.0
    of_features: bool = False


def explain(
    snapshot: Snapshot, parts_of: Callable[[], Parts] | None, rows: Rows
) -> Sequence[ScoreParts]:
    """An explanation for each result; none of them says anything where there are no parts."""
    if parts_of is None:
        return [ScoreParts()] * len(rows)
    parts = parts_of()
    embeddings = snapshot.item_embeddings[rows]
    if parts.cosine:
        embeddings = unit_rows(embeddings)
        biases = np.zeros(len(rows), dtype=np.float32)
    else:
        biases = snapshot.publication.item_vectors[rows, -1]
    explanations = []
    for own, bias in zip(embeddings @ parts.vectors.T, biases.tolist(), strict=True):
        largest = np.argsort(-own, kind="stable")[:MAX_CONTRIBUTIONS]
        told = [(parts.names[place], float(own[place])) for place in largest if own[place] > 0]
        explanations.append(ScoreParts(told, bias + parts.bias, parts.of_features))
    return explanations
