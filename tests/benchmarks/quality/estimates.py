"""Compare each family's estimate of the time of a fit with the measured one.

    python -m tests.benchmarks.quality.estimates --splits DIR

DIR is the output of `independent`. The first candidate of each family is fitted to train.csv of each
set. The time is the process's CPU time with one thread, so that other work on the machine has little
part in it. The table has the estimate divided by the time, with both in seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from tests import datasets  # noqa: E402 - after the number of threads
from tests.benchmarks.quality.events import read  # noqa: E402
from trainer import models  # noqa: E402
from trainer.models.protocol import Fitting, Shape  # noqa: E402


def estimated_and_measured(train: Path) -> dict[str, tuple[float, float]]:
    """Return the estimate and the CPU time of a fit in seconds, by family."""
    dataset = datasets.dataset([row[:3] for row in read(train)])
    shape, found = Shape.of(dataset), {}
    for family in map(models.family, models.NAMES):
        settings = family.candidates(shape)[0]
        began = time.process_time()
        family.fit(dataset, settings, Fitting(seed=1))
        found[family.name] = (family.seconds(shape, settings), time.process_time() - began)
    return found


def main() -> int:
    """Measure the sets one after the other, and print a row for each."""
    made = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality.estimates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--splits", type=Path, required=True, help="the output of `independent`")
    made.add_argument("--sets", nargs="+", help="only these sets")
    options = made.parse_args()
    paths = [
        path
        for path in sorted((options.splits / "random").glob("*/train.csv"))
        if not options.sets or path.parent.name in options.sets
    ]
    print(f"| set | {' | '.join(models.NAMES)} |\n|---|{'---:|' * len(models.NAMES)}")
    for path in paths:
        found = estimated_and_measured(path).values()
        cells = [f"{estimate / took:.1f} ({estimate:.2g} / {took:.2g})" for estimate, took in found]
        print(f"| {path.parent.name} | {' | '.join(cells)} |", flush=True)
    return 0 if paths else 1


if __name__ == "__main__":
    sys.exit(main())
