"""Damages good input in every known way, and looks whether any of it gets past the trainer unseen.

A good version is published, and damaged input is to replace it by the same command. Fine is when the
run fails or warns and names the cause, or when users notice nothing: precision@10 on held-out positives
is at least 90 % of the good version's, and titles, attributes and features are there. Anything else is
a finding, and the exit status 1.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any

from lightfm_retriever.hosting import terminal

# Before numpy is there: such small products aren't worth threads.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from tests.hostile.bench import Bench, memory_folder  # noqa: E402
from tests.hostile.campaign import Campaign, Report, chosen  # noqa: E402
from tests.hostile.damage import KINDS, Case  # noqa: E402
from tests.hostile.judge import OUTCOMES  # noqa: E402
from trainer.__main__ import main as trainer_main  # noqa: E402

_ROW = "{:<38} {:>6}" + " {:>8}" * len(OUTCOMES)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=60, help="each kind is tried once however short"
    )
    parser.add_argument("--seed", type=int, help="of all chance; by default another one each time")
    parser.add_argument(
        "--kind", nargs="+", default=[], metavar="TEXT", help="only kinds whose names hold it"
    )
    parser.add_argument("--case", metavar="JSON", help="try this one case, and print all that it says")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the files of findings go")
    parser.add_argument("--json", action="store_true", help="print the result for machines")
    parser.add_argument("--list", action="store_true", help="list the kinds of damage")
    options = parser.parse_args(arguments)
    kinds = chosen(options.kind)
    if options.list or not kinds:
        print("\n".join(KINDS))
        return 0 if kinds else 2
    with memory_folder() as folder:
        bench = Bench(folder, trainer_main, now=time.time())
        if options.case is not None:
            return _repeat(bench, Case.parse(options.case), options.keep)
        seed = options.seed if options.seed is not None else SystemRandom().randrange(2**32)
        keep = options.keep or Path(tempfile.mkdtemp(prefix="hostile-findings-"))
        tell = partial(print, file=sys.stderr if options.json else sys.stdout, flush=True)
        tell(f"seed {seed}, {len(kinds)} kinds of damage")
        campaign = Campaign(bench, kinds=kinds, seed=seed, keep=keep, tell=tell)
        report = campaign.run(options.seconds)
    if options.json:
        print(json.dumps(_for_machines(report, seed), ensure_ascii=False))
    else:
        _print(report)
    if report.findings:
        tell(f"{len(report.findings)} findings; their files are in {keep}")
    elif options.keep is None:
        keep.rmdir()
    return 1 if report.findings else 0


def _repeat(bench: Bench, case: Case, keep: Path | None) -> int:
    tried = bench.try_case(case, keep=keep)
    print(" ".join(tried.command))
    print(tried.said, end="")
    verdict = tried.verdict
    print(f"{verdict.outcome}: {verdict.why}" + (f": {verdict.detail}" if verdict.detail else ""))
    return 1 if verdict.outcome == "finding" else 0


def _print(report: Report) -> None:
    print(_ROW.format("kind of damage", "cases", *OUTCOMES))
    for name, own in report.outcomes.items():
        print(_ROW.format(name, own.total(), *(own[outcome] or "" for outcome in OUTCOMES)))
    rate = 60 * report.cases / report.seconds if report.seconds else 0
    print(f"{report.cases} cases in {report.seconds:.0f} s, {rate:.0f} a minute")


def _for_machines(report: Report, seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "cases": report.cases,
        "seconds": report.seconds,
        "outcomes": {name: dict(own) for name, own in report.outcomes.items()},
        "findings": [
            {
                "kinds": kinds,
                "why": why,
                "detail": tried.verdict.detail,
                "case": tried.case.text(),
                "command": list(tried.command),
                "said": tried.said,
            }
            for (kinds, why), tried in report.findings.items()
        ],
    }


if __name__ == "__main__":
    sys.exit(terminal.run(lambda: main(sys.argv[1:])))
