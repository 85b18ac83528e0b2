"""The first contact of a client: check that its service can be reached and is the right one.

Calls wait for a service that is being replaced. For a wrong address they would wait until their
deadline, and then report only that it has passed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lightfm_retriever.hosting.calling.diagnosis import Problem, diagnose
from lightfm_retriever.hosting.security.settings import ClientSecurity

# A service that restarts is back within this time. A wrong address is reported within a second.
_PATIENCE_SECONDS = 0.5
_LOOK_SECONDS = 0.1
_DIAGNOSIS_SECONDS = 0.4
_LOOK_AGAIN_SECONDS = 1.0
NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""Status codes of calls that got no answer."""


class FirstContact:
    """Look for a service until it is found, and not any more afterwards.

    Attributes:
        reached: whether the service was found.
        doubt: a problem that may pass while a call waits; None when there is none.

    Args:
        channel: the client's channel.
        target: the address of the service.
        security: how the client connects.
        wanted: full name of the client's gRPC service.
        others: by full name, the message for another service that may be there instead.
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
        # Result and time of the latest check of a service that has gone.
        self._gone: Problem | None = None
        self._gone_at = -_LOOK_AGAIN_SECONDS
        self._health = health_pb2_grpc.HealthStub(channel)
        self._target = target
        self._security = security
        self._wanted = wanted
        self._others = others

    def problem(self, seconds: float) -> Problem | None:
        """Return why the service can't be reached even if the call waits; None if it may be.

        `seconds` is the time of the call; this takes less than one second.
        """
        if self.reached:
            return None
        # Half of the time for each of two steps.
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
        """Return why a service that was found has gone; None if it may still be there.

        For a call that exceeded its deadline while it waited for a service that is being replaced.
        """
        now = time.monotonic()
        # A slow service is busy, so don't check it for each call.
        if now - self._gone_at >= _LOOK_AGAIN_SECONDS:
            self._gone_at = now
            found = diagnose(self._target, self._security, seconds=_LOOK_SECONDS)
            self._gone = found if found is not None and found.may_start and not found.may_pass else None
        return self._gone

    def _other(self) -> Problem | None:
        """Return the other service at the address; None for an unknown one, which may be a proxy."""
        for name, what in self._others.items():
            if self._ask(name, time.monotonic() + _PATIENCE_SECONDS) is grpc.StatusCode.OK:
                self.reached = False
                return Problem("other_service", what)
        return None

    def _ask(self, service: str, end: float) -> grpc.StatusCode:
        """Return the status code of a health check. It needs no token and doesn't wait to connect."""
        try:
            self._health.Check(
                health_pb2.HealthCheckRequest(service=service),
                timeout=max(0.001, end - time.monotonic()),
            )
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def code_of(problem: Problem) -> grpc.StatusCode:
    """Return the status code of a call that wasn't made because its service can't be reached."""
    if problem.cause == "other_service":
        return grpc.StatusCode.UNIMPLEMENTED
    return grpc.StatusCode.UNAVAILABLE


def too_late(seconds: float) -> str:
    """Return the error text of a call that wasn't made because connecting took all its time."""
    return f"Deadline Exceeded: {seconds:g} s are too short for the first call, which also connects"


def explained(error: grpc.RpcError, *, reached: bool, service: str) -> str:
    """Return gRPC's error text of a call, with a hint where it says little.

    The hint depends on whether the `service`, "retriever" or "trainer", has ever been `reached`.
    """
    details = error.details() or ""
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return details + (
            ": the service didn't answer in time" if reached else f" (is a {service} running there?)"
        )
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return f"{details} (is a {service} running there, and is it as new as this client?)"
    return details
