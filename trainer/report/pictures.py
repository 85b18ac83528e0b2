"""Draws the pictures of the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lightfm_retriever.publication.manifest import MeasuredSetting
from trainer.report.accuracy import Precision
from trainer.report.deployment import Deployment
from trainer.report.scaling import PAIRWISE, Point

# Colour and name of each backend.
_LOOKS = {
    PAIRWISE: ("#999999", "exact, scikit-learn's pairwise distances"),
    "exact": ("#222222", "exact, by matrix product (BLAS)"),
    "annoy": ("#0072b2", "Annoy"),
    "faiss": ("#009e73", "FAISS (IVF)"),
    "nmslib": ("#d55e00", "NMSLIB (HNSW)"),
}
_DPI = 110
# Nobody would serve an index with a lower recall, so the curves begin here.
_LEAST_RECALL = 0.5
_LONG_AXIS = 100


def name_of(backend: str) -> str:
    """Return the name of a backend in the report."""
    return _look(backend)[1]


def scaling(points: Sequence[Point], target: float, path: Path) -> None:
    """Draw (a): the time of one query over the number of vectors."""
    figure = Figure(figsize=(12, 5.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, kind in zip(axes, ("repeated", "interpolated"), strict=True):
        for backend in _in_order(point.backend for point in points):
            own = [p for p in points if (p.vectors, p.backend) == (kind, backend)]
            ax.plot([p.items for p in own], [p.query_microseconds for p in own], **_style(backend))
            colour = _look(backend)[0]
            for point in own:
                face = colour if point.recall_at_10 >= target else "white"
                at = point.items, point.query_microseconds
                ax.plot(*at, "o", color=colour, markerfacecolor=face)
        what = "repeated vectors, as in the notebook" if kind == "repeated" else "interpolated vectors"
        ax.set(xscale="log", yscale="log", xlabel="vectors", title=f"Catalogue of {what}")
        ax.xaxis.set_major_formatter(_count)
        ax.grid(visible=True, which="both", alpha=0.25)
    axes[0].set_ylabel("time of one query on one thread, µs (median)")
    axes[0].yaxis.set_major_formatter(_count)
    axes[0].legend()
    figure.suptitle(
        f"Inner-product search for ten, tuned for recall@10 ≥ {target:g} (hollow: not reached)"
    )
    figure.savefig(path, dpi=_DPI)


def precision(rows: Sequence[Precision], path: Path) -> None:
    """Draw (b): precision@10 on held-out items."""
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    axes = figure.subplots(1, 2)
    rows = [row for name in _in_order(r.backend for r in rows) for row in rows if row.backend == name]
    for ax, title, values in (
        (axes[0], "all items", [(r.all_items, r.all_items_without_biases) for r in rows]),
        (axes[1], "seen items excluded", [(r.unseen, r.unseen_without_biases) for r in rows]),
    ):
        for place, (row, (with_biases, without)) in enumerate(zip(rows, values, strict=True)):
            colour = _look(row.backend)[0]
            for offset, value, alpha in ((-0.2, with_biases, 1.0), (0.2, without, 0.4)):
                bar = ax.bar(place + offset, value, width=0.38, color=colour, alpha=alpha)
                ax.bar_label(bar, fmt="%.4f", fontsize=8)
        ax.set(title=title, ylabel="precision@10 on the held-out test")
        ax.set_xticks(range(len(rows)), [name_of(r.backend).replace(", ", ",\n") for r in rows])
        ax.margins(y=0.12)
        ax.grid(visible=True, axis="y", alpha=0.25)
    figure.suptitle("Solid: with item biases; pale: the same without them")
    figure.savefig(path, dpi=_DPI)


def curves(
    panels: Sequence[tuple[str, Sequence[MeasuredSetting], Sequence[MeasuredSetting]]], path: Path
) -> None:
    """Draw (c): recall over time. A panel is a title, all trials, and the chosen trials."""
    figure = Figure(figsize=(5.2 * len(panels), 5), layout="constrained")
    [axes] = figure.subplots(1, len(panels), squeeze=False)
    for ax, (title, trials, chosen) in zip(axes, panels, strict=True):
        for backend in _in_order(trial.backend for trial in trials):
            _draw_curves(ax, backend, [t for t in trials if t.backend == backend])
        for trial in chosen:
            at, colour = (trial.query_microseconds, trial.recall_at_10), _look(trial.backend)[0]
            ax.plot(*at, "*", markersize=17, color=colour, markeredgecolor="white", zorder=5)
        ax.set(xscale="log", xlabel="time of one query on one thread, µs (median)", title=title)
        shown = [trial.recall_at_10 for trial in trials if trial.recall_at_10 >= _LEAST_RECALL]
        ax.set_ylim(min([*shown, 0.95]) - 0.01, 1.005)
        ax.xaxis.set_major_formatter(_count)
        low, high = ax.get_xlim()
        # On a long axis, labels between powers of ten would be too close.
        if high / low < _LONG_AXIS:
            ax.xaxis.set_minor_formatter(_minor)
        ax.grid(visible=True, which="both", alpha=0.25)
    axes[0].set_ylabel("recall@10")
    axes[0].legend(loc="lower right")
    figure.suptitle("Recall by time, a line for each build setting (star: the chosen setting)")
    figure.savefig(path, dpi=_DPI)


def _draw_curves(ax: Axes, backend: str, trials: Sequence[MeasuredSetting]) -> None:
    builds: dict[str, list[MeasuredSetting]] = {}
    for trial in trials:
        builds.setdefault(repr(trial.build), []).append(trial)
    for position, own in enumerate(builds.values()):
        own.sort(key=lambda trial: trial.recall_at_10)
        ax.plot(
            [trial.query_microseconds for trial in own],
            [trial.recall_at_10 for trial in own],
            marker="o",
            markersize=4,
            linestyle=("-", "--", ":", "-.")[position % 4],
            color=_look(backend)[0],
            label=name_of(backend) if position == 0 else None,
        )


def deployments(rows: Sequence[Deployment], path: Path) -> None:
    """Draw (d): build time, file size and memory, by backend and size of the catalogue."""
    figure = Figure(figsize=(16, 5), layout="constrained")
    axes = figure.subplots(1, 3)
    sizes = sorted({row.items for row in rows})
    backends = _in_order(row.backend for row in rows)
    for place, backend in enumerate(backends):
        own = [next(r for r in rows if (r.items, r.backend) == (s, backend)) for s in sizes]
        where = [i + (place - (len(backends) - 1) / 2) * 0.8 / len(backends) for i in range(len(sizes))]
        style = {"width": 0.75 / len(backends), **_style(backend)}
        axes[0].bar(where, [row.total_seconds for row in own], **style)
        axes[1].bar(where, [row.index_bytes / 1e6 for row in own], **style)
    for ax, title, unit in (
        (axes[0], "From fitted model to serving", "seconds"),
        (axes[1], "Files of both indexes (exact search has none)", "MB"),
    ):
        # Exact search has no files. A log scale can't show zeros alone.
        scale = "log" if any(bar.get_height() > 0 for bar in ax.patches) else "linear"
        ax.set(yscale=scale, title=title, ylabel=unit, xlabel="items")
        ax.set_xticks(range(len(sizes)), [f"{size:,}" for size in sizes])
        ax.yaxis.set_major_formatter(_count)
        ax.yaxis.set_minor_formatter(_minor)
        ax.grid(visible=True, axis="y", which="both", alpha=0.25)
    for row in rows:
        if row.items == sizes[-1]:
            workers = sorted(row.pss_bytes)
            pss = [row.pss_bytes[count] / 1e6 for count in workers]
            axes[2].plot(workers, pss, "o-", **_style(row.backend))
    axes[2].set_title(f"Memory of all workers together, {sizes[-1]:,} items")
    axes[2].set(xlabel="workers", ylabel="PSS, MB", ylim=(0, None))
    axes[2].set_xticks(sorted(rows[0].pss_bytes))
    axes[2].grid(visible=True, alpha=0.25)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(backends))
    figure.savefig(path, dpi=_DPI)


def _style(backend: str) -> dict[str, Any]:
    return dict(zip(("color", "label"), _look(backend), strict=True))


def _look(backend: str) -> tuple[str, str]:
    return _LOOKS.get(backend, ("#cc79a7", backend))


def _in_order(backends: Iterable[str]) -> list[str]:
    """Return the distinct backends, exact search first."""
    found = dict.fromkeys(backends)
    return sorted(found, key=lambda name: (*_LOOKS, name).index(name))


def _count(value: float, _: object = None) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _minor(value: float, _: object = None) -> str:
    """Label a tick between powers of ten, unless the labels would be too close."""
    leading = int(f"{value:e}"[0])
    return _count(value) if leading in (2, 5) else ""
