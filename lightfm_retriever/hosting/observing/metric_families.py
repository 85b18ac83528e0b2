"""Helpers to build Prometheus metric families."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from lightfm_retriever.hosting.release import release


def gauge(
    name: str,
    documentation: str,
    values: float | Mapping[tuple[str, ...], float],
    *,
    labels: Sequence[str] = (),
) -> GaugeMetricFamily:
    """Make a gauge with one value, or with one value for each tuple of label values."""
    family = GaugeMetricFamily(name, documentation, labels=labels)
    if isinstance(values, Mapping):
        for own, value in values.items():
            family.add_metric(own, value)
    else:
        family.add_metric([], values)
    return family


def build_info(service: str) -> GaugeMetricFamily:
    """Make a gauge of value 1 whose label is the running release."""
    return gauge(
        f"{service}_build_info",
        "The running release of the software, as a label. The value is 1.",
        {(release(),): 1},
        labels=["version"],
    )


def add_histogram(
    family: HistogramMetricFamily,
    labels: Sequence[str],
    *,
    bounds: Sequence[float],
    counts: Sequence[int],
    total: float,
) -> None:
    """Add a histogram for these label values to a family.

    Args:
        family: the family to add to.
        labels: the values of the family's labels.
        bounds: upper bounds of all buckets except the last one, which counts everything above.
        counts: the count of each bucket alone.
        total: the sum of all observed values.
    """
    ends = [*map(floatToGoString, bounds), "+Inf"]
    # The buckets of Prometheus are cumulative.
    buckets = zip(ends, map(float, itertools.accumulate(counts)), strict=True)
    family.add_metric(labels, [*buckets], total)


class SecondsHistogram:
    """A histogram of durations in seconds, with these upper bounds and one more bucket.

    Only one thread may use it at a time.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.count = 0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration."""
        self.count += 1
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str] = ()) -> None:
        """Add the histogram for these label values to a family."""
        add_histogram(family, labels, bounds=self._bounds, counts=self._counts, total=self._sum)
