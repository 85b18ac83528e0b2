"""Measure vectors on held-out items, for tests."""

from lightfm_retriever.publication.storage.ragged import Ragged
from trainer.evaluation.evaluation import evaluate
from trainer.evaluation.held_out_test import HeldOutTest
from trainer.evaluation.of_vectors import scores_of
from trainer.fitting.embeddings import Embeddings
from trainer.preparing.dataset import seen_popularity


def evaluate_vectors(
    embeddings: Embeddings,
    *,
    seen: Ragged,
    held_out: Ragged,
    seed: int = 42,
) -> dict[str, float]:
    """Measure vectors on held-out items, by exact scoring; see evaluation.evaluate for the metrics.

    `seen` and `held_out` have for each user the ascending rows of seen items and of positives. If there
    are more users than MAX_USERS, that many are drawn by the seed.
    """
    popularity = seen_popularity(seen, len(embeddings.item_vectors))
    test = HeldOutTest(seen=seen, held_out=held_out, popularity=popularity)
    return evaluate(scores_of(embeddings), test, seed=seed).metrics()
