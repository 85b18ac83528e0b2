"""Measures a published version for the gates, from the volume alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import reader
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.storage.id_map import AnyIds, Rows
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.evaluation.metric_rows import POPULAR, TRAINED
from trainer.evaluation.of_vectors import MAX_USERS, K, sample, top_items, with_positives
from trainer.promotion.gates import Baseline, Common, Gates, Measured
from trainer.promotion.predecessor import Predecessor

SAMPLED_USERS = 1000
"""How many users coverage is measured with at most, and a version that nothing is asked of."""


def measure(
    volume: Path, version: str, *, gates: Gates, before: Predecessor | None, seed: int
) -> Measured:
    """What the gates are held against; what costs much time only if they ask for it.

    Args:
        volume: the volume.
        version: to hold against the gates. The caller has verified it.
        gates: what is asked for.
        before: what the version is to replace; None for nothing.
        seed: of the users that are drawn.

    Raises:
        PublicationError: the version can't be read. `baseline` tells when the one before can't be.
    """
    candidate = reader.open_publication(volume, version)
    manifest = candidate.manifest
    covered = compared = None
    if gates.min_coverage is not None:
        covered = coverage(candidate.item_vectors, candidate.user_vectors, candidate.seen, seed=seed)
    if before is not None and before.publication is not None:
        # Where nothing is asked for, fewer users are enough to see what is certain.
        most = SAMPLED_USERS if gates.max_relative_loss is None else MAX_USERS
        compared = compare(candidate, before.publication, seed=seed, most=most)
    elif before is not None:
        compared = Baseline(version=before.version, problem=before.problem)
    targets = [index.target_recall for index in manifest.indexes.values()]
    return Measured(
        precision_at_10=manifest.metrics.get("test_precision_at_10_unseen"),
        auc=manifest.metrics.get("test_auc_unseen"),
        trained_precision_at_10=manifest.metrics.get(TRAINED),
        popular_precision_at_10=manifest.metrics.get(POPULAR),
        users=manifest.users,
        evaluated_users=int(manifest.metrics.get("evaluated_users", 0)),
        recall_at_10={name: index.recall_at_10 for name, index in manifest.indexes.items()},
        target_recall=min((own for own in targets if own is not None), default=None),
        coverage=covered,
        baseline=compared,
    )


def coverage(
    item_vectors: Float32Array, user_vectors: Float32Array, seen: Ragged, *, seed: int
) -> float | None:
    """Share of items that are among the top ten unseen ones of at least one user.

    There is at least one item. Of more than SAMPLED_USERS users so many are drawn; None without any.
    """
    users = sample(len(user_vectors), SAMPLED_USERS, seed=seed)
    if not len(users):
        return None
    covered = np.zeros(len(item_vectors), dtype=bool)
    for top in top_items(item_vectors, user_vectors[users], [seen[row] for row in users]):
        covered[top] = True
    return float(covered.mean())


def compare(
    candidate: Publication, before: Publication, *, seed: int, most: int = MAX_USERS
) -> Baseline:
    """precision@10 of two versions on what was held out from the candidate, by exact scoring.

    Both are evaluated for the same users: those with a positive in the candidate's held-out part, of
    many `most` drawn. Users and items are matched by external id. Each version ranks its
    own catalogue without what the user has seen in the candidate's training data, and its ten answers
    are held against all of the user's positives. So a positive that the version before doesn't know is
    missed by it, and of a user whom it doesn't know it misses everything: that user would get nothing.

    A version compared with itself has the same precision.
    """
    held_out = candidate.held_out
    chosen = np.empty(0, dtype=np.int64) if held_out is None else with_positives(held_out, seed=seed)
    chosen = chosen[sample(len(chosen), most, seed=seed)]
    if held_out is None or not len(chosen):
        problem = f"version {candidate.manifest.version} has no test interactions"
        return Baseline(version=before.manifest.version, problem=problem)
    users = _rows(before.users, candidate.users, chosen)
    known = np.flatnonzero(users >= 0)
    positives = [held_out[row] for row in chosen]
    seen = [candidate.seen[row] for row in chosen]
    items = _item_rows(before.items, candidate.items, [*positives, *seen])
    old_positives = [_present(items[rows]) for rows in positives]
    old_seen = [_present(items[seen[position]]) for position in known]
    shares_before = _shares(before, users[known], old_seen, known, old_positives)
    shares = _shares(candidate, chosen, seen, np.arange(len(chosen)), positives)
    return Baseline(
        version=before.manifest.version,
        precision_at_10=float(shares_before.mean()),
        candidate_precision_at_10=float(shares.mean()),
        trained_on=sum(
            len(np.intersect1d(old_positives[position], before.seen[users[position]]))
            for position in known
        )
        / sum(map(len, positives)),
        common=_common(candidate, before, chosen, users) if len(before.users) else None,
    )


def _common(candidate: Publication, version: Publication, chosen: Rows, old: Rows) -> Common:
    """The users whom both know, on positives that neither was trained on.

    What the version before was trained on it ranks at the top, so it is left out of both rankings: else
    one and the same model would look worse whenever the split fell otherwise. `old` are the rows before
    of `chosen` users, -1 for none.
    """
    held_out = candidate.held_out
    assert held_out is not None  # noqa: S101 - there are positives
    now: list[tuple[int, Rows, Rows]] = []
    then: list[tuple[int, Rows, Rows]] = []
    known = np.flatnonzero(old >= 0)
    used = [own[row] for own in (held_out, candidate.seen) for row in chosen[known]]
    items = _item_rows(version.items, candidate.items, used)
    for row, row_then in zip(chosen[known].tolist(), old[known].tolist(), strict=True):
        learned, seen = version.seen[row_then], candidate.seen[row]
        positives = held_out[row].astype(np.int64)
        fresh = positives[~np.isin(items[positives], learned)]
        if not len(fresh):
            continue
        also = _present(_rows(candidate.items, version.items, learned))
        now.append((row, np.union1d(seen, also).astype(np.int64), fresh))
        seen_then = np.union1d(learned, _present(items[seen])).astype(np.int64)
        then.append((row_then, seen_then, _present(items[fresh])))
    if not now:
        return Common(users=len(chosen), known=0, in_common=len(known))
    everyone = np.arange(len(now))
    after, before = (
        _shares(of, np.array(users), [*seen], everyone, [*positives])
        for of, (users, seen, positives) in (
            (candidate, zip(*now, strict=True)),
            (version, zip(*then, strict=True)),
        )
    )
    differences = before - after
    # One user's difference has no spread, and proves nothing.
    error = differences.std(ddof=1) / np.sqrt(len(before)) if len(before) > 1 else np.inf
    return Common(
        users=len(chosen),
        in_common=len(known),
        known=len(before),
        before=float(before.mean()),
        after=float(after.mean()),
        error=float(error),
    )


def _shares(
    publication: Publication,
    users: Rows,
    seen: list[Rows],
    positions: NDArray[np.int64],
    positives: list[Rows],
) -> NDArray[np.float64]:
    """Of each of `positives`, the share of ten answers that are among them.

    Users that the version doesn't know have no position, and get nothing.
    """
    shares = np.zeros(len(positives))
    found = top_items(publication.item_vectors, publication.user_vectors[users], seen)
    for position, rows in zip(positions.tolist(), found, strict=True):
        shares[position] = len(np.intersect1d(rows[:K], positives[position])) / K
    return shares


def _rows(before: AnyIds, candidate: AnyIds, rows: NDArray[np.integer]) -> Rows:
    """Rows before of the candidate's rows, -1 for those that are new."""
    return before.rows(map(candidate.external_id, rows.tolist()))


def _item_rows(before: AnyIds, candidate: AnyIds, used: list[NDArray[np.int32]]) -> Rows:
    """The same for each item of the candidate; -1 also for those that are not among `used`."""
    rows = np.full(len(candidate), -1, dtype=np.int64)
    if used:
        wanted = np.unique(np.concatenate(used))
        rows[wanted] = _rows(before, candidate, wanted)
    return rows


def _present(rows: Rows) -> Rows:
    return rows[rows >= 0]
