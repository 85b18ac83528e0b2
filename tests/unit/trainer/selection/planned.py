"""Families whose models are as good, as slow and as broken as a test plans."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tests import datasets
from trainer import models
from trainer.errors import DivergedError
from trainer.fitting.scores import UserScores
from trainer.models.protocol import EnoughError, Family, Fitted


@dataclass(frozen=True, kw_only=True)
class PlannedSettings:
    step: int = 0
    epochs: int = 1


@dataclass
class PlannedScores:
    """All of the held-out items of a share of the users come first, and those of the others last."""

    dataset: Any
    share: float

    @property
    def items(self):
        return len(self.dataset.items)

    def chunks(self, users):
        held_out = self.dataset.held_out()
        for user in users.tolist():
            good = user < self.share * len(self.dataset.users)
            scores = np.zeros((1, self.items), dtype=np.float32)
            scores[0, held_out[user]] = 1 if good else -1
            yield scores


@dataclass(frozen=True)
class PlannedModel(Fitted):
    planned: UserScores | None = None

    @property
    def scores(self):
        return self.planned


@dataclass
class Plan:
    """What a family is to do.

    Attributes:
        values: NDCG@10 of each candidate, by step; of each epoch, if it is a list.
        estimate: seconds of each fit.
        variations: steps around the best one.
        fits: steps that were fitted, in order.
    """

    values: Sequence[float | list[float] | None]
    estimate: float = 1.0
    trouble: str = ""
    variations: dict[int, list[int]] = field(default_factory=dict)
    uses_weights: bool = True
    package: str = ""
    on_fit: Callable[[], None] = lambda: None
    fits: list[int] = field(default_factory=list)
    candidates: int = 1


def register(monkeypatch, **plans):
    """Make families of these plans, and no others."""
    made = {}
    for name, plan in plans.items():
        # The registry finds a class in a module.
        made[name] = (__name__, f"Family_{name}")
        monkeypatch.setitem(globals(), f"Family_{name}", partial(_Planned, name, plan))
    monkeypatch.setattr(models, "FAMILIES", made)
    monkeypatch.setattr(models, "NAMES", tuple(made))


class _Planned(Family):
    told, settings, libraries, extra = "planned", PlannedSettings, (), "models"
    has_vectors = False

    def __init__(self, name, plan):
        self.name, self.plan = name, plan
        self.uses_weights, self.package = plan.uses_weights, plan.package

    def problem(self, shape):  # noqa: ARG002 - as in Family
        return self.plan.trouble or None

    def default(self, shape):  # noqa: ARG002 - as in Family
        return self._settings(0)

    def candidates(self, shape):  # noqa: ARG002 - as in Family
        return [self._settings(step) for step in range(self.plan.candidates)]

    def around(self, settings):
        return [self._settings(step) for step in self.plan.variations.get(settings.step, [])]

    def seconds(self, shape, settings):  # noqa: ARG002 - as in Family
        return self.plan.estimate

    def epochs(self, settings):
        return settings.epochs

    def _settings(self, step):
        value = self.plan.values[step]
        return PlannedSettings(step=step, epochs=len(value) if isinstance(value, list) else 1)

    def fit(self, dataset, settings, fitting):
        self.plan.fits.append(settings.step)
        self.plan.on_fit()
        value = self.plan.values[settings.step]
        if value is None:
            raise DivergedError(3)
        epochs = value if isinstance(value, list) else [value]
        epoch = 0
        try:
            for epoch, share in enumerate(epochs[: settings.epochs]):
                fitting.after_epoch(epoch + 1, lambda share=share: PlannedScores(dataset, share))
        except EnoughError:
            pass
        return PlannedModel(planned=PlannedScores(dataset, epochs[epoch]))


def dataset():
    """Ten users with an item held out each; a share of 0.3 ranks those of three of them right."""
    rows = [(f"u{user}", f"i{(6 * user + step) % 60}", 1.0) for user in range(10) for step in range(15)]
    times = list(range(len(rows)))
    return datasets.dataset(rows, split="leave-last-k", timestamps=times)
