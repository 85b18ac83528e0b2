"""Series of one name, as Prometheus has them."""

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
    """A gauge with one value, or with one for each of its labels' values."""
    family = GaugeMetricFamily(name, documentation, labels=labels)
    if isinstance(values, Mapping):
        for own, value in values.items():
            family.add_metric(own, value)
    else:
        family.add_metric([], values)
    return family


def build_info(service: str) -> GaugeMetricFamily:
    """The release that runs, as the label of a series that is 1."""
    return gauge(
        f"{service}_build_info",
        "The release of the software that runs.",
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
    """Add the series of these labels' values.

    Args:
        bounds: upper ends of the buckets but the last, which has what is above them all.
        counts: by bucket, what is in it and in no lower one.
        total: the sum of all that was counted.
    """
    ends = [*map(floatToGoString, bounds), "+Inf"]
    # Prometheus's buckets have all that the lower ones have.
    buckets = zip(ends, map(float, itertools.accumulate(counts)), strict=True)
    family.add_metric(labels, [*buckets], total)


class SecondsHistogram:
    """How often something took how long, by buckets with these upper ends in seconds, and one more.

    Not for several threads at once.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.count = 0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count it."""
        self.count += 1
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str] = ()) -> None:
        """Add the series of these labels' values."""
        add_histogram(family, labels, bounds=self._bounds, counts=self._counts, total=self._sum)
