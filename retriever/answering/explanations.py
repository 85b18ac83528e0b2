"""Where scores come from: what each seen item, session item or feature, and the biases contributed.

A score is an inner product, and so a sum over whatever the query is a sum of (after Hu, Koren &
Volinsky 2008, ICDM, section 5, who explain recommendations so).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.vectors.ranking import unit_rows
from retriever.answering.snapshot import Snapshot
from retriever.answering.subjects import Parts

SHOWN = 3
"""How many contributions are told at most."""


@dataclass(frozen=True)
class ScoreParts:
    """Of one result.

    Attributes:
        contributions: names and what they contributed, largest first, each above 0, at most SHOWN.
        bias: the part of the score that is the item's bias and the user's.
        of_features: whether the names are features; else they are item ids.
    """

    contributions: Sequence[tuple[str, float]]
    bias: float
    of_features: bool


def explain(snapshot: Snapshot, parts: Parts, rows: Rows) -> list[ScoreParts]:
    """An explanation for each result."""
    embeddings = snapshot.item_embeddings[rows]
    if parts.cosine:
        embeddings = unit_rows(embeddings)
        biases = np.zeros(len(rows), dtype=np.float32)
    else:
        biases = snapshot.publication.item_vectors[rows, -1]
    contributed = embeddings @ parts.vectors.T
    explanations = []
    for own, bias in zip(contributed, biases.tolist(), strict=True):
        largest = np.argsort(-own, kind="stable")[:SHOWN]
        explanations.append(
            ScoreParts(
                [(parts.names[place], float(own[place])) for place in largest if own[place] > 0],
                bias + parts.bias,
                parts.of_features,
            )
        )
    return explanations
