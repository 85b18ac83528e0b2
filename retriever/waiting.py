"""The reason why no version is served, for calls, probes and GetStatus; and the results of probes."""

from __future__ import annotations

from typing import NamedTuple

from retriever.control import ServiceState

_DOING = {
    "VERIFYING": "its files are being verified",
    "VERIFIED": "the workers are about to open it",
    "PREPARING": "the workers are opening it",
}
# The parent's loop runs at least once a second.
_LONGEST_TURN_SECONDS = 10.0


class Waiting(NamedTuple):
    """Why no version is served. `passes` says whether the service is about to load one."""

    reason: str
    passes: bool


def waiting_for(fleet: ServiceState | None, *, now: float) -> Waiting:
    """Return why a service serves no version.

    Args:
        fleet: the state of the service; None before the parent has sent one.
        now: the time by time.monotonic().
    """
    if fleet is not None and (loading := fleet.loading) is not None:
        seconds = max(0.0, now - loading.since)
        reason = f"version {loading.version} has been loading for {seconds:.0f} s: "
        reason += _DOING.get(loading.step, "it isn't ready yet")
        if fleet.label_problem:
            reason += f"; {fleet.label_problem}"
        return Waiting(reason, passes=True)
    if fleet is not None and fleet.label_problem:
        return Waiting(fleet.label_problem, passes=False)
    if fleet is None or not fleet.target:
        return Waiting("the service is starting and hasn't read the volume yet", passes=True)
    for failed in fleet.failed:
        if failed.version == fleet.target:
            names = f"label {fleet.label} names" if fleet.label else "the service is pinned to"
            reason = f"version {failed.version}, which {names}, can't be served: {failed.reason}"
            return Waiting(reason, passes=False)
    return Waiting(f"version {fleet.target} is about to be loaded", passes=True)


def not_live(*, silent_seconds: float, stopping: str | None) -> str | None:
    """Return why the service should be restarted; None if it should not.

    Args:
        silent_seconds: time since the parent's loop last ran.
        stopping: why the service is stopping; None while it isn't.
    """
    # While it stops, the loop doesn't run every second, and the shutdown has its own deadline.
    if stopping is not None or silent_seconds < _LONGEST_TURN_SECONDS:
        return None
    return f"the parent process has been stuck for {silent_seconds:.0f} s"


def not_ready(fleet: ServiceState | None, *, stopping: str | None, now: float) -> str | None:
    """Return why the service should get no calls; None if it should. Arguments as above."""
    if stopping is not None:
        return f"{stopping}: draining"
    if fleet is None or not fleet.version:
        return f"no version is served: {waiting_for(fleet, now=now).reason}"
    if not any(worker.state == "running" and worker.version for worker in fleet.workers):
        return "no worker takes calls"
    return None
