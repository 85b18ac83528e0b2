"""How many machines a fleet takes, by the cost model of docs/explanation/scaling.md:

    python docs/capacity.py --users 1e8 --items 1e8 --rate 1e6

Every coefficient was measured, by commands that docs/explanation/scaling.md names, at a million items
and users or fewer; beyond that it is extrapolated. What it can't know is said there too.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated

from lightfm_retriever.hosting import options, terminal
from lightfm_retriever.hosting.options import Option
from lightfm_retriever.hosting.settings import option_flags

# A call's CPU time in microseconds; see "The model" in docs/explanation/scaling.md.
CALL = (320.0, 0.14)
BATCHED = (115.0, 0.04)
# Bytes, with 64 components, 19 seen items a user and both indexes by FAISS.
USER_BYTES, ITEM_BYTES = 345.0, 535.0
WORKER_BYTES, PARENT_BYTES = 43e6, 27e6
# The kernel, Python itself, and what else a machine runs.
OTHER_BYTES = 2e9
# Bytes a second of an idle retriever: fetched (and hashed) from a store, then verified and prepared.
FETCHED, VERIFIED = 265e6, 1.3e9
# gRPC's request and response of ten items with short ids, and the headers of four packets.
CALL_BYTES, BATCHED_BYTES = 550.0, 170.0


above_0 = partial(Option, gt=0, lt=math.inf)


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What is asked of the fleet."""

    users: Annotated[float, above_0("of the catalogue")] = 1e8
    items: Annotated[float, above_0("of the catalogue")] = 1e8
    rate: Annotated[float, above_0("recommendations a second, of ten items each")] = 1e6
    cores: Annotated[int, above_0("of a machine")] = 32
    memory_gb: Annotated[float, above_0("of a machine")] = 256.0
    network_gbit: Annotated[float, above_0("of a machine, Gbit/s")] = 25.0
    store_gbit: Annotated[float, above_0("what the store gives to all together, Gbit/s")] = 100.0
    utilization: Annotated[float, Option("how busy the cores may be", gt=0, le=1)] = 0.6
    batched: Annotated[bool, Option("recommendations in batches of 64")] = False


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What that takes; times in seconds.

    Attributes:
        version_gb: of the files of one version.
        call_microseconds: of a core's time for one recommendation.
        cores, machines: for the rate; a spare machine isn't counted.
        memory_gb: that one machine needs, with two versions in the page cache during a reload.
        fits: whether the machine has that much.
        calls_gbit: the network that the calls take, of all machines together.
        moved_tb: that a publication moves to all machines, when every file of it changed.
        store_seconds: until the store has given that to all, at its own pace.
        machine_seconds: until one machine has fetched it, by its network or its cores.
        verify_seconds: until it has read it once more and serves it.
        change_seconds: from the label's move until the last machine serves, all beginning at once.
        busy: share of a machine's core time that one publication an hour takes.
    """

    version_gb: float
    call_microseconds: float
    cores: float
    machines: int
    memory_gb: float
    fits: bool
    calls_gbit: float
    moved_tb: float
    store_seconds: float
    machine_seconds: float
    verify_seconds: float
    change_seconds: float
    busy: float


def fleet_for(demand: Demand) -> Fleet:
    """Work out the fleet."""
    version = demand.users * USER_BYTES + demand.items * ITEM_BYTES
    own, by_items = BATCHED if demand.batched else CALL
    call = own + by_items * math.sqrt(demand.items)
    cores = demand.rate * call / 1e6 / demand.utilization
    machines = max(1, math.ceil(cores / demand.cores))
    memory = 2 * version + demand.cores * WORKER_BYTES + PARENT_BYTES + OTHER_BYTES
    store = machines * version / _bytes(demand.store_gbit)
    machine = version / min(_bytes(demand.network_gbit), FETCHED)
    # As many processes as cores don't verify it faster: one does, by four threads.
    verify = version / VERIFIED
    return Fleet(
        version_gb=version / 1e9,
        call_microseconds=call,
        cores=cores,
        machines=machines,
        memory_gb=memory / 1e9,
        fits=memory <= demand.memory_gb * 1e9,
        calls_gbit=demand.rate * (BATCHED_BYTES if demand.batched else CALL_BYTES) * 8 / 1e9,
        moved_tb=machines * version / 1e12,
        store_seconds=store,
        machine_seconds=machine,
        verify_seconds=verify,
        change_seconds=max(store, machine) + verify,
        busy=2 * (machine + verify) / 3600 / demand.cores,
    )


def _bytes(gbit: float) -> float:
    return gbit * 1e9 / 8


def table(fleet: Fleet) -> list[tuple[str, str]]:
    """The fleet in words and figures."""
    return [
        ("files of a version", f"{fleet.version_gb:,.1f} GB"),
        ("a recommendation", f"{fleet.call_microseconds:,.0f} µs of a core"),
        ("cores", f"{fleet.cores:,.0f}"),
        ("machines", f"{fleet.machines:,}"),
        ("memory of each", f"{fleet.memory_gb:,.0f} GB{'' if fleet.fits else ', more than it has'}"),
        ("network for calls, all together", f"{fleet.calls_gbit:,.1f} Gbit/s"),
        ("moved at a publication, all together", f"{fleet.moved_tb:,.2f} TB"),
        ("the store takes for that", f"{fleet.store_seconds:,.0f} s"),
        ("one machine takes to fetch its copy", f"{fleet.machine_seconds:,.0f} s"),
        ("and to verify and prepare it", f"{fleet.verify_seconds:,.0f} s"),
        ("from the label's move until all serve", f"{fleet.change_seconds:,.0f} s"),
        ("core time of one publication an hour", f"{fleet.busy:.2%}"),
    ]


class _Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    pass


def main(arguments: list[str] | None = None) -> int:
    """Print a fleet; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python docs/capacity.py",
        description=__doc__,
        formatter_class=_Help,
    )
    option_flags.add(parser, Demand)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    given = vars(parser.parse_args(arguments))
    demand = option_flags.made(Demand, given)
    options.check(
        demand,
        lambda flag, value, expected: parser.error(f"{flag} is {value:g}, but should be {expected}"),
    )
    fleet = fleet_for(demand)
    if given["json"]:
        print(json.dumps({**asdict(demand), **asdict(fleet)}, indent=2))
    else:
        for what, figure in table(fleet):
            print(f"{what:<40} {figure}")
    return 0


if __name__ == "__main__":
    sys.exit(terminal.run(main))
