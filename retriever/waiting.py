"""Why no version is served, one text for calls, probes and GetStatus; and what else probes say."""

from __future__ import annotations

from typing import NamedTuple

from retriever.control import ServiceState

_DOING = {
    "VERIFYING": "its files are being read and checked",
    "VERIFIED": "the workers are about to open it",
    "PREPARING": "the workers open it",
}
# The parent's loop turns every second, whatever happens.
_LONGEST_TURN_SECONDS = 10.0


class Waiting(NamedTuple):
    """Why no version is served, and whether that passes by itself, since one is being loaded."""

    reason: str
    passes: bool


def waiting_for(fleet: ServiceState | None, *, now: float) -> Waiting:
    """Why a service has no version that serves, by time.monotonic(); it has no state at first."""
    if fleet is not None and (loading := fleet.loading) is not None:
        seconds = max(0.0, now - loading.since)
        reason = f"version {loading.version} is being loaded, {seconds:.0f} s so far: "
        reason += _DOING.get(loading.step, "it isn't ready yet")
        if fleet.label_problem:
            reason += f"; {fleet.label_problem}"
        return Waiting(reason, passes=True)
    if fleet is not None and fleet.label_problem:
        return Waiting(fleet.label_problem, passes=False)
    if fleet is None or not fleet.target:
        return Waiting("the service starts and hasn't looked at the volume yet", passes=True)
    for failed in fleet.failed:
        if failed.version == fleet.target:
            names = f"label {fleet.label} names" if fleet.label else "the service is pinned to"
            reason = f"version {failed.version}, which {names}, can't be served: {failed.reason}"
            return Waiting(reason, passes=False)
    return Waiting(f"version {fleet.target} is about to be loaded", passes=True)


def not_live(*, silent_seconds: float, stopping: str | None) -> str | None:
    """Why the service should be restarted, None when it shouldn't.

    Args:
        silent_seconds: since the parent's loop last turned.
        stopping: why the service stops, None while it doesn't.
    """
    # At the end nothing happens every second any more, and there is a deadline of its own.
    if stopping is not None or silent_seconds < _LONGEST_TURN_SECONDS:
        return None
    return f"the parent has been stuck for {silent_seconds:.0f} s"


def not_ready(fleet: ServiceState | None, *, stopping: str | None, now: float) -> str | None:
    """Why no calls should be sent here, None when they may; arguments as of the functions above."""
    if stopping is not None:
        return f"{stopping}: draining"
    if fleet is None or not fleet.version:
        return f"no version is served: {waiting_for(fleet, now=now).reason}"
    if not any(worker.state == "running" and worker.version for worker in fleet.workers):
        return "no worker takes calls"
    return None
