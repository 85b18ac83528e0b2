"""Replace users' trained embeddings by fold-in, where that ranks items better."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from lightfm_retriever.publication.storage.chunks import row_chunks
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.fitting.embeddings import Embeddings


def servable_fold_in(embeddings: Embeddings, items: Ragged, *, seed: int) -> FoldIn | None:
    """Learn the fold-in of trained users from the item rows of each; None if it can't be served."""
    made = FoldIn.build(embeddings.item_vectors, embeddings.user_vectors, items, seed=seed)
    return made if made is not None and made.may_be_published else None


def folded_users(fold_in: FoldIn, embeddings: Embeddings, profiles: Ragged) -> Float32Array:
    """Return each user's vector by the fold-in of all items of its profile.

    A user without items keeps the trained vector. The bias of a user, which doesn't change the order of
    items, is 0, as for a session.

    Returns:
        (users, components + 1) float32, embedding then bias.
    """
    vectors = np.array(embeddings.user_vectors, dtype=np.float32)
    counts = np.diff(profiles.offsets)
    some = np.flatnonzero(counts)
    items = np.asarray(embeddings.item_embeddings, dtype=np.float32)
    matrix = sp.csr_matrix(
        (np.ones(len(profiles.values), dtype=np.float32), profiles.values, profiles.offsets),
        shape=(len(profiles), len(items)),
    )
    for rows in row_chunks(len(some)):
        users = some[rows]
        means = (matrix[users] @ items) / counts[users, None]
        vectors[users, :-1] = fold_in.of_means(means, counts[users])
        vectors[users, -1] = 0
    return vectors
