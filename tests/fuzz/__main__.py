"""Feeds every parser with what is hostile, for so many seconds; exit status 1 for a new finding.

A finding is an exception that isn't one of ours, an answer that breaks a promise, INTERNAL, a crash of
the process, or a hang. Those that are known and can't be mended here are in targets.py, with reasons.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from lightfm_retriever.hosting import terminal

# Before numpy is there: threads don't outlive a fork, and one executes at a time.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from tests.fuzz import runner  # noqa: E402
from tests.fuzz.runner import Report  # noqa: E402
from tests.fuzz.targets import TARGETS, known  # noqa: E402

_ROW = "{:<14} {:>10} {:>9} {:>8} {:>8} {:>6} {:>4}"


def main(arguments: list[str]) -> int:
    names = [target.name for target in TARGETS]
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--seed", type=int, help="of all chance; by default another one each time")
    parser.add_argument("--targets", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument(
        "--execution", type=int, help="repeat this one of one target, without a process around it"
    )
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else SystemRandom().randrange(2**32)
    targets = [target for target in TARGETS if target.name in options.targets]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        if options.execution is not None:
            runner.repeat(targets[0], Path(folder), seed=seed, number=options.execution)
            return 0
        print(f"seed {seed}")
        print(_ROW.format("target", "executions", "a second", "outcomes", "crashes", "known", "new"))
        new = 0
        total = sum(target.share for target in targets)
        for target in targets:
            seconds = options.seconds * target.share / total
            report = runner.run(target, Path(folder), seconds=seconds, seed=seed)
            new += _tell(target.name, report, seed)
    return 1 if new else 0


def _tell(target: str, report: Report, seed: int) -> int:
    new = {key: own for key, own in report.findings.items() if known(target, key) is None}
    rate = report.executions / report.seconds if report.seconds else 0
    figures = [len(report.outcomes), report.crashes, len(report.findings) - len(new), len(new)]
    print(_ROW.format(target, f"{report.executions:,}", f"{rate:,.0f}", *figures), flush=True)
    for key, (number, text) in new.items():
        print(f"  NEW {key}\n      --targets {target} --seed {seed} --execution {number}")
        print("".join(f"      | {line}\n" for line in text.splitlines()[-25:]), end="", flush=True)
    for key in sorted(report.findings.keys() - new.keys()):
        print(f"  known {key}", flush=True)
    return len(new)


if __name__ == "__main__":
    sys.exit(terminal.run(lambda: main(sys.argv[1:])))
