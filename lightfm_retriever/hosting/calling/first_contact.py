"""The first call of a client: whether its service can be reached, and is the right one.

Calls wait for a service that is being replaced. For one that was never there they would wait until
their deadline, and then say only that it has passed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lightfm_retriever.hosting.calling.diagnosis import Problem, diagnose
from lightfm_retriever.hosting.security.settings import ClientSecurity

# A service in its place is back within it; who has a wrong address hears of it within a second.
_PATIENCE_SECONDS = 0.5
_LOOK_SECONDS = 0.1
_DIAGNOSIS_SECONDS = 0.4
_LOOK_AGAIN_SECONDS = 1.0
NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""What a call ends with that nobody answered."""


class FirstContact:
    """Looks for a service once; asks nothing more once it was found.

    Attributes:
        reached: whether it was found.
        doubt: what kept it from being found, though waiting may help; None when there is nothing.

    Args:
        channel, target, security: how the client connects.
        wanted: full name of the gRPC service that it asks.
        others: those that may be there instead, by their full names what they are and what to do.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        target: str,
        security: ClientSecurity,
        wanted: str,
        others: Mapping[str, str],
    ) -> None:
        self.reached = False
        self.doubt: Problem | None = None
        # Why it isn't there any more, as a look at that time showed.
        self._gone: Problem | None = None
        self._gone_at = -_LOOK_AGAIN_SECONDS
        self._health = health_pb2_grpc.HealthStub(channel)
        self._target = target
        self._security = security
        self._wanted = wanted
        self._others = others

    def problem(self, seconds: float) -> Problem | None:
        """What keeps the service from being reached, and will whatever one waits; None for nothing.

        The call may take so many seconds; this takes less than one.
        """
        if self.reached:
            return None
        # Half for each of two steps.
        end = time.monotonic() + min(seconds / 2, _PATIENCE_SECONDS)
        code = self._ask(self._wanted, end)
        if code not in NO_ANSWER:
            self.reached = True
            return self._other() if code is grpc.StatusCode.NOT_FOUND else None
        while True:
            found = diagnose(self._target, self._security, seconds=min(seconds / 2, _DIAGNOSIS_SECONDS))
            if found is None or found.may_pass:
                self.doubt = found
                return None
            if found.cause != "refused" or time.monotonic() > end:
                return found
            time.sleep(_LOOK_SECONDS)

    def gone(self) -> Problem | None:
        """Why a service that was found isn't there any more; None when it may be.

        For a call whose time is over: it waited, as for a service that is being replaced.
        """
        now = time.monotonic()
        # A service that takes too long has enough to do: it isn't looked at for each call.
        if now - self._gone_at >= _LOOK_AGAIN_SECONDS:
            self._gone_at = now
            found = diagnose(self._target, self._security, seconds=_LOOK_SECONDS)
            self._gone = found if found is not None and found.may_start and not found.may_pass else None
        return self._gone

    def _other(self) -> Problem | None:
        """The service that is there instead; None for one that isn't known, which may be a proxy."""
        for name, what in self._others.items():
            if self._ask(name, time.monotonic() + _PATIENCE_SECONDS) is grpc.StatusCode.OK:
                self.reached = False
                return Problem("other_service", what)
        return None

    def _ask(self, service: str, end: float) -> grpc.StatusCode:
        """The code of a health check, which needs no token and doesn't wait for a connection."""
        try:
            self._health.Check(
                health_pb2.HealthCheckRequest(service=service),
                timeout=max(0.001, end - time.monotonic()),
            )
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def code_of(problem: Problem) -> grpc.StatusCode:
    """The code of a call that wasn't made since its service can't be reached."""
    if problem.cause == "other_service":
        return grpc.StatusCode.UNIMPLEMENTED
    return grpc.StatusCode.UNAVAILABLE


def too_late(seconds: float) -> str:
    """What a call failed with that wasn't made, since looking for its service took all its time."""
    return f"Deadline Exceeded: {seconds:g} s are too short for the first call, which connects"


def explained(error: grpc.RpcError, *, reached: bool, service: str) -> str:
    """What a call failed with, in gRPC's words and, where those say little, in ours.

    It depends on whether the service, a "retriever" or a "trainer", has ever been `reached`.
    """
    details = error.details() or ""
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return details + (
            ": it gave no answer in time" if reached else f" (does a {service} run there?)"
        )
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return f"{details} (does a {service} run there, and is it as new as this client?)"
    return details
