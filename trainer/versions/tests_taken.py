"""Tell whether two versions took the same test: metrics of different tests can't be compared."""

from __future__ import annotations

from dataclasses import dataclass

from lightfm_retriever.publication.reader import Publication
from trainer.evaluation.held_out_test import fingerprint, with_positives

_DEFAULT_SEED = 42


@dataclass(frozen=True)
class TakenTest:
    """The test of a version: its fingerprint and its size."""

    fingerprint: str
    users: int
    interactions: int
    split: str

    def __str__(self) -> str:
        return f"{self.users:,} users and {self.interactions:,} interactions (split {self.split})"


def taken_by(version: Publication) -> TakenTest | None:
    """Return the test of a version; None if it has none. An older version's files tell it."""
    manifest, held_out = version.manifest, version.held_out
    split = manifest.dataset.split
    if (facts := manifest.evaluation) is not None:
        return TakenTest(facts.test, facts.evaluated_users, facts.interactions, split)
    if held_out is None:
        return None
    seed = manifest.hyperparameters.get("seed")
    users = with_positives(held_out, seed=seed if type(seed) is int else _DEFAULT_SEED)
    count = sum(len(held_out[row]) for row in users.tolist())
    test = fingerprint(version.items, version.users, held_out, users)
    return TakenTest(test, len(users), count, split)


def why_incomparable(before: Publication, after: Publication) -> str:
    """Say why the metrics of two versions can't be compared; "" if they can."""
    tests = [taken_by(version) for version in (before, after)]
    one, other = tests
    if one is None or other is None:
        if one is other:
            return ""
        version = before if one is None else after
        return f"version {version.manifest.version} was measured on no test"
    if one.fingerprint == other.fingerprint:
        return ""
    how = f"one on {one}, the other on {other}"
    if (one.users, one.interactions) == (other.users, other.interactions):
        how = f"each on {one}, but not the same ones"
    return f"the versions were measured on different tests: {how}"
