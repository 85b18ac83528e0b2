"""Measure a published version for the gates, from the volume alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import reader
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.storage.id_map import AnyIds, Rows
from trainer.evaluation.evaluation import K
from trainer.evaluation.held_out_test import MAX_USERS, with_positives
from trainer.evaluation.metric_rows import POPULAR, TRAINED
from trainer.evaluation.of_versions import exact_answers
from trainer.index.exact import sample
from trainer.promotion.gates import Baseline, Common, Gates, Measured
from trainer.promotion.predecessor import Predecessor

SAMPLED_USERS = 1000
"""The most users for measuring coverage, and for comparing precision without --max-relative-loss."""

# A user's row, and the rows of the excluded items and of the positives, as one version has them.
_Question: TypeAlias = tuple[int, Rows, Rows]


def measure(
    volume: Path, version: str, *, gates: Gates, before: Predecessor | None, seed: int
) -> Measured:
    """Measure a verified version for the gates; costly values only if a gate needs them.

    Raises:
        PublicationError: the version can't be read. (If the previous version can't be read,
            `baseline.problem` says why.)
    """
    candidate = reader.open_publication(volume, version)
    manifest = candidate.manifest
    covered = compared = None
    if gates.min_coverage is not None:
        covered = coverage(candidate, seed=seed)
    if before is not None and before.publication is not None:
        # Without a threshold only large losses fail, and fewer users are enough to see these.
        most = SAMPLED_USERS if gates.max_relative_loss is None else MAX_USERS
        compared = compare(candidate, before.publication, seed=seed, most=most)
    elif before is not None:
        compared = Baseline(version=before.version, problem=before.problem)
    targets = [index.target_recall for index in manifest.indexes.values()]
    return Measured(
        metrics=manifest.metrics,
        evaluation=manifest.evaluation,
        precision_at_10=manifest.metrics.get("test_precision_at_10_unseen"),
        auc=manifest.metrics.get("test_auc_unseen"),
        trained_precision_at_10=manifest.metrics.get(TRAINED),
        popular_precision_at_10=manifest.metrics.get(POPULAR),
        users=manifest.users,
        evaluated_users=int(manifest.metrics.get("evaluated_users", 0)),
        recall_at_10={name: own.worst_recall_at_10 for name, own in manifest.indexes.items()},
        worst_question={
            name: own.worst_way for name, own in manifest.indexes.items() if own.worst_way is not None
        },
        is_exact=manifest.kind == "neighbours",
        target_recall=min((own for own in targets if own is not None), default=None),
        coverage=covered,
        baseline=compared,
        family=str(manifest.hyperparameters.get("model", "")),
    )


def coverage(version: Publication, *, seed: int) -> float | None:
    """Return the share of items that are in the top ten of at least one user, without seen items.

    If there are more users than SAMPLED_USERS, that many are drawn by the seed. There must be an item.
    None if there are no users.
    """
    users = sample(len(version.users), SAMPLED_USERS, seed=seed)
    if not len(users):
        return None
    covered = np.zeros(len(version.items), dtype=bool)
    for top in exact_answers(version, users, [version.seen[row] for row in users]):
        covered[top] = True
    return float(covered.mean())


def compare(
    candidate: Publication, before: Publication, *, seed: int, most: int = MAX_USERS
) -> Baseline:
    """Compare precision@10 of two versions on the candidate's held-out positives, by exact scoring.

    Both versions are evaluated for the same users: those with a held-out positive, at most `most` of
    them. Users and items are matched by external id. Each version ranks its own catalogue without the
    items that the user has seen in the candidate's training data. Its ten answers are compared with all
    positives of the user. So the previous version misses a positive that it doesn't know, and misses
    all positives of a user that it doesn't know. A version compared with itself has equal precision.

    `common` compares the users that both versions know, on positives that neither was trained on. A
    version ranks the items that it was trained on at the top. So both rankings leave out those of the
    previous version; otherwise another random split alone would make the same model look worse.
    """
    held_out = candidate.held_out
    chosen = np.empty(0, dtype=np.int64) if held_out is None else with_positives(held_out, seed=seed)
    chosen = chosen[sample(len(chosen), most, seed=seed)]
    if held_out is None or not len(chosen):
        problem = f"version {candidate.manifest.version} has no test interactions"
        return Baseline(version=before.manifest.version, problem=problem)
    used = [own[row] for own in (held_out, candidate.seen) for row in chosen]
    items = _item_rows(before.items, candidate.items, used)
    now: list[_Question] = []
    then: list[_Question] = []
    fresh_now: list[_Question] = []
    fresh_then: list[_Question] = []
    known_already = 0
    users = _rows(before.users, candidate.users, chosen)
    for row, row_then in zip(chosen.tolist(), users.tolist(), strict=True):
        seen, positives = candidate.seen[row], held_out[row]
        now.append((row, seen, positives))
        if row_then < 0:
            continue
        learned, seen_then = before.seen[row_then], _present(items[seen])
        then.append((row_then, seen_then, _present(items[positives])))
        is_fresh = ~np.isin(items[positives], learned)
        known_already += int((~is_fresh).sum())
        if is_fresh.any():
            also = _present(_rows(candidate.items, before.items, learned))
            fresh_now.append((row, _joined(seen, also), positives[is_fresh]))
            positives_then = _present(items[positives[is_fresh]])
            fresh_then.append((row_then, _joined(learned, seen_then), positives_then))
    common = Common(users=len(chosen), in_common=len(then), known=0)
    if fresh_now:
        common = _compared(common, _shares(before, fresh_then), _shares(candidate, fresh_now))
    return Baseline(
        version=before.manifest.version,
        precision_at_10=float(_shares(before, then).sum() / len(chosen)),
        candidate_precision_at_10=float(_shares(candidate, now).sum() / len(chosen)),
        trained_on=known_already / sum(len(positives) for _, _, positives in now),
        common=common if len(before.users) else None,
    )


def _compared(common: Common, before: NDArray[np.float64], after: NDArray[np.float64]) -> Common:
    differences = before - after
    # The difference of a single user has no spread, so it proves nothing.
    error = differences.std(ddof=1) / np.sqrt(len(before)) if len(before) > 1 else np.inf
    return replace(
        common,
        known=len(before),
        before=float(before.mean()),
        after=float(after.mean()),
        error=float(error),
    )


def _shares(version: Publication, asked: list[_Question]) -> NDArray[np.float64]:
    """Return for each question the share of the ten answers that are positives."""
    users = np.array([user for user, _, _ in asked], dtype=np.int64)
    found = exact_answers(version, users, [seen for _, seen, _ in asked])
    return np.array(
        [
            len(np.intersect1d(rows, positives)) / K
            for rows, (_, _, positives) in zip(found, asked, strict=True)
        ]
    )


def _rows(before: AnyIds, candidate: AnyIds, rows: NDArray[np.integer]) -> Rows:
    """Return the previous version's rows of the candidate's `rows`; -1 for new ids."""
    return before.rows(map(candidate.external_id, rows.tolist()))


def _item_rows(before: AnyIds, candidate: AnyIds, used: list[Rows]) -> Rows:
    """Return `_rows` for every item of the candidate; -1 also for items that aren't in `used`."""
    rows = np.full(len(candidate), -1, dtype=np.int64)
    wanted = np.unique(np.concatenate(used))
    rows[wanted] = _rows(before, candidate, wanted)
    return rows


def _present(rows: Rows) -> Rows:
    return rows[rows >= 0]


def _joined(rows: Rows, others: Rows) -> Rows:
    return np.union1d(rows, others).astype(np.int64)
