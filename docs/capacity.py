"""Estimate the machines, memory and network that a fleet of retrievers needs.

    python docs/capacity.py --users 1e6 --items 5e5 --rate 200

docs/explanation/scaling.md describes the cost model, and names the command that measured each
coefficient. The measurements have at most a million items and users. Larger numbers are extrapolated.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated

from lightfm_retriever.hosting import options, terminal
from lightfm_retriever.hosting.errors import UsageError
from lightfm_retriever.hosting.options import Option
from lightfm_retriever.hosting.settings import failures, option_flags
from lightfm_retriever.hosting.settings.parser import Parser

# A call's CPU time in microseconds: a constant, and a factor of the root of the items.
CALL = (320.0, 0.14)
BATCHED = (115.0, 0.04)
# Bytes of a version's files, with 64 components and 19 seen items a user. An item has no title, but
# two attributes and both indexes.
USER_BYTES = 345.0
ITEM_BYTES = {"annoy": 1225.0, "faiss": 535.0}
WORKER_BYTES, PARENT_BYTES = 43e6, 27e6
# The kernel, its services, and the other programs of a machine. This is a guess, not a measurement.
OTHER_BYTES = 2e9
# Bytes a second of an idle retriever: fetched (and hashed) from a store, then verified and prepared.
FETCHED, VERIFIED = 265e6, 1.3e9
# gRPC's request and response of ten items with short ids, and the headers of four packets.
CALL_BYTES, BATCHED_BYTES = 550.0, 170.0


above_0 = partial(Option, gt=0, lt=math.inf)


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The load of a fleet, and the machines to choose from."""

    users: Annotated[float, above_0("users of the catalogue")]
    items: Annotated[float, above_0("items of the catalogue")]
    rate: Annotated[float, above_0("recommendations a second at the peak, of ten items each")]
    backend: Annotated[str, Option("kind of index", choices=tuple(ITEM_BYTES))] = "annoy"
    cores: Annotated[int, above_0("cores of a machine, with one worker each")] = 4
    memory_gb: Annotated[float, above_0("memory of a machine, in GB")] = 16.0
    network_gbit: Annotated[float, above_0("network of a machine, in Gbit/s")] = 25.0
    store_gbit: Annotated[float, above_0("Gbit/s that an object store sends to all machines")] = 100.0
    utilization: Annotated[float, Option("highest share of core time that calls use", gt=0, le=1)] = 0.6
    batched: Annotated[bool, Option("recommend in batches of 64")] = False


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The fleet for a demand; times in seconds.

    Attributes:
        version_gb: the files of one version.
        call_microseconds: core time of one recommendation.
        cores, machines: for the rate, at least one each, without a spare machine.
        memory_gb: the memory that one machine needs: the sum of the next three.
        versions_gb: the files of two versions, which a reload keeps in the page cache.
        workers_gb: the private memory of a machine's workers and of their parent.
        other_gb: an allowance for the operating system and other programs.
        fits: whether the machine has that much memory.
        calls_gbit: network that calls use, over all machines.
        moved_tb: bytes that a publication moves to all machines if each of its files changed.
        store_seconds: time that the store takes to send these.
        machine_seconds: time that one machine takes to fetch its copy.
        verify_seconds: time that the machine takes to verify the copy and serve it.
        change_seconds: from the label's move until the last machine serves, if all begin at once.
        busy: share of a machine's core time that one publication an hour takes.
    """

    version_gb: float
    call_microseconds: float
    cores: int
    machines: int
    memory_gb: float
    versions_gb: float
    workers_gb: float
    other_gb: float
    fits: bool
    calls_gbit: float
    moved_tb: float
    store_seconds: float
    machine_seconds: float
    verify_seconds: float
    change_seconds: float
    busy: float


def fleet_for(demand: Demand) -> Fleet:
    """Estimate the fleet for a demand."""
    version = demand.users * USER_BYTES + demand.items * ITEM_BYTES[demand.backend]
    own, by_items = BATCHED if demand.batched else CALL
    call = own + by_items * math.sqrt(demand.items)
    cores = max(1, math.ceil(demand.rate * call / 1e6 / demand.utilization))
    machines = math.ceil(cores / demand.cores)
    workers = demand.cores * WORKER_BYTES + PARENT_BYTES
    memory = 2 * version + workers + OTHER_BYTES
    store = machines * version / _bytes(demand.store_gbit)
    machine = version / min(_bytes(demand.network_gbit), FETCHED)
    # More cores don't make this faster: one process verifies a version, with four threads.
    verify = version / VERIFIED
    return Fleet(
        version_gb=version / 1e9,
        call_microseconds=call,
        cores=cores,
        machines=machines,
        memory_gb=memory / 1e9,
        versions_gb=2 * version / 1e9,
        workers_gb=workers / 1e9,
        other_gb=OTHER_BYTES / 1e9,
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


def assumed(demand: Demand) -> str:
    """Name the load and the machine that a fleet is for."""
    calls = "recommendations a second" + (", in batches of 64" if demand.batched else "")
    return (
        f"{demand.users:,.0f} users, {demand.items:,.0f} items, {demand.rate:,.10g} {calls}\n"
        f"{demand.backend} indexes; machines of {demand.cores} cores and {demand.memory_gb:,g} GB, "
        f"at most {demand.utilization:.0%} busy"
    )


def table(fleet: Fleet) -> list[tuple[str, str]]:
    """Describe a fleet in rows of a name and a figure."""
    return [
        ("files of a version", f"{fleet.version_gb:,.1f} GB"),
        ("a recommendation", f"{fleet.call_microseconds:,.0f} µs of a core"),
        ("cores", f"{fleet.cores:,}"),
        ("machines", f"{fleet.machines:,}"),
        (
            "memory of each machine",
            f"{fleet.memory_gb:,.1f} GB{'' if fleet.fits else ', more than it has'}",
        ),
        ("of that: files of two versions", f"{fleet.versions_gb:,.1f} GB"),
        ("of that: workers and their parent", f"{fleet.workers_gb:,.1f} GB"),
        ("of that: allowance for the system", f"{fleet.other_gb:,.1f} GB"),
        ("network for calls, all machines", f"{fleet.calls_gbit * 1e3:,.0f} Mbit/s"),
        ("moved by a publication, all machines", f"{fleet.moved_tb * 1e3:,.1f} GB"),
        ("the store sends that in", f"{fleet.store_seconds:,.0f} s"),
        ("one machine fetches its copy in", f"{fleet.machine_seconds:,.0f} s"),
        ("and verifies and prepares it in", f"{fleet.verify_seconds:,.0f} s"),
        ("from the label's move until all serve", f"{fleet.change_seconds:,.0f} s"),
        ("core time of one publication an hour", f"{fleet.busy:.2%}"),
    ]


def _parser() -> Parser:
    parser = Parser(prog="python docs/capacity.py", description=(__doc__ or "").partition("\n")[0])
    for one in options.declared(Demand).values():
        if one.name in ("users", "items", "rate"):
            option_flags.add_one(parser, one, required=True, default=argparse.SUPPRESS)
        else:
            option_flags.add_one(parser, one)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _wrong(flag: str, value: float, expected: str) -> UsageError:
    return UsageError(f"{flag} is {value:g}, but should be {expected}", "python docs/capacity.py")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a fleet; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    try:
        found = vars(parser.parse_args(given))
        demand = option_flags.made(Demand, found)
        options.check(demand, _wrong)
    except UsageError as error:
        return failures.tell(error, parser.prog, given, argparse.Namespace(), is_mistake=True)
    fleet = fleet_for(demand)
    if found["json"]:
        terminal.print_json({**asdict(demand), **asdict(fleet)})
        return 0
    print(assumed(demand), end="\n\n")
    for name, figure in table(fleet):
        print(f"{name:<40} {figure}")
    return 0


if __name__ == "__main__":
    sys.exit(terminal.run(main))
