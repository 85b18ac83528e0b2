"""Compares two versions: recommendations, items and users, metrics, and settings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lightfm_retriever.hosting.options import Option
from lightfm_retriever.publication import reader, verification
from lightfm_retriever.publication.manifest import Manifest, Scalar
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.storage.id_map import AnyIds
from trainer.versions.tests_taken import why_incomparable

USERS = Option("number of users whose top ten are compared", ge=1, le=10_000)
DEFAULT_USERS = 200
SAMPLE_IDS = 20
"""Maximum number of new ids, and of lost ids, that a comparison lists."""


@dataclass(frozen=True)
class ValueChange:
    """A value in both versions; None in a version that lacks it."""

    name: str
    before: Scalar
    after: Scalar


@dataclass(frozen=True)
class IdChanges:
    """New and lost ids of items or of users.

    Attributes:
        before, after: number of ids in the first and in the second version.
        new: number of ids that only the second version has.
        lost: number of ids that only the first version has.
        new_ids, lost_ids: up to SAMPLE_IDS of these ids, sorted.
    """

    before: int
    after: int
    new: int
    lost: int
    new_ids: list[str]
    lost_ids: list[str]


@dataclass(frozen=True)
class Overlap:
    """Number of items that both versions have in a user's top ten: 10 when the items are the same.

    A user with fewer than ten unseen items has a lower number.

    Attributes:
        users: number of compared users.
        mean, median, min: over these users, 0 to 10.
        by_user: number of each user by external id; empty unless requested.
    """

    users: int
    mean: float
    median: float
    min: int
    by_user: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class VersionDiff:
    """Differences between two versions. JSON can hold all of it.

    Attributes:
        before, after: names of the versions.
        overlap: overlap of the recommendations; None when the versions share no user.
        items, users: new and lost ids.
        metrics: all metrics of either version; empty if they can't be compared.
        metrics_problem: why the metrics can't be compared; "" if they can.
        hyperparameters: hyperparameters that differ.
        model: family and kind of the models, if they differ; older versions don't say the family.
        indexes: backend, recall@10, microseconds per query and file bytes of each index; those of an
            item-item model are missing.
        attributes: item attributes whose kind differs.
    """

    before: str
    after: str
    overlap: Overlap | None
    items: IdChanges
    users: IdChanges
    metrics: list[ValueChange]
    hyperparameters: list[ValueChange]
    model: list[ValueChange]
    indexes: list[ValueChange]
    attributes: list[ValueChange]
    metrics_problem: str = ""


def diff(
    volume: Path,
    before: str,
    after: str,
    *,
    users: int = DEFAULT_USERS,
    seed: int,
    by_user: bool = False,
) -> VersionDiff:
    """Compare two versions, after verifying every byte of both.

    Compares the recommendations of up to `users` users that both versions have, drawn with the seed.
    Each version ranks all its items by exact score, without the items that the user has seen. Metrics
    are compared only if both versions took the same test.

    Raises:
        VersionNotFoundError: the volume lacks one of the versions.
        InvalidPublicationError: one of the versions is damaged.
        VolumeError: the volume can't be read.
    """
    for version in {before, after}:
        verification.verify(volume, version)
    old, new = (reader.open_publication(volume, version) for version in (before, after))
    problem = why_incomparable(old, new)
    return VersionDiff(
        before=before,
        after=after,
        overlap=_overlap(old, new, users, seed=seed, by_user=by_user),
        items=_id_changes(old.items, new.items),
        users=_id_changes(old.users, new.users),
        metrics=[] if problem else _changes(old.manifest.metrics, new.manifest.metrics),
        hyperparameters=_differing(old.manifest.hyperparameters, new.manifest.hyperparameters),
        model=_differing(_model(old.manifest), _model(new.manifest)),
        indexes=_changes(_index_facts(old.manifest), _index_facts(new.manifest)),
        attributes=_differing(_attributes(old.manifest), _attributes(new.manifest)),
        metrics_problem=problem,
    )


def _overlap(
    old: Publication, new: Publication, users: int, *, seed: int, by_user: bool
) -> Overlap | None:
    names = _common(old.users, new.users, users, seed=seed)
    if not names:
        return None
    answers = zip(_answers(old, names), _answers(new, names), strict=True)
    common = [len(one & other) for one, other in answers]
    return Overlap(
        users=len(common),
        mean=float(np.mean(common)),
        median=float(np.median(common)),
        min=min(common),
        by_user=dict(zip(names, common, strict=True)) if by_user else {},
    )


def _common(old: AnyIds, new: AnyIds, count: int, *, seed: int) -> list[str]:
    """Return up to `count` ids that both maps have, in random order."""
    drawn = map(old.external_id, np.random.default_rng(seed).permutation(len(old)).tolist())
    return [*itertools.islice((name for name in drawn if name in new), count)]


def _answers(publication: Publication, names: list[str]) -> list[set[str]]:
    # Imported here, since the command line needs only other names of this module.
    from trainer.evaluation.of_versions import exact_answers

    rows = publication.users.rows(names)
    found = exact_answers(publication, rows, [publication.seen[row] for row in rows])
    return [{publication.items.external_id(row) for row in top.tolist()} for top in found]


def _id_changes(old: AnyIds, new: AnyIds) -> IdChanges:
    lost, lost_ids = _missing(old, new)
    added, new_ids = _missing(new, old)
    return IdChanges(len(old), len(new), added, lost, new_ids, lost_ids)


def _missing(ids: AnyIds, other: AnyIds) -> tuple[int, list[str]]:
    """Return the number of ids that the other map lacks, and the first of them, sorted."""
    missing = (name for name in ids if name not in other)
    first = [*itertools.islice(missing, SAMPLE_IDS)]
    return len(first) + sum(1 for _ in missing), sorted(first)


def _index_facts(manifest: Manifest) -> dict[str, Scalar]:
    facts: dict[str, Scalar] = {}
    for name, index in sorted(manifest.indexes.items()):
        facts[f"{name}.backend"] = index.backend
        facts[f"{name}.recall_at_10"] = index.recall_at_10
        for way, own in sorted(index.ways.items()):
            facts[f"{name}.{way}.recall_at_10"] = own.recall_at_10
        facts[f"{name}.query_microseconds"] = index.query_microseconds
        facts[f"{name}.bytes"] = manifest.files[index.file].size if index.file else 0
    return facts


def _changes(before: Mapping[str, Scalar], after: Mapping[str, Scalar]) -> list[ValueChange]:
    names = dict.fromkeys([*before, *after])
    return [ValueChange(name, before.get(name), after.get(name)) for name in names]


def _differing(before: Mapping[str, Scalar], after: Mapping[str, Scalar]) -> list[ValueChange]:
    return [change for change in _changes(before, after) if change.before != change.after]


def _model(manifest: Manifest) -> dict[str, Scalar]:
    return {"family": manifest.family or None, "kind": manifest.kind}


def _attributes(manifest: Manifest) -> dict[str, Scalar]:
    return {attribute.name: attribute.kind for attribute in manifest.attributes}
