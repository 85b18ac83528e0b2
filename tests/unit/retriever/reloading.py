"""Workers that are lists of messages, and a reload between them and a real volume."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from publication import labels
from publication.errors import PublicationError
from retriever import control, reload
from retriever.config import Config
from retriever.reload import Reload
from retriever.worker_process import WorkerProcess


class FakeWorker(WorkerProcess):
    """A worker without a process: what it is told stays in `told`."""

    def __init__(self, index, *, running=True):
        super().__init__(index, Config(volume=Path("unused")))
        self.told = []
        self.killed = False
        if running:
            self.note(control.Booted())

    def send(self, message):
        if self.state != "down":
            self.told.append(message)

    def kill(self):
        self.killed = True


class Service:
    """A volume, its workers, and the reload between them."""

    def __init__(self, volume, *, workers=2, running=True):
        self.volume = volume
        self.workers = [FakeWorker(index, running=running) for index in range(workers)]
        self._verified = Event()
        self.reload = Reload(volume, self.workers, self._verified.set)

    def poll(self):
        """Read the label, as the supervisor does, and verify what is to be."""
        try:
            target, problem = labels.read_label(self.volume, "current"), ""
        except PublicationError as error:
            target, problem = None, str(error)
        self.reload.label_read(target, problem)
        self._verified.clear()
        self.reload.advance()
        candidate = self.reload._candidate
        if candidate is not None and candidate.step is reload.Step.VERIFYING:
            assert self._verified.wait(30)
            self.reload.advance()

    def say(self, worker, message):
        worker.note(message)
        self.reload.hear(worker, message)
        self.reload.advance()

    def told(self):
        """What all were told since, and forget it."""
        told = [worker.told for worker in self.workers]
        for worker in self.workers:
            worker.told = []
        return told

    def serve(self, version):
        """Let all workers do what they are told until this version serves."""
        self.poll()
        for worker in self.workers:
            self.say(worker, control.Prepared(version))
        for worker in self.workers:
            self.say(worker, control.Committed(version))
        assert self.reload.committed == version
        assert [worker.version for worker in self.workers] == [version] * len(self.workers)
        self.told()
