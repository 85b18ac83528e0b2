"""Asks several retrievers for their status, and compares the versions that they serve."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever.client import CallError, ClientSecurity, RetrieverClient

# For the second call, if the first one took nearly all the time.
_LEAST_SECONDS = 0.1
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True)
class Member:
    """The answer of one retriever: its status, or the error in place of it.

    `serving` is its health. A retriever that is about to stop may still serve a version.
    """

    address: str
    status: pb.GetStatusResponse | None = None
    serving: bool = False
    error: CallError | None = None

    @property
    def state(self) -> str:
        """ "serving", "not serving", "unreachable" or "refused" (it answers, but not this caller)."""
        if self.error is not None:
            return "unreachable" if self.error.code in _AWAY else "refused"
        return "serving" if self.serving else "not serving"

    @property
    def versions(self) -> dict[str, int]:
        """The versions that its workers serve, and by how many. Several exist only during a change."""
        workers = () if self.status is None else self.status.workers
        running = [one for one in workers if one.version and one.state == pb.WORKER_STATE_RUNNING]
        return dict(Counter(one.version for one in running))

    @property
    def problems(self) -> list[str]:
        """List the problems of a retriever: no answer, no label, or no version."""
        if self.error is not None:
            return [f"{self.error.code.name}: {self.error.details}"]
        if self.status is None:
            return []
        found = [told for told in (self.status.label_problem, self.status.served_problem) if told]
        if not found and not self.status.failed_versions and self.status.not_serving_reason:
            # For example, it is still loading a version.
            found = [self.status.not_serving_reason]
        last = self.status.last_reload
        failed = {last.version: last.reason} if last.version and not last.succeeded else {}
        # The latest failure is enough here. The status of a single retriever also shows older ones.
        failed |= {one.version: one.reason for one in self.status.failed_versions[:1]}
        return [*found, *(f"{version} failed: {reason}" for version, reason in failed.items())]


@dataclass(frozen=True)
class Fleet:
    """All retrievers, in the order of the command line."""

    members: Sequence[Member]

    @property
    def version(self) -> str | None:
        """The version that all workers of all retrievers serve; None if there are several or none."""
        served = {version for member in self.members for version in member.versions}
        agree = all(member.serving and member.versions for member in self.members)
        return served.pop() if agree and len(served) == 1 else None

    @property
    def summary(self) -> str:
        """One line that says whether all serve the same version, and the versions if not."""
        count = len(self.members)
        if self.version is not None:
            return f"all {count} serve {self.version}" if count > 1 else f"it serves {self.version}"
        who: dict[str, list[str]] = defaultdict(list)
        for member in self.members:
            what = " and ".join(sorted(member.versions)) or "nothing"
            who[what if member.state == "serving" else member.state].append(member.address)
        parts = [f"{what}: {', '.join(addresses)}" for what, addresses in sorted(who.items())]
        return f"NOT all {count} serve the same; {'; '.join(parts)}"


def ask_all(addresses: Sequence[str], security: ClientSecurity, *, timeout_seconds: float) -> Fleet:
    """Ask at least one "host:port", all at the same time; each has `timeout_seconds`.

    Raises HostingError for certificates that can't be used.
    """
    with ThreadPoolExecutor(len(addresses)) as pool:
        asked = [pool.submit(_ask, address, security, timeout_seconds) for address in addresses]
        return Fleet([one.result() for one in asked])


def _ask(address: str, security: ClientSecurity, seconds: float) -> Member:
    end = time.monotonic() + seconds
    with RetrieverClient(address, connections=1, timeout_seconds=seconds, security=security) as client:
        try:
            status = client.status()
            left = max(_LEAST_SECONDS, end - time.monotonic())
            return Member(address, status, client.is_serving(timeout_seconds=left))
        except CallError as error:
            return Member(address, error=error)
