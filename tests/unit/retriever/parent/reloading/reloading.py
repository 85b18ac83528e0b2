"""Workers that are lists of orders, and verifications that end when they are let."""

from pathlib import Path

from lightfm_retriever.hosting.process import Awaited
from lightfm_retriever.publication.errors import PublicationError
from retriever import control
from retriever.config import Config
from retriever.parent.reloading.verifications import Verification
from retriever.parent.worker_process import WorkerProcess, WorkerView


class FakeWorker(WorkerProcess):
    """A worker without a process: what it is told stays in `told`."""

    def __init__(self, index):
        self.now = 0.0
        super().__init__(index, Config(volume=Path("unused")), clock=lambda: self.now)
        self.told, self.killed, self.order = [], False, 0

    def start(self):
        self.view = WorkerView(self.index, "starting")
        self.killed = False

    def send(self, message):
        if self.view.state == "down":
            return
        if isinstance(message, control.Prepare):
            self.order = message.order
        self.told.append(message)

    def kill(self):
        self.killed = True


class FakeVerifications:
    """Without a thread: the first that was begun runs until `end` is called, the last is wanted."""

    def __init__(self, verify):
        self.verify, self.begun, self.hangs = verify, [], ""
        self.wanted, self.ended = False, None

    @property
    def busy(self):
        return bool(self.begun)

    def begin(self, version):
        self.abandon()
        self.begun.append(version)
        self.wanted = True

    def abandon(self):
        del self.begun[1:]
        self.wanted, self.ended = False, None

    def end(self):
        made = Verification(self.begun.pop(0), Awaited())
        try:
            made.files = self.verify(made.version)
        except PublicationError as error:
            made.problem = error
        if self.wanted and not self.begun:
            self.ended = made

    def result(self):
        ended, self.ended = self.ended, None
        return ended

    def problem(self):
        return self.hangs
