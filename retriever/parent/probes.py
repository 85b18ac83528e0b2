"""What /live and /ready say: why the parent isn't, or None when it is."""

from __future__ import annotations

from retriever.control import ServiceState
from retriever.waiting import waiting_for

# Its loop turns every second, whatever happens.
_LONGEST_TURN_SECONDS = 10.0


def not_live(*, silent_seconds: float, stopping: str | None) -> str | None:
    """Why the service should be restarted.

    Args:
        silent_seconds: since the parent's loop last turned.
        stopping: why the service stops, None while it doesn't.
    """
    # At the end nothing happens every second any more, and there is a deadline of its own.
    if stopping is not None or silent_seconds < _LONGEST_TURN_SECONDS:
        return None
    return f"the parent has been stuck for {silent_seconds:.0f} s"


def not_ready(fleet: ServiceState | None, *, stopping: str | None, now: float) -> str | None:
    """Why no calls should be sent here; arguments as of `not_live` and `waiting_for`."""
    if stopping is not None:
        return f"{stopping}: draining"
    if fleet is None or not fleet.version:
        return f"no version is served: {waiting_for(fleet, now=now).reason}"
    if not any(worker.state == "running" and worker.version for worker in fleet.workers):
        return "no worker takes calls"
    return None
