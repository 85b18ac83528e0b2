"""Runs the fault campaign on a fleet under load, and checks what `status --fleet` reports."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lightfm_retriever.remote.volume import RemoteVolume
from tests.envoy import Envoy
from tests.load import models
from tests.load.campaign import Noting, Switch
from tests.load.fleet_member import Member
from tests.service import PATIENCE

WORKERS = 2
POLL_SECONDS = 0.5
FLAGS: dict[str, object] = {
    "workers": WORKERS,
    "poll_seconds": POLL_SECONDS,
    # Short, so that connections reach their maximum age often.
    "max_connection_age_seconds": 10,
    # Longer than Envoy needs to notice that a retriever drains: see health_checks in its configuration.
    "drain_seconds": 4,
}
MOVE = "move the label"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The size of a campaign. In a round, one retriever is killed and another is cut off."""

    moves: int
    pause_seconds: float
    rounds: int
    restarts: int


FULL = Scale(moves=20, pause_seconds=0.5, rounds=3, restarts=3)
SHORT = Scale(moves=3, pause_seconds=0.3, rounds=1, restarts=1)


class FleetCampaign(Noting):
    """Applies one fault after the other to the retrievers behind Envoy, one retriever at a time."""

    def __init__(
        self, members: Sequence[Member], volume: RemoteVolume, envoy: Envoy, scale: Scale
    ) -> None:
        super().__init__()
        self._members = members
        self._volume = volume
        self._envoy = envoy
        self._scale = scale
        self._published = 0
        self._version = ""

    def begin(self) -> None:
        """Publish the first version, and wait until all retrievers serve it and Envoy knows them."""
        self._move(self._members)
        self._wait_for_envoy()

    def run(self) -> None:
        """Run all phases but the end. Each fault starts with a healthy fleet."""
        self._see("nothing done yet", {})
        with self._phase(MOVE):
            for _ in range(self._scale.moves):
                self._move(self._members)
                time.sleep(self._scale.pause_seconds)  # the time itself is wanted
        for number in range(self._scale.rounds):
            # In three rounds, each retriever is killed once and cut off once.
            killed, cut, *_ = [*self._members[number:], *self._members]
            # Alternate between a lost host (silence) and a closed port (refused connections).
            silently = number % 2 == 1
            with self._phase(f"kill {killed.name}"):
                self._kill(killed, silently=silently)
            with self._phase(f"cut {cut.name} off the store"):
                self._cut_off(cut, silently=silently)
        with self._phase("restart one after the other"):
            for member in self._members[: self._scale.restarts]:
                self._restart(member)
        self._move(self._members)
        self._see("all is over", {})
        retried = self._envoy.statistic("upstream_rq_retry")
        self._note("calls that Envoy sent to another one", str(retried))

    # ---- faults

    def _kill(self, member: Member, *, silently: bool) -> None:
        before = self._version
        member.kill()
        self._wait_for_envoy(without=member)
        self._move(self._others(member))
        self._see(f"{member.name} is dead", {member: ("unreachable", None)})
        # Without the store, it can only serve the version in its cache.
        member.cut(silently=silently)
        member.start()
        began = time.monotonic()
        member.service.wait_until_all_serve(before)
        seconds = time.monotonic() - began
        self._note(f"{member.name} starts without the store", f"it serves after {seconds:.1f} s")
        self._wait_for_envoy()
        self._see(f"{member.name} serves from its cache", {member: ("serving", before)})
        self._mend(member)

    def _cut_off(self, member: Member, *, silently: bool) -> None:
        before = self._version
        pids = member.service.worker_pids()
        member.cut(silently=silently)
        status = member.service.wait_until(lambda status: status.label_problem)
        self._note(f"{member.name} is cut off the store", status.label_problem)
        self._move(self._others(member))
        self._see(f"{member.name} is cut off the store", {member: ("serving", before)})
        answered = self._answered(member)
        self._envoy.wait_for(lambda: self._answered(member) > answered)
        self._mend(member)
        if member.service.worker_pids() != pids:
            self._note(f"{member.name} is back at the store", "its workers were restarted", right=False)

    def _mend(self, member: Member) -> None:
        began = time.monotonic()
        member.mend()
        member.service.wait_until(
            lambda status: (
                not status.label_problem
                and {worker.version for worker in status.workers} == {self._version}
            )
        )
        polls = (time.monotonic() - began) / POLL_SECONDS
        self._note(f"{member.name} is back at the store", f"it follows after {polls:.1f} polls")
        self._see(f"{member.name} is back at the store", {})

    def _restart(self, member: Member) -> None:
        status, left = member.stop()
        outcome = f"exit status {status}, {left} processes left"
        self._note(f"SIGTERM to {member.name}", outcome, right=status == left == 0)
        member.start()
        member.service.wait_until_all_serve(self._version)
        self._wait_for_envoy()

    # ---- the label

    def _move(self, members: Sequence[Member]) -> None:
        """Publish a version, move the label, and wait until these members serve it."""
        self._published += 1
        family = "ab"[self._published % 2]
        model = models.publish(self._volume.folder, family, self._published)
        self._volume.upload(model.version)
        self.seen.models[model.version] = model
        moved_at = time.monotonic()
        self._volume.promote(model.version)
        spreads = [
            member.service.wait_until_all_serve(model.version).last_reload.commit_spread_seconds
            for member in members
        ]
        self.seen.switches.append(Switch(model.version, moved_at, time.monotonic(), max(spreads)))
        self._version = model.version

    def _others(self, member: Member) -> list[Member]:
        return [other for other in self._members if other is not member]

    def _wait_for_envoy(self, *, without: Member | None = None) -> None:
        """Wait until Envoy sends calls to all members, or to all but one."""
        expected = {member.address for member in self._members if member is not without}
        self._envoy.wait_for(lambda: self._envoy.healthy() == expected)

    def _answered(self, member: Member) -> int:
        return self._envoy.hosts()[member.address].answered

    # ---- what `status --fleet` says

    def _see(self, when: str, odd: Mapping[Member, tuple[str, str | None]]) -> None:
        """Check that `status --fleet` reports the current version, except for the odd members."""
        expected = {member.address: ("serving", self._version) for member in self._members}
        expected |= {member.address: what for member, what in odd.items()}
        same = len(set(expected.values())) == 1
        end = time.monotonic() + PATIENCE
        while True:
            # Reports are up to a polling interval old, and a silent network is only reported after a
            # while. So try again until the end.
            code, content = self._fleet_status()
            retrievers = content["retrievers"]
            found = {one["address"]: (one["state"], *(one["versions"] or [None])) for one in retrievers}
            problems = {one["address"]: one["problems"] for one in retrievers if one["problems"]}
            right = found == expected and (code == 0) == content["same_version"] == same
            if right and problems.keys() == {member.address for member in odd}:
                break
            if time.monotonic() > end:
                outcome = f"exit status {code}, {found}, {problems}"
                self._note(f"status --fleet: {when}", outcome, right=False)
                return
        told = "; ".join(problem for several in problems.values() for problem in several)
        self._note(
            f"status --fleet: {when}",
            f"exit status {code}" + (f": {told}" if told else ", all the same"),
        )

    def _fleet_status(self) -> tuple[int, Any]:
        addresses = ",".join(member.address for member in self._members)
        command = [sys.executable, "-m", "retriever", "status", "--json", "--fleet", addresses]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, json.loads(done.stdout)
