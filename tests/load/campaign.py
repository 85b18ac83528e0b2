"""Runs the fault campaign on a service that is under load."""

import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.errors import VolumeError
from tests import publications
from tests.load import descriptors, faults, models
from tests.load.models import Model
from tests.service import PATIENCE, Resources, Service


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The size of a campaign. 0 seconds of an attack leave it out."""

    switches: int
    pause_seconds: float
    rollbacks: int
    kills: int
    garbage_connections: int
    attack_seconds: float


FULL = Scale(
    switches=40, pause_seconds=0.5, rollbacks=5, kills=6, garbage_connections=200, attack_seconds=5
)
SHORT = Scale(
    switches=5, pause_seconds=0, rollbacks=2, kills=1, garbage_connections=20, attack_seconds=0
)

WORKERS = 3
POLL_SECONDS = 0.25
FLAGS = {
    "workers": WORKERS,
    "poll_seconds": POLL_SECONDS,
    "heartbeat_seconds": 3.0,
    # Short, so that connections reach their maximum age often.
    "max_connection_age_seconds": 5,
    "drain_seconds": 1,
}


@dataclass(frozen=True)
class Switch:
    """One move of the label. Times are time.monotonic().

    `held_seconds` is how long a fault kept the retriever from serving the version.
    """

    version: str
    moved_at: float
    all_serve_at: float
    commit_spread_seconds: float
    held_seconds: float = 0.0


@dataclass
class Observations:
    """The observations of a campaign, for the verdicts."""

    phases: dict[str, tuple[float, float]] = field(default_factory=dict)  # begin and end of each
    models: dict[str, Model] = field(default_factory=dict)  # every version that was ever whole, by name
    # All moves of the label to a valid version.
    switches: list[Switch] = field(default_factory=list)
    # Resources of each process after each switch of the phase "publish and switch".
    resources: list[dict[str, Resources]] = field(default_factory=list)
    # All other attempts and their results. A result that begins with "wrong" is a failure.
    outcomes: list[tuple[str, str]] = field(default_factory=list)


class Noting:
    """A campaign that records its actions, their times and their results."""

    def __init__(self) -> None:
        self.seen = Observations()

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        print(name, file=sys.stderr)
        began = time.monotonic()
        yield
        self.seen.phases[name] = (began, time.monotonic())

    def _note(self, what: str, outcome: str, *, right: bool = True) -> None:
        self.seen.outcomes.append((what, outcome if right else f"wrong: {outcome}"))


class Campaign(Noting):
    """Applies one fault after the other to a service and its volume."""

    def __init__(self, service: Service, volume: Path, scale: Scale) -> None:
        super().__init__()
        self._service = service
        self._volume = volume
        self._scale = scale
        self._published = 0

    def begin(self) -> None:
        """Publish the first version and wait until it serves."""
        self._switch(self._publish())

    def run(self) -> None:
        """Run all phases but the end. Each fault starts with a healthy service."""
        # Both phases publish, so they only differ by the moves of the label.
        with self._phase("publish only"):
            for _ in range(self._scale.switches):
                self._publish()
                self._service.resources()
                time.sleep(self._scale.pause_seconds)  # the time itself is wanted
        with self._phase("publish and switch"):
            for _ in range(self._scale.switches):
                self._switch(self._publish())
                self.seen.resources.append(self._service.resources())
                time.sleep(self._scale.pause_seconds)  # the time itself is wanted
        with self._phase("roll back"):
            for _ in range(self._scale.rollbacks):
                before = labels.rollback_target(self._volume)
                self._move(lambda: publications.roll_back(self._volume), before)
        with self._phase("delete old versions"):
            self._delete_old_versions()
        with self._phase("publish broken versions"):
            for name, damage in faults.DAMAGES.items():
                self._try_broken(name, damage)
        with self._phase("spoil the label"):
            self._spoil_label()
        with self._phase("lose the volume"):
            away = self._volume.with_name("away")
            with self._label_problem("a volume that is gone", lambda: away.rename(self._volume)):
                self._volume.rename(away)
        with self._phase("fill the disk"):
            self._try_full_disk()
        with self._phase("send garbage"):
            self._send_garbage()
        with self._phase("take all descriptors"):
            self._try_without_descriptors()
        with self._phase("kill workers"):
            for number in [signal.SIGKILL] * self._scale.kills + [signal.SIGSTOP]:
                self._try_kill(number)
            self._try_changed_files()
            # Check that the service still follows the label.
            self._switch(self._publish())

    # ---- versions

    def _publish(self) -> Model:
        self._published += 1
        family = "ab"[self._published % 2]
        model = models.publish(self._volume, family, self._published)
        self.seen.models[model.version] = model
        return model

    def _switch(self, model: Model) -> None:
        self._move(lambda: labels.promote(self._volume, model.version), model.version)

    def _move(self, move: Callable[[], object], version: str) -> None:
        moved_at = time.monotonic()
        move()
        status = self._service.wait_until_all_serve(version)
        self.seen.switches.append(
            Switch(version, moved_at, time.monotonic(), status.last_reload.commit_spread_seconds)
        )

    def _delete_old_versions(self) -> None:
        named = set(labels.list_labels(self._volume).values())
        versions = layout.versions_dir(self._volume).iterdir()
        old = [directory for directory in versions if directory.name not in named]
        for directory in old:
            shutil.rmtree(directory)
        self._note("delete all versions but the one in service", f"{len(old)} deleted")

    def _try_broken(self, name: str, damage: Callable[[Path], None]) -> None:
        before = self._service.status().version
        broken = models.publish(self._volume, "c", self._published).version
        self._published += 1
        damage(layout.version_dir(self._volume, broken))
        labels.promote(self._volume, broken)
        status = self._service.wait_until(
            lambda status: status.last_reload.version == broken and not status.last_reload.succeeded
        )
        reasons = [failed.reason for failed in status.failed_versions if failed.version == broken]
        if status.version != before or not reasons:
            self._note(name, f"{status.version} serves, the reasons are {reasons}", right=False)
        else:
            self._note(name, reasons[0].removeprefix(f"{layout.versions_dir(self._volume)}/"))
        # Check that the service still serves a new valid version.
        self._switch(self._publish())

    # ---- labels and volumes

    def _spoil_label(self) -> None:
        for name, content in faults.BAD_LABELS.items():
            with self._label_problem(f"a label that holds {name}"):
                faults.write_label(self._volume, content)
        label = layout.label_file(self._volume, layout.DEFAULT_LABEL)
        with self._label_problem("no label"):
            label.unlink()
        with self._label_problem("a label that is a FIFO"):
            faults.replace_by_fifo(label)
        version = self._publish().version

        content = f"  {version} \r\n\n".encode()
        self._move(lambda: faults.write_label(self._volume, content), version)
        self._note("a label with spaces and line breaks around the name", "followed")

    @contextmanager
    def _label_problem(self, name: str, undo: Callable[[], object] | None = None) -> Iterator[None]:
        """Check that the status reports the label problem that the block causes, then undo it."""
        status = self._service.status()
        before, known = status.version, {failed.version for failed in status.failed_versions}
        yield
        status = self._service.wait_until(
            lambda status: (
                bool(status.label_problem)
                or any(failed.version not in known for failed in status.failed_versions)
            )
        )
        reason = status.label_problem or status.failed_versions[0].reason
        right = status.version == before
        self._note(name, reason if right else f"{status.version} serves", right=right)
        if undo is None:
            labels.promote(self._volume, before)
        else:
            undo()
        self._service.wait_until(
            lambda status: not status.label_problem and status.label_target == before
        )
        # Check that the service follows the label again without a restart.
        self._switch(self._publish())

    def _try_full_disk(self) -> None:
        if not os.path.ismount(self._volume.parent):
            self._note("a full disk", "not tried: only root can mount a small one")
            return
        before = self._service.status().version
        filler = faults.fill_disk(self._volume.parent)
        outcome, right = "a version was published", False
        try:
            models.publish(self._volume, "c", 0)
        except VolumeError as error:
            outcome, right = str(error).removeprefix(f"{self._volume}: "), True
        left = [path.name for path in layout.staging_dir(self._volume).iterdir()]
        serves = self._service.status().version
        if left or serves != before:
            outcome, right = f"{left} was left, {serves} serves", False
        self._note("a full disk while publishing", outcome, right=right)
        filler.unlink()
        self._switch(self._publish())

    # ---- the port and the processes

    def _send_garbage(self) -> None:
        host, port = self._service.target.split(":")
        texts = (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            os.urandom(4096),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        )
        for number in range(self._scale.garbage_connections):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(texts[number % len(texts)])
        codes = set()
        for _ in range(5):
            try:
                self._service.stub().Recommend(pb.RecommendRequest(user_id="x" * (8 << 20)), timeout=10)
            except grpc.RpcError as error:
                codes.add(error.code().name)
        self._note(
            f"garbage on {self._scale.garbage_connections} connections, five messages of 8 MiB",
            f"the messages got {', '.join(sorted(codes))}",
            right=codes == {"RESOURCE_EXHAUSTED"},
        )

    def _try_without_descriptors(self) -> None:
        before, pids = self._service.status().version, self._service.worker_pids()
        model = self._publish()
        with descriptors.limited(pids):
            with descriptors.taken(self._service.target, pids, seconds=PATIENCE) as connections:
                moved_at = time.monotonic()
                labels.promote(self._volume, model.version)
                status = self._service.wait_until(
                    lambda status: any(own.version == model.version for own in status.failed_versions)
                )
            closed_at = time.monotonic()
            [failed] = [own for own in status.failed_versions if own.version == model.version]
            served = self._service.wait_until_all_serve(model.version)
        served_at = time.monotonic()
        # The retriever retries after a pause: as long as the attempts so far, and a second.
        held = 2 * (closed_at - moved_at) + 1
        spread = served.last_reload.commit_spread_seconds
        self.seen.switches.append(Switch(model.version, moved_at, served_at, spread, held))
        right = status.version == before and failed.retried and "open files" in failed.reason
        reason = failed.reason.replace(f"{layout.versions_dir(self._volume)}/", "")
        self._note(
            f"no descriptors, by {connections} connections",
            f"{reason}; {served_at - closed_at:.1f} s later it serves",
            right=right,
        )
        self._switch(self._publish())

    def _try_changed_files(self) -> None:
        """Replace files of the version in service, restart a worker, and put the files back."""
        other = layout.version_dir(self._volume, self._publish().version)
        status = self._service.status()
        directory = layout.version_dir(self._volume, status.version)
        backup = self._volume.with_name("backup")
        shutil.copytree(directory, backup)
        replaced = faults.replace_files(directory, other)
        problem = self._service.wait_until(lambda status: status.served_problem).served_problem
        # Take the last worker: the status calls may reach another one.
        victim = status.workers[-1]
        os.kill(victim.pid, signal.SIGKILL)
        back = self._service.wait_until(
            lambda status: (
                status.workers[-1].pid not in (0, victim.pid)
                and status.workers[-1].state == pb.WORKER_STATE_STARTING
            )
        )
        right = replaced and not back.workers[-1].version
        faults.replace_files(directory, backup)
        self._service.wait_until_all_serve(status.version)
        self._service.wait_until(lambda status: not status.served_problem)
        shutil.rmtree(backup)
        self._note(
            f"{len(replaced)} files of the version in service replaced by others of equal size",
            problem if right else f"worker {victim.index} serves them",
            right=bool(right),
        )

    def _try_kill(self, number: signal.Signals) -> None:
        # Kill another worker each time.
        status = self._service.status()
        victim, version = min(status.workers, key=lambda worker: worker.restarts), status.version
        began = time.monotonic()
        os.kill(victim.pid, number)
        self._service.wait_until(
            lambda status: any(
                worker.index == victim.index and worker.pid != victim.pid and worker.version == version
                for worker in status.workers
            )
        )
        seconds = time.monotonic() - began
        self._note(
            f"{number.name} to worker {victim.index}", f"another one serves after {seconds:.1f} s"
        )
