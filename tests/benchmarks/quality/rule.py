"""Compare ways to choose LightFM's settings, each set by the results of the others.

    python -m tests.benchmarks.quality.rule --study FILE

FILE is the output of `study`. The quality of a setting is its NDCG@10 with the better of trained and
folded-in vectors, since a publication serves the better. It is given as a share of the best of all
settings on that set. "fixed" are the fixed defaults with 20 epochs. "one for all" is the setting, with
its number of epochs, that has the best mean share on the other sets. "by the shape" weights the other
sets by how near their shapes are: users, items and pairs for each item, on a scale of logarithms.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.quality.study import EPOCHS, FIXED, FIXED_EPOCHS

Key = tuple[Any, ...]
FIXED_KEY = (*asdict(FIXED).values(), FIXED_EPOCHS)


def shares(results: dict[str, Any], what: tuple[str, ...] = ("ndcg", "folded")) -> dict[str, dict]:
    """Return for each set the share of the best, by setting and epochs, of settings that all tried."""
    found: dict[str, dict[Key, float]] = {}
    for name, one in results.items():
        own = found.setdefault(name, {})
        for tried in one["tried"]:
            rows = {
                row["epochs"]: max(row.get(measure, 0) for measure in what) for row in tried["rows"]
            }
            for epochs in EPOCHS:
                # It was stopped early because it had fallen.
                value = rows.get(epochs, min(rows.values()))
                own[(*tried["setting"].values(), epochs)] = value
    common = set.intersection(*map(set, found.values()))
    made = {}
    for name, own in found.items():
        best = max(own[key] for key in common)
        made[name] = {key: own[key] / best for key in common}
    return made


def distance(one: dict[str, int], other: dict[str, int]) -> float:
    """Return how far two shapes are: squared differences of logarithms."""

    def facts(shape: dict[str, int]) -> list[float]:
        return [
            math.log(shape["users"]),
            math.log(shape["items"]),
            math.log(shape["interactions"] / shape["items"]),
        ]

    return sum((a - b) ** 2 for a, b in zip(facts(one), facts(other), strict=True))


def best_for(name: str, found: dict[str, dict], weights: dict[str, float]) -> Key:
    """Return the setting with the best weighted mean share on the sets but `name`."""
    others = [other for other in found if other != name]

    def mean(key: Key) -> float:
        return sum(weights[other] * found[other][key] for other in others)

    return max(sorted(found[name]), key=mean)


def main() -> int:
    """Print a table, and the settings that win over all sets."""
    made = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality.rule",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--study", type=Path, required=True, help="the output of `study`")
    options = made.parse_args()
    results = json.loads(options.study.read_text())
    found = shares(results)
    print("| set | users | items | pairs | fixed | one for all | by the shape | folded in / trained |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    totals = []
    for name in sorted(found):
        shape = results[name]["shape"]
        near = {
            other: math.exp(-distance(shape, results[other]["shape"]) / 2) + 0.02 for other in found
        }
        keys = [
            FIXED_KEY,
            best_for(name, found, dict.fromkeys(found, 1.0)),
            best_for(name, found, near),
        ]
        totals.append([found[name][key] for key in keys])
        rows = {row["epochs"]: row for row in results[name]["tried"][0]["rows"]}
        row = rows.get(20) or rows[max(rows)]
        ratio = row.get("folded", 0.0) / row["ndcg"]
        counts = " | ".join(f"{shape[key]:,}" for key in ("users", "items", "interactions"))
        cells = " | ".join(f"{share:.0%}" for share in totals[-1])
        print(f"| {name} | {counts} | {cells} | {ratio:.0%} |")
    means = [sum(column) / len(column) for column in zip(*totals, strict=True)]
    print(f"| mean | | | | {' | '.join(f'{mean:.0%}' for mean in means)} | |")
    print()
    ranked = sorted(
        next(iter(found.values())), key=lambda key: -sum(own[key] for own in found.values())
    )
    for key in ranked[:5]:
        mean = sum(own[key] for own in found.values()) / len(found)
        least = min(own[key] for own in found.values())
        print(
            f"{dict(zip([*asdict(FIXED), 'epochs'], key, strict=True))}: {mean:.0%}, least {least:.0%}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
