"""Call three retrievers behind Envoy all the time, while each is killed and cut off from its volume.

Each retriever has its own cache, and its own connection to the object store. `make fleet` runs it for
about two minutes. It prints each fault and its result. The exit status is 1 if a promise was broken.
"""

import contextlib
import os
import sys
from pathlib import Path
from unittest import mock

from lightfm_retriever.hosting import terminal
from lightfm_retriever.remote.location import parse_location
from lightfm_retriever.remote.volume import open_volume
from tests import fault_proxy, seaweedfs
from tests.envoy import Envoy
from tests.load import outcome
from tests.load.callers import Callers, Plan
from tests.load.fleet_campaign import FLAGS, FULL, SHORT, WORKERS, FleetCampaign
from tests.load.fleet_judge import judge
from tests.load.fleet_member import VOLUME, Member

NAMES = ("a", "b", "c")
# The timeout is longer than Envoy waits for a retriever that hangs, before it tries another one.
PLAN = Plan(plain=8, careful=4, calls_per_second=12, timeout_seconds=10)


def run(directory: Path, short: bool) -> outcome.Came:
    """Start the fleet and the callers. Run the campaign, stop, and give the verdicts."""
    program = seaweedfs.program()
    if program is None:
        raise RuntimeError(seaweedfs.MISSING)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(seaweedfs.server(program))
        stack.enter_context(mock.patch.dict(os.environ, server.environment))
        members = []
        for name in NAMES:
            proxy = stack.enter_context(fault_proxy.proxy(server.port))
            members.append(stack.enter_context(Member(name, server, proxy, directory, FLAGS)))
        for member in members:
            member.start()
        envoy = stack.enter_context(Envoy([member.address for member in members], directory))
        # The publisher's volume. Its network never fails.
        volume = open_volume(parse_location(server.url(VOLUME)), directory / "made")
        campaign = FleetCampaign(members, volume, envoy, SHORT if short else FULL)
        campaign.begin()
        try:
            with Callers(envoy.target, PLAN, directory / "calls") as callers:
                campaign.run()
                calls = callers.stop()
        except BaseException:
            for member in members:
                print(f"---- {member.name}\n{member.service.log[-4000:]}", file=sys.stderr)
            raise
    return calls, campaign.seen, judge(calls, campaign.seen)


def main() -> int:
    """Run the campaign. Returns the exit status."""
    return outcome.command(
        __spec__.name,
        __doc__,
        run,
        short="run a part of it, in about 30 seconds",
        setting=f"{len(NAMES)} retrievers of {WORKERS} workers behind Envoy; {PLAN}",
    )


if __name__ == "__main__":
    sys.exit(terminal.run(main))
