"""Series of one name, as Prometheus has them."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

_BOUNDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)


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


class SecondsHistogram:
    """How often something took how long; not for several threads at once."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count it."""
        self._counts[bisect.bisect_left(_BOUNDS, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, values: Sequence[str] = ()) -> None:
        """Add the series of these labels' values."""
        bounds = [*map(floatToGoString, _BOUNDS), "+Inf"]
        counts = itertools.accumulate(self._counts)
        family.add_metric(values, [*zip(bounds, map(float, counts), strict=True)], self._sum)
