"""Data with a known structure, and what any fitted model makes of it."""

import numpy as np

from tests import datasets
from trainer.fitting.scores import top

USERS, ITEMS = 40, 20
"""The first half of the users likes the first half of the items, the second half the second."""


def of_block(user):
    return range(ITEMS // 2) if user < USERS // 2 else range(ITEMS // 2, ITEMS)


def planted(*, seed=1, each=6, more=(), **options):
    """A dataset of users who like some items of their block, and disliked an item of the other one."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(USERS):
        liked = random.choice(of_block(user), each, replace=False)
        rows += [(f"u{user}", f"i{item}", 1.0) for item in liked]
        other = (liked[0] + ITEMS // 2) % ITEMS
        rows.append((f"u{user}", f"i{other}", -1.0))
    return datasets.dataset([*rows, *more], **options)


def share_in_block(fitted, dataset, count=3):
    """The share of each user's best unseen items that belong to the user's block."""
    users = np.arange(len(dataset.users))
    found = top(fitted.scores, users, dataset.seen(), count)
    hits = [
        dataset.items.external_id(row)
        in [f"i{item}" for item in of_block(int(dataset.users.external_id(user)[1:]))]
        for user, rows in zip(users.tolist(), found.tolist(), strict=True)
        for row in rows
        if row >= 0 and dataset.users.external_id(user)[0] == "u"
    ]
    return sum(hits) / len(hits)


def arrays(fitted):
    """All numbers of a fitted model."""
    if fitted.embeddings is not None:
        return [fitted.embeddings.item_vectors, fitted.embeddings.user_vectors]
    rows = fitted.neighbours.rows
    return [rows.offsets, rows.values, fitted.neighbours.weights]


def dense(fitted):
    """The item-item matrix of a fitted model."""
    rows, size = fitted.neighbours.rows, len(fitted.neighbours)
    found = np.zeros((size, size))
    found[rows.owners, rows.values] = fitted.neighbours.weights
    return found
