"""Search for the best family and settings within a budget.

The search tries one candidate of each family, the most promising family first. Then it tries more of
the families in the order of their values, and variations of the best candidate. Order and choice
depend on the data and the seed. Each family estimates the duration of a fit from the shape of the data,
and candidates whose estimates exceed the budget are left out. So the clock rarely decides, and equal
inputs have equal results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightfm_retriever.hosting.extras import package_of
from lightfm_retriever.publication.manifest import TrialFacts
from trainer import models
from trainer.errors import TrainerError
from trainer.models.protocol import Family, Fitting, Shape
from trainer.preparing.dataset import Dataset
from trainer.progress import Reporter
from trainer.selection.trial import Trying, Validation, shown, try_out

# The share of the budget that the estimated trials may take: estimates err, and the machine is shared.
_PLANNED = 0.6
# After this share of the budget no candidate is begun. Estimates are meant to end the search before.
_LATE = 0.75
# A family whose first candidate is this much worse than the best is not tried again.
_HOPELESS = 0.6
# With fewer users than this, the standard error of NDCG@10 is about 0.03 or more.
_FEW_USERS = 100


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The result of a search.

    Attributes:
        trials: all candidates, in the order of the search.
        best: the position of the best one.
        warnings: one sentence each.
    """

    trials: list[TrialFacts]
    best: int
    warnings: list[str] = field(default_factory=list)

    @property
    def chosen(self) -> TrialFacts:
        """Return the best trial."""
        return self.trials[self.best]


@dataclass
class _Search:
    validation: Validation
    fitting: Fitting
    budget: float
    advance: Callable[[int], None]
    how: Trying

    def __post_init__(self) -> None:
        self.shape = Shape.of(self.validation.dataset)
        self.started = self.how.clock()
        self.planned = 0.0
        self.trials: list[TrialFacts] = []
        self.late = False

    def run(self, family: Family, settings: Any) -> TrialFacts | None:
        """Try a candidate, unless it was tried before."""
        told = shown(settings)
        if any(one.model == family.name and _same(one.settings, told) for one in self.trials):
            return None
        reason = self._reason(family, settings)
        if reason:
            made = TrialFacts(model=family.name, settings=told, state="skipped", reason=reason)
        else:
            self.planned += family.seconds(self.shape, settings)
            made = try_out(family, settings, self.validation, self.fitting, self.how)
        self.trials.append(made)
        self.advance(1)
        return made

    def _reason(self, family: Family, settings: Any) -> str:
        """Return why a candidate can't be tried; "" if it can."""
        if not family.is_installed():
            return (
                f"the package {package_of(family.package)!r} of the extra {family.extra!r} is missing"
            )
        if self.fitting.sample_weights and not family.uses_weights:
            return "it doesn't learn from weights, and --sample-weights is set"
        if (problem := family.problem(self.shape)) is not None:
            return problem
        own = family.seconds(self.shape, settings)
        # The chosen model is fitted once more, on all training interactions.
        if self.planned + 2 * own > _PLANNED * self.budget and self.has_result:
            left = max(0.0, _PLANNED * self.budget - self.planned)
            return (
                f"two fits of {own:.2g} s each are estimated, to validate and to publish, and "
                f"{left:.2g} s of {_PLANNED:.0%} of --budget {self.budget:g}s are left"
            )
        if own > self.budget:
            return f"a fit is estimated at {own:.2g} s, above the budget of {self.budget:g} s"
        if self.how.clock() - self.started > _LATE * self.budget and self.has_result:
            self.late = True
            return f"{_LATE:.0%} of the budget of {self.budget:g} s was used up"
        return ""

    @property
    def has_result(self) -> bool:
        return any(one.ndcg_at_10 is not None for one in self.trials)

    def best_of(self, name: str = "") -> TrialFacts | None:
        """Return the first of the best trials, of one family or of all."""
        done = [one for one in self.trials if one.ndcg_at_10 is not None and name in ("", one.model)]
        return max(done, key=_value, default=None)


def select(
    dataset: Dataset,
    *,
    budget_seconds: float,
    fitting: Fitting,
    reporter: Reporter,
    how: Trying,
) -> SearchResult:
    """Choose a family and its settings.

    Args:
        dataset: training interactions, whose test interactions serve for validation.
        budget_seconds: the time for the search and the fit after it.
        fitting: seed, threads and weights.
        reporter: receives the progress.
        how: how to represent users, and the clock of the budget's guard.

    Raises:
        TrainerError: nothing is held out, or no candidate could be fitted within the budget.
    """
    validation = Validation.of(dataset, seed=fitting.seed)
    families = [models.family(name) for name in models.NAMES]
    total = sum(len(own.candidates(Shape.of(validation.dataset))) for own in families)
    with reporter.step("Comparing models", total) as advance:
        search = _Search(validation, fitting, budget_seconds, advance, how)
        first = {own.name: own.candidates(search.shape)[0] for own in families}
        families.sort(key=lambda own: (-own.promise, own.seconds(search.shape, first[own.name])))
        for own in families:
            search.run(own, first[own.name])
        ranked = sorted(families, key=lambda own: -_value(search.best_of(own.name)))
        for own, settings in _more(search, ranked):
            search.run(own, settings)
        _vary(search, {own.name: own for own in families})
    best = search.best_of()
    if best is None:
        raise TrainerError(_nothing(search.trials, budget_seconds))
    return SearchResult(
        trials=search.trials,
        best=search.trials.index(best),
        warnings=[*_doubts(search, len(validation.users))],
    )


def _doubts(search: _Search, users: int) -> Iterator[str]:
    """Yield a warning for each reason to doubt the choice."""
    if search.late:
        yield (
            "the clock ended the search for a model, so another run may choose another one: raise "
            "--budget"
        )
    if users < _FEW_USERS:
        yield (
            f"the model was chosen by only {users} users with validation interactions: chance decides "
            "among models so close; name one with --model"
        )


def _more(search: _Search, ranked: Sequence[Family]) -> Iterator[tuple[Family, Any]]:
    """Yield further candidates, by turns, of the families that may still win."""
    lists = [list(own.candidates(search.shape))[1:] for own in ranked]
    for turn in range(max(map(len, lists), default=0)):
        for own, left in zip(ranked, lists, strict=True):
            hopeless = _value(search.best_of(own.name)) < _HOPELESS * _value(search.best_of())
            if turn < len(left) and not hopeless:
                yield own, left[turn]


def _vary(search: _Search, families: dict[str, Family]) -> None:
    """Vary the settings of the best trial until no variation is better."""
    while (best := search.best_of()) is not None:
        own = families[best.model]
        settings = dict(best.settings)
        if "epochs" in settings:
            # The best trial may have ended early. A variation may need more epochs.
            settings["epochs"] = own.epochs(own.default(search.shape))
        for varied in own.around(own.settings(**settings)):
            search.run(own, varied)
        if search.best_of() is best:
            return


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Compare settings without the epochs, which a trial replaces by the best ones."""
    return {**one, "epochs": 0} == {**other, "epochs": 0}


def _value(trial: TrialFacts | None) -> float:
    return -1.0 if trial is None or trial.ndcg_at_10 is None else trial.ndcg_at_10


def _nothing(trials: Sequence[TrialFacts], budget: float) -> str:
    reasons = "; ".join(f"{one.model}: {one.reason}" for one in trials)
    return f"no model could be fitted within --budget {budget:g}s: {reasons}. Raise --budget"
