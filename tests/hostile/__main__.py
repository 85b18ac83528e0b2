"""Damages good input in every known way, and looks whether any of it gets past the trainer unseen.

A good version is published, and damaged input is to replace it by the same command. Fine is when the
run fails or warns and names the cause, or when users notice nothing: precision@10 on held-out positives
is at least 90 % of the good version's, and titles, attributes and features are there. Anything else is
a finding, and the exit status 1.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from random import SystemRandom

from lightfm_retriever.hosting import terminal

# Before numpy is there: such small products aren't worth threads.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from tests.hostile.bench import Bench, memory_folder  # noqa: E402
from tests.hostile.campaign import Campaign  # noqa: E402
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
    parser.add_argument("--kind", default="", metavar="TEXT", help="only kinds whose names hold it")
    parser.add_argument("--case", metavar="JSON", help="try this one case, and print all that it says")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the files of findings go")
    options = parser.parse_args(arguments)
    kinds = [own for own in KINDS.values() if options.kind in own.name]
    if not kinds:
        parser.error(f"the kinds are: {', '.join(KINDS)}")
    with memory_folder() as folder:
        bench = Bench(folder, trainer_main, now=time.time())
        if options.case is not None:
            return _repeat(bench, Case.parse(options.case), options.keep)
        seed = options.seed if options.seed is not None else SystemRandom().randrange(2**32)
        print(f"seed {seed}, {len(kinds)} kinds of damage", flush=True)
        campaign = Campaign(bench, kinds, seed=seed, keep=options.keep)
        campaign.run(options.seconds)
    print(_ROW.format("kind of damage", "cases", *OUTCOMES))
    for name, own in campaign.outcomes.items():
        print(_ROW.format(name, own.total(), *(own[outcome] or "" for outcome in OUTCOMES)))
    print(f"{campaign.cases} cases, {len(campaign.findings)} findings")
    return 1 if campaign.findings else 0


def _repeat(bench: Bench, case: Case, keep: Path | None) -> int:
    tried = bench.try_case(case, keep=keep)
    verdict = tried.verdict
    print(*tried.command)
    print(f"{tried.said}{verdict.outcome}: {verdict.why}: {verdict.detail}")
    return 1 if verdict.outcome == "finding" else 0


if __name__ == "__main__":
    sys.exit(terminal.run(lambda: main(sys.argv[1:])))
