"""Evaluate a model of a dataset: metrics by name, and the facts about the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lightfm_retriever.publication.facts.evaluation import EvaluationFacts
from lightfm_retriever.publication.storage.id_map import AnyIds
from trainer.evaluation import segments, simple_models
from trainer.evaluation.evaluation import Evaluation, evaluate, evaluate_training
from trainer.evaluation.held_out_test import HeldOutTest, fingerprint
from trainer.fitting.scores import UserScores
from trainer.models.protocol import Fitting
from trainer.preparing.dataset import Dataset, id_ranks


@dataclass(frozen=True)
class Evaluated:
    """The metrics of a model by name, its test and the facts about it; None if nothing was held out.

    `warnings` name the simple models that are better.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    facts: EvaluationFacts | None = None
    test: HeldOutTest | None = field(default=None, compare=False)
    warnings: Sequence[str] = ()


def held_out_test(dataset: Dataset) -> HeldOutTest | None:
    """Return the test of a dataset with its segments; None if nothing is held out.

    Raises:
        OptionError: a segment is by an attribute that the dataset lacks.
    """
    by_attributes = segments.wanted(dataset, dataset.segment_by)
    held_out = dataset.held_out()
    if held_out is None:
        return None
    seen, popularity = dataset.seen(), dataset.popularity()
    return HeldOutTest(
        seen=seen,
        held_out=held_out,
        popularity=popularity,
        ties=id_ranks(dataset.items),
        segments=[*segments.usual(seen, popularity), *by_attributes],
    )


def evaluate_dataset(
    scores: UserScores, dataset: Dataset, *, model: str, fitting: Fitting
) -> Evaluated:
    """Measure a model on the test of a dataset, and on its training interactions.

    It is also compared with simple models, except with its own family.

    See evaluation.evaluate and evaluate_training for the metrics. Without held-out positives there are
    only those of the training.
    """
    metrics = evaluate_training(scores, dataset, seed=fitting.seed)
    test = held_out_test(dataset)
    if test is None:
        return Evaluated({**metrics, "evaluated_users": 0.0})
    found = evaluate(scores, test, seed=fitting.seed)
    simple = simple_models.compare(found, test, dataset, model=model, fitting=fitting)
    facts = facts_of(found, test, dataset.items, dataset.users)
    return Evaluated(
        metrics | found.metrics(),
        replace(facts, simple_models=simple),
        test,
        [*simple_models.warnings_of(simple)],
    )


def facts_of(found: Evaluation, test: HeldOutTest, items: AnyIds, users: AnyIds) -> EvaluationFacts:
    """Return the facts about an evaluation for the manifest; rows are those of the id maps."""
    return EvaluationFacts(
        test=fingerprint(items, users, test.held_out, found.users),
        users=found.of_users,
        evaluated_users=len(found.users),
        interactions=found.interactions,
        errors=found.errors(),
        segments=[*found.segments],
    )
