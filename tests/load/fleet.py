"""Three retrievers of one volume behind Envoy are called all the time while each is killed and cut off.

Each has a cache and a way to the object store of its own. `make fleet` runs it for about two minutes.
It prints what was done and what came of it, and exits with 1 unless every promise was kept.
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from lightfm_retriever.hosting import terminal
from tests import fault_proxy, seaweedfs
from tests.envoy import Envoy
from tests.load import fleet_campaign, outcome
from tests.load.callers import Callers, Plan
from tests.load.campaign import Observations
from tests.load.fleet_campaign import FLAGS, WORKERS, FleetCampaign, Scale
from tests.load.fleet_judge import judge
from tests.load.fleet_member import Member
from tests.load.fleet_volume import Link, Origin, environment
from tests.load.judge import PhaseRow, Verdict, phase_rows

NAMES = ("a", "b", "c")
PLAIN = 8
CAREFUL = 4
CALLS_PER_SECOND = 12.0
# Longer than Envoy waits for one that hangs before it asks another one.
TIMEOUT_SECONDS = 10.0


def main() -> int:
    """Run the campaign; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.load.fleet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="less of it, in about 30 seconds")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    scale = fleet_campaign.SHORT if options.short else fleet_campaign.FULL
    with tempfile.TemporaryDirectory() as directory:
        rows, verdicts, seen = run(Path(directory), scale)
    if options.json:
        outcome.print_json(rows, verdicts, seen)
    else:
        outcome.print_tables(
            f"{len(NAMES)} retrievers of {WORKERS} workers behind Envoy; {PLAIN} plain and {CAREFUL} "
            f"careful callers with {CALLS_PER_SECOND:.0f} calls a second each",
            rows,
            verdicts,
            seen,
        )
    return 0 if all(verdict.kept is not False for verdict in verdicts) else 1


def run(directory: Path, scale: Scale) -> tuple[list[PhaseRow], list[Verdict], Observations]:
    """Start all of it, do everything, stop, and judge.

    Args:
        directory: for caches, logs, and what the callers saw.
        scale: how much of everything.
    """
    program = seaweedfs.program()
    if program is None:
        raise RuntimeError(seaweedfs.MISSING)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(seaweedfs.server(program))
        stack.enter_context(environment(server.environment))
        members = []
        for name in NAMES:
            proxy = stack.enter_context(fault_proxy.proxy(server.port))
            link = Link(server, proxy, directory / name)
            members.append(stack.enter_context(Member(name, link, directory, FLAGS)))
        for member in members:
            member.start()
        envoy = stack.enter_context(Envoy([member.address for member in members], directory))
        campaign = FleetCampaign(
            members,
            Origin(server, directory / "made"),
            envoy,
            scale,
            lambda text: print(text, file=sys.stderr),
        )
        campaign.begin()
        callers = Callers(
            Plan(envoy.target, PLAIN, CAREFUL, CALLS_PER_SECOND, TIMEOUT_SECONDS), directory / "calls"
        )
        try:
            campaign.run()
            calls = callers.stop()
        except BaseException:
            callers.kill()
            for member in members:
                print(f"---- {member.name}\n{member.log[-4000:]}", file=sys.stderr)
            raise
    return phase_rows(calls, campaign.seen), judge(calls, campaign.seen), campaign.seen


if __name__ == "__main__":
    sys.exit(terminal.run(main))
