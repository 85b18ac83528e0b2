"""Workers that are lists of messages, and a reload between them and a real volume."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from threading import Event

import msgspec

from lightfm_retriever.publication import layout, verification
from retriever import control, version_files
from retriever.config import Config
from retriever.parent.reloading.label_watch import Seen, look
from retriever.parent.reloading.reload import Reload
from retriever.parent.worker_process import WorkerProcess


class FakeWorker(WorkerProcess):
    """A worker without a process: what it is told stays in `told`."""

    def __init__(self, index, *, running=True):
        self.now = 0.0
        super().__init__(index, Config(volume=Path("unused")), clock=lambda: self.now)
        self.told = []
        self.killed = False
        self.order = 0
        if running:
            self.note(control.Booted())
            self.note(control.Listening())

    def start(self):
        self.state = "starting"
        self.killed = self._told_to_listen = False

    def send(self, message):
        if self.state == "down":
            return
        if isinstance(message, control.Prepare):
            self.order = message.order
        self.told.append(message)

    def kill(self):
        self.killed = True


class Service:
    """A volume, its workers, and the reload between them."""

    def __init__(self, volume, *, workers=2, running=True):
        self.volume = volume
        self.workers = [FakeWorker(index, running=running) for index in range(workers)]
        self._verified = Event()
        self.later = 0.0
        self.reload = Reload(
            volume,
            self.workers,
            self._verified.set,
            # As it is then: tests put others in its place.
            verify=self._verify,
            clock=lambda: time.monotonic() + self.later,
        )

    def _verify(self, volume, version, _):
        verification.verify(volume, version)
        directory = layout.version_dir(volume, version)
        return version_files.look(directory, version_files.names_of(directory))

    def poll(self):
        """Look at the volume, as the supervisor does, and verify what is to be."""
        self.look_now()
        self.verify()

    def look_now(self):
        seen = look(self.volume, "current", None)
        self.look(dataclasses.replace(seen, served=self.reload.known.served.look(self.volume)))

    def look(self, seen: Seen):
        self._verified.clear()
        self.reload.look(seen)
        self.reload.advance()

    def verify(self):
        """Wait for what is being verified."""
        # One that was abandoned may end first, which is news, too.
        while (loading := self.reload.loading) is not None and loading.step == "VERIFYING":
            assert self._verified.wait(30)
            self._verified.clear()
            self.reload.advance()

    # ---- what workers do

    def say(self, worker, message):
        if worker.note(message):
            self.reload.hear(worker, message)
        self.reload.advance()

    def prepared(self, worker, version):
        """It answers the last order."""
        self.say(worker, control.Prepared(version, worker.order))

    def refuses(self, worker, version, reason, *, passing=False):
        """It answers the last order, with no."""
        self.say(worker, control.PrepareFailed(version, worker.order, reason, passing))

    def committed(self, worker, version, *, at=0.0):
        self.say(worker, control.Committed(version, at))

    def dies(self, worker, *, status=-9):
        preparing = worker.preparing
        worker.bury()
        self.reload.gone(worker, preparing=preparing, status=status)
        self.reload.advance()

    def boots(self, worker):
        worker.start()
        self.say(worker, control.Booted())

    def takes_too_long(self, worker, *, seconds=301):
        worker.now += seconds
        self.reload.prepare_took_too_long(worker)
        self.reload.advance()

    def told(self):
        """What all were told since, orders without their numbers, and forget it."""
        told = [[without_number(message) for message in worker.told] for worker in self.workers]
        for worker in self.workers:
            worker.told = []
        return told

    def all_told(self):
        """What any was told since, and forget it."""
        return [message for told in self.told() for message in told]

    def serve(self, version):
        """Let all workers do what they are told until this version serves."""
        self.poll()
        for worker in self.workers:
            self.prepared(worker, version)
        for worker in self.workers:
            self.committed(worker, version)
        assert self.reload.known.committed == version
        assert [worker.version for worker in self.workers] == [version] * len(self.workers)
        self.told()


def without_number(message):
    if isinstance(message, control.Prepare):
        return msgspec.structs.replace(message, order=0, files={})
    return message


def prepare(version):
    """The order to prepare, as `Service.told` shows it."""
    return control.Prepare(version, 0)
