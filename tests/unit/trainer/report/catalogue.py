"""A small publication to report on, in which item biases matter and titles are odd."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lightfm_retriever.publication import labels
from lightfm_retriever.publication.manifest import DatasetFacts
from lightfm_retriever.publication.storage.id_map import IdMap
from tests.unit.trainer.index import cases
from trainer.fitting.embeddings import Embeddings
from trainer.index import make_backends
from trainer.index.tuning import TuningOptions
from trainer.progress import Silent
from trainer.publishing.publish import Indexing, publish
from trainer.publishing.publishable import Publishable
from trainer.timings import Timings

ITEMS, USERS = 60, 30
SCRIPT = "<script>alert('Film')</script> & \"more\""
UNTITLED = "i7"


def source(**changes: Any) -> Publishable:
    """Users like what they score highest; half of that they have seen, half is held out."""
    items, users = cases.uneven(ITEMS, seed=3), cases.vectors(USERS, seed=4)
    items[:, -1] = 2 * cases.vectors(ITEMS, 1, seed=5)[:, 0]
    embeddings = Embeddings(items, users)
    liked = np.argsort(-(embeddings.queries @ items.T), axis=1)[:, :16]
    random = np.random.default_rng(6)
    # Noise, or every precision would be the greatest.
    mixed = (np.union1d(rows, random.choice(ITEMS, 6, replace=False)) for rows in liked)
    halves = [np.array_split(random.permutation(rows), 2) for rows in mixed]
    seen = [np.sort(half) for half, _ in halves]
    held_out = [np.sort(half) if user % 5 else [] for user, (_, half) in enumerate(halves)]
    item_map = IdMap.build(f"i{row}" for row in range(ITEMS))
    titles = [f"Film {item_map.external_id(row)} – 映画" for row in range(ITEMS)]
    titles[item_map.row(UNTITLED) or 0] = ""
    # Popular, so that it is among what is shown.
    titles[int(np.bincount(np.concatenate(seen)).argmax())] = SCRIPT
    interactions = {"train_interactions": sum(map(len, seen)), "test_interactions": 0}
    features: dict[str, list[str]] = {"item_features": [], "user_features": []}
    made = Publishable(
        items=item_map,
        users=IdMap.build(f"u{row}" for row in range(USERS)),
        embeddings=embeddings,
        seen=cases.rows(seen),
        held_out=cases.rows(held_out),
        titles=titles,
        facts=DatasetFacts(name="<b>own</b> & vectors", split="own", **interactions, **features),
        hyperparameters={},
        metrics={},
    )
    return replace(made, **changes)


def publish_to(volume: Path, of: Publishable | None = None, *, backends: str = "exact") -> str:
    """Publish it, quickly; returns the version."""
    options = TuningOptions(seed=1, threads=1)
    published = publish(
        source() if of is None else of,
        volume,
        indexing=Indexing(backends=make_backends(backends), options=options),
        timings=Timings(),
        reporter=Silent(),
    )
    labels.promote(volume, published.manifest.version)
    return published.manifest.version
