"""Train with `lightfm-trainer` on the splits, and compare the publications with other models.

    python -m tests.benchmarks.quality.ours --splits DIR
    python -m tests.benchmarks.quality.ours --splits DIR --name auto --train "--model auto --budget 5m"

DIR is the output of `independent`. For each set, a process trains on train.csv without a split, and
publishes to a temporary volume. Scores are read from the files of the version, and measured as those of
the independent models are. The table has NDCG@10, and its share of the best independent model's.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tests.benchmarks.quality.events import Events, read
from tests.benchmarks.quality.independent import PROTOCOLS, RESULT
from tests.benchmarks.quality.measures import Quality, measure
from tests.benchmarks.quality.published import Published, current, facts_of
from tests.benchmarks.quality.tuning import SPACES


class TrainingError(Exception):
    """The trainer ended with an error."""


def trained(train: Path, volume: Path, flags: list[str]) -> float:
    """Train and publish; returns the seconds.

    Raises:
        TrainingError: with the trainer's error.
    """
    command = [sys.executable, "-m", "trainer", "train", "--interactions", str(train)]
    fixed = ["--split", "none", "--allow-unevaluated", "--backend", "exact", "--volume", str(volume)]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, *fixed, *flags],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NO_COLOR": "1"},
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it printed no reason"]
        raise TrainingError(next((line for line in lines if line.startswith("error")), lines[-1]))
    return time.perf_counter() - began


def compared(folder: Path, flags: list[str]) -> dict[str, object]:
    """Train on a split, and measure the published version."""
    rows, test_rows = read(folder / "train.csv"), read(folder / "test.csv")
    # One order of ids for both parts.
    both = Events.of([*rows, *test_rows], counts=True)
    train, test = (_part(both, part).matrix() for part in (rows, test_rows))
    with tempfile.TemporaryDirectory() as temporary:
        volume = Path(temporary) / "volume"
        seconds = trained(folder / "train.csv", volume, flags)
        version = current(volume)
        published = Published(version, both.users, both.items)
        found = measure(published.scores, train, test)
        facts = facts_of(version)
    return {**facts, "seconds": round(seconds, 1), "test": asdict(found)}


def _part(both: Events, rows: list[tuple[str, str, float, float]]) -> Events:
    """Return the events of these rows."""
    pairs = {row[:2] for row in rows}
    names = zip(both.user, both.item, strict=True)
    return both.only(np.array([(both.users[u], both.items[i]) in pairs for u, i in names]))


def markdown(results: dict[str, dict[str, dict[str, object]]], names: list[str]) -> str:
    """Return a table of the shapes, and the NDCG@10 of all models, the best independent one in bold.

    A cell of ours has the family, its NDCG@10, this as a share of the best, and the seconds.
    """
    families = list(SPACES)
    lines = [
        f"| set | users | items | pairs | {' | '.join([*families, *names])} |",
        f"|---|{'---:|' * (3 + len(families) + len(names))}",
    ]
    for data_set, found in sorted(results.items(), key=lambda one: one[1]["shape"]["interactions"]):
        others = {name: one["test"]["ndcg"] for name, one in found["models"].items()}
        best = max(others.values())
        cells = [f"{found['shape'][name]:,}" for name in ("users", "items", "interactions")]
        for name in families:
            cell = f"{others[name]:.4f}" if name in others else "-"
            cells.append(f"**{cell}**" if others.get(name) == best else cell)
        for own in map(found["ours"].get, names):
            share = own["test"]["ndcg"] / best if own else 0
            cells.append(
                f"{own['model']} {own['test']['ndcg']:.4f}, {share:.1%}, {own['seconds']:.0f} s"
                if own
                else "-"
            )
        lines.append(f"| {data_set} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Compare the sets one after the other."""
    made = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality.ours",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--splits", type=Path, required=True, help="the output of `independent`")
    made.add_argument("--protocol", choices=PROTOCOLS, default="random")
    made.add_argument("--sets", nargs="+", help="only these sets")
    made.add_argument("--name", default="default", help="a name for these flags in the table")
    made.add_argument("--train", default="", help="more flags of `lightfm-trainer train`")
    made.add_argument("--again", action="store_true", help="measure again what DIR has already")
    options = made.parse_args()
    results: dict[str, dict[str, dict[str, object]]] = {}
    for path in sorted((options.splits / options.protocol).glob(f"*/{RESULT}")):
        folder = path.parent
        if options.sets and folder.name not in options.sets:
            continue
        kept = folder / "ours.json"
        ours = json.loads(kept.read_text()) if kept.is_file() else {}
        if options.name not in ours or options.again:
            try:
                ours[options.name] = compared(folder, shlex.split(options.train))
            except TrainingError as error:
                print(f"{folder.name}: {error}", file=sys.stderr)
                continue
            kept.write_text(json.dumps(ours, indent=1))
            test = Quality(**ours[options.name]["test"])
            print(f"{folder.name}: NDCG@10 {test.ndcg:.4f}", file=sys.stderr, flush=True)
        results[folder.name] = {**json.loads(path.read_text()), "ours": ours}
    names = list(dict.fromkeys(name for one in results.values() for name in one["ours"]))
    print(markdown(results, names))
    return 0 if results else 1


if __name__ == "__main__":
    sys.exit(main())
