"""Split public data sets, and measure tuned simple models on them: JSON, and a table in Markdown.

    python -m tests.benchmarks.quality.independent --data DIR --output DIR
    python -m tests.benchmarks.quality.independent --data DIR --output DIR --sets ml-100k --trials 3

DIR has one folder for each set; the table in `sets.py` has the names of their files. A set that is
missing is said and skipped. This module imports nothing of the project but its own folder.

Protocol "random": of each user with at least 5 positives, 20 % at random are tested, and the same of
the rest is for validation. "temporal", for sets with times: the newest 20 % of all positives are
tested, and the newest 20 % of the rest are for validation. Settings are chosen by NDCG@10 of at most
2,000 users on the validation part. Then the model is fitted to both parts and tested. Seen items are
excluded. The mean is over the users with a test item that the training part has. For each set, OUTPUT
has train.csv, test.csv and independent.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

# Before NumPy: implicit and this comparison use one thread.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from tests.benchmarks.quality import tuning  # noqa: E402 - after the number of threads
from tests.benchmarks.quality.events import SEED, Events  # noqa: E402
from tests.benchmarks.quality.sets import BY_NAME, SETS, DataSet, MissingSetError, shape  # noqa: E402

PROTOCOLS = ("random", "temporal")
RESULT = "independent.json"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measured(
    data_set: DataSet, options: argparse.Namespace, families: list[str]
) -> dict[str, object] | None:
    """Split a set, write its parts, and tune and test the families; None if the set is missing."""
    try:
        events = data_set.events(options.data, _say)
    except MissingSetError as error:
        _say(f"{data_set.name}: skipped. {error}")
        return None
    facts = shape(events)
    if options.protocol == "temporal" and not facts["timed"]:
        _say(f"{data_set.name}: skipped. It has no times.")
        return None
    train, test = events.hold_out(options.protocol, seed=SEED)
    learn, validation = train.hold_out(options.protocol, seed=SEED + 1)
    folder = options.output / options.protocol / data_set.name
    folder.mkdir(parents=True, exist_ok=True)
    named: dict[str, Events] = {"train": train, "test": test}
    for name, part in {**named, "learn": learn, "validation": validation}.items():
        part.write(folder / f"{name}.csv")
    parts = (learn.matrix(), validation.matrix(), train.matrix(), test.matrix())
    models = {}
    path = folder / RESULT
    if path.is_file() and not options.again:
        models = json.loads(path.read_text())["models"]
    for family in families:
        if family in models:
            continue
        began = time.perf_counter()
        trials = tuning.trials_of(family, len(train.user), options.trials)
        found = tuning.tune(family, parts, counts=data_set.counts, trials=trials)
        models[family] = {**asdict(found), "searched": time.perf_counter() - began}
        _say(
            f"{data_set.name} {family}: NDCG@10 {found.test.ndcg:.4f} by {found.settings},"
            f" {models[family]['searched']:.0f} s"
        )
        result = {"set": data_set.name, "protocol": options.protocol, "shape": facts, "models": models}
        path.write_text(json.dumps(result, indent=1))
    return json.loads(path.read_text())


def markdown(results: list[dict[str, object]], families: list[str]) -> str:
    """Return a table of the NDCG@10 of each family on each set, the best in bold."""
    lines = [
        f"| set | users | items | pairs | test users | {' | '.join(families)} |",
        f"|---|{'---:|' * (4 + len(families))}",
    ]
    for result in results:
        facts, models = result["shape"], result["models"]
        figures = [models[family]["test"]["ndcg"] for family in families]
        cells = [f"**{own:.4f}**" if own == max(figures) else f"{own:.4f}" for own in figures]
        users = models[families[0]]["test"]["users"]
        counts = [facts[name] for name in ("users", "items", "interactions")]
        numbers = " | ".join(f"{number:,}" for number in (*counts, users))
        lines.append(f"| {result['set']} | {numbers} | {' | '.join(cells)} |")
    return "\n".join(lines)


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the flags."""
    made = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality.independent",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--data", type=Path, required=True, help="folder of the sets' folders")
    made.add_argument("--output", type=Path, required=True, help="folder of splits and results")
    made.add_argument("--sets", nargs="+", choices=sorted(BY_NAME), default=[one.name for one in SETS])
    made.add_argument("--models", nargs="+", choices=[*tuning.SPACES], default=[*tuning.SPACES])
    made.add_argument("--protocol", choices=PROTOCOLS, default="random")
    made.add_argument("--trials", type=int, help="the most settings of each model to try")
    made.add_argument("--again", action="store_true", help="measure again what OUTPUT has already")
    return made


def main() -> int:
    """Measure the sets one after the other."""
    options = arguments().parse_args()
    results = [measured(BY_NAME[name], options, options.models) for name in options.sets]
    print(markdown([one for one in results if one], options.models))
    return 0 if any(results) else 1


if __name__ == "__main__":
    sys.exit(main())
