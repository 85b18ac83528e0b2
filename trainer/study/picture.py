"""Draws the picture of a search for hyperparameters."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainer.study.study import StudyResult
from trainer.study.trials import State

_DPI = 110
_STYLES: dict[State, dict[str, Any]] = {
    "complete": {"marker": "o", "color": "#0072b2", "label": "complete"},
    "pruned": {"marker": "o", "color": "#0072b2", "markerfacecolor": "white", "label": "pruned"},
}
_BEST = "#d55e00"


def draw(result: StudyResult) -> bytes:
    """Draw each trial's value over its number and over each hyperparameter. Returns a PNG image."""
    names = [*result.options.space.ranges(), "epochs", "loss"]
    figure = Figure(figsize=(13, 11), layout="constrained")
    grid = figure.add_gridspec(3, 3)
    _draw_history(figure.add_subplot(grid[0, :]), result)
    for place, name in enumerate(names):
        ax = figure.add_subplot(grid[1 + place // 3, place % 3])
        if name == "loss":
            _draw_losses(ax, result)
        else:
            _draw_numbers(ax, name, result)
        ax.set_xlabel("epochs (the trial's best)" if name == "epochs" else name.replace("_", " "))
        ax.grid(visible=True, alpha=0.25)
        if place % 3 == 0:
            ax.set_ylabel(_value_of(result))
    figure.suptitle(
        f"{result.dataset}: {len(result.trials)} trials, the best (star) reaches {result.value:.4f} "
        f"on {result.validation_interactions:,} validation interactions"
    )
    file = io.BytesIO()
    figure.savefig(file, dpi=_DPI, format="png")
    return file.getvalue()


def _draw_history(ax: Axes, result: StudyResult) -> None:
    trials = result.trials
    _draw_points(ax, [trial.number for trial in trials], result)
    values = [np.nan if trial.value is None else trial.value for trial in trials]
    so_far = np.fmax.accumulate(values)
    ax.step(range(len(trials)), so_far, where="post", color=_BEST, label="best so far")
    failed = [trial.number for trial in trials if trial.state == "failed"]
    if failed:
        # Failed trials have no value: mark them along the bottom.
        bottom = ax.get_xaxis_transform()
        ax.plot(failed, [0.02] * len(failed), "x", color="#222222", label="failed", transform=bottom)
    ax.set(xlabel="trial", ylabel=_value_of(result))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(visible=True, alpha=0.25)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False)


def _draw_numbers(ax: Axes, name: str, result: StudyResult) -> None:
    if name == "epochs":
        _draw_points(ax, [trial.epochs for trial in result.trials], result)
        ax.set_xlim(0, result.options.max_epochs * 1.03)
        return
    low, high = result.options.space.ranges()[name]
    _draw_points(ax, [float(trial.parameters[name] or 0) for trial in result.trials], result)
    ax.set_xscale("log")
    # Extend the axis a little, so that points at the ends of the range are whole.
    margin = max((high / low) ** 0.03, 1.01)
    ax.set_xlim(low / margin, high * margin)
    if name == "components":
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.xaxis.set_minor_formatter(_minor)


def _draw_losses(ax: Axes, result: StudyResult) -> None:
    losses = list(result.options.space.losses)
    random = np.random.default_rng(0)
    places = [
        losses.index(str(trial.parameters["loss"])) + float(random.uniform(-0.2, 0.2))
        for trial in result.trials
    ]
    _draw_points(ax, places, result)
    ax.set_xticks(range(len(losses)), losses)
    ax.set_xlim(-0.5, len(losses) - 0.5)


def _draw_points(ax: Axes, places: Sequence[float], result: StudyResult) -> None:
    for state, style in _STYLES.items():
        own = [
            (place, trial.value)
            for place, trial in zip(places, result.trials, strict=True)
            if trial.state == state and trial.value is not None
        ]
        if own:
            at, values = zip(*own, strict=True)
            ax.plot(at, values, linestyle="none", markersize=5, **style)
    ax.plot(places[result.best], result.value, "*", color=_BEST, markersize=16, markeredgecolor="white")


def _minor(value: float, _: object = None) -> str:
    """Label a tick between powers of ten, unless the labels would be too close."""
    return f"{value:,.0f}" if int(f"{value:e}"[0]) in (2, 5) else ""


def _value_of(result: StudyResult) -> str:
    return f"validation {result.options.objective}"
