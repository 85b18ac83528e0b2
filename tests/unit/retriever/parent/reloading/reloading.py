"""Workers that are lists of orders, a reload that leads them, and what happens to both, a line each."""

from __future__ import annotations

import shlex
from collections import defaultdict
from pathlib import Path

from lightfm_retriever.hosting.process import Awaited
from lightfm_retriever.publication.errors import PublicationError, VolumeError
from retriever import control
from retriever.config import Config
from retriever.parent.reloading.label_watch import Seen
from retriever.parent.reloading.reload import Reload
from retriever.parent.reloading.served_files import Served
from retriever.parent.reloading.verifications import Verification
from retriever.parent.worker_process import WorkerProcess
from retriever.version_files import FileState

BROKEN, AWAY = PublicationError("it is broken"), VolumeError(Path("/v"), "is stale")


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


class FakeVerifications:
    """Without a thread: the first that was begun runs until `end` is called, the last is wanted."""

    def __init__(self, verify):
        self.verify = verify
        self.begun = []
        self.wanted = False
        self.ended = None
        self.hangs = ""

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


class Service:
    """What the label names, workers, and the reload between them."""

    def __init__(self, *, workers=2, running=True):
        self.workers = [FakeWorker(index, running=running) for index in range(workers)]
        self.target = None
        # Of a version: how its files look, and why it can't be verified.
        self.changes = defaultdict(int)
        self.problems = {}
        self.now = 0.0
        self.verified = []
        self.ended = []
        self.verifications = FakeVerifications(self._verify)
        self.reload = Reload(
            self.workers, self.verifications, ended=self.ended.append, clock=lambda: self.now
        )

    def _verify(self, version):
        self.verified.append(version)
        if problem := self.problems.get(version):
            raise problem
        return self.files(version)

    def files(self, version):
        return {"vectors": FileState(self.changes[version], 0, 0, 0)}

    def look(self):
        """What a look at the volume shows, as of now."""
        served = self.reload.known.committed
        seen = Seen(
            self.target,
            "" if self.target else "the label can't be read",
            (self.changes[self.target],),
            None if served is None else Served(served, self.files(served)),
        )
        self.reload.look(seen)
        self.reload.advance()

    def verify(self):
        """Let what is being verified end."""
        while self.verifications.busy:
            self.verifications.end()
            self.reload.advance()

    def told(self):
        """What was verified, and what each worker was told, since; and forget it."""
        told = [f"verify {version}" for version in self.verified]
        for worker in self.workers:
            told += [f"{worker.index} {in_words(message)}" for message in worker.told]
            told += [f"{worker.index} end"] * worker.killed
            worker.told, worker.killed = [], False
        self.verified.clear()
        return told

    def run(self, script):
        """Let each line of a script happen, and compare what follows with what stands after `=>`."""
        for line in filter(None, map(str.strip, script.splitlines())):
            what, _, follows = line.partition("=>")
            self._happen(shlex.split(what))
            self.verify()
            told = self.told()
            assert told == [order for order in follows.strip().split(", ") if order], (line, told)

    def _happen(self, words):
        match words:
            case ["label", *target]:
                self.target = " ".join(target) or None
                self.look()
            case ["look"]:
                self.look()
            case [version, "changes"]:
                self.changes[version] += 1
            case [version, "is", how]:
                self.problems[version] = {"broken": BROKEN, "away": AWAY, "right": None}[how]
            case [seconds, "s"]:
                self.now += int(seconds)
                self.reload.advance()
            case [version, "serves"]:
                self._serve(version)
            case [index, *happens] if index.isdigit():
                self._happen_to(self.workers[int(index)], happens)
                self.reload.advance()
            case _:
                self._check(words)

    def _check(self, words):
        match words:
            case ["serving", *version]:
                assert self.reload.known.committed == (" ".join(version) or None)
            case ["failed", *versions]:
                assert [*self.reload.failed] == versions
            case ["because", reason]:
                assert reason in self.reload.last.reason
                assert self.reload.failed[self.reload.last.version].reason == self.reload.last.reason
            case _:
                raise AssertionError(words)

    def _happen_to(self, worker, words):
        match words:
            case ["prepared", version, *order]:
                self.say(worker, control.Prepared(version, int(*order or [worker.order])))
            case ["refuses" | "lacks" | "finds" as why, version, reason, *order]:
                number, passes, changed = int(*order or [worker.order]), why == "lacks", why == "finds"
                failed = control.PrepareFailed(version, number, reason, passes, changed)
                self.say(worker, failed)
            case ["committed", version, *at]:
                self.say(worker, control.Committed(version, float(*at or [self.now])))
            case ["dies", *status]:
                preparing = worker.preparing
                worker.bury()
                self.reload.gone(worker, preparing=preparing, status=int(*status or [-9]))
            case ["boots"]:
                worker.start()
                self.say(worker, control.Booted())
            case ["joins", version]:
                for happens in (["boots"], ["prepared", version], ["committed", version]):
                    self._happen_to(worker, happens)
                    self.reload.advance()
            case ["listens"]:
                self.say(worker, control.Listening())
            case ["late"]:
                worker.now += 301
                self.reload.prepare_took_too_long(worker)
            case _:
                raise AssertionError(words)

    def say(self, worker, message):
        if worker.note(message):
            self.reload.hear(worker, message)

    def _serve(self, version):
        """Let all workers do what they are told until this version serves."""
        self.target = version
        self.look()
        self.verify()
        for worker in self.workers:
            self.say(worker, control.Prepared(version, worker.order))
            self.reload.advance()
        for worker in self.workers:
            self.say(worker, control.Committed(version, self.now + worker.index / 4))
            self.reload.advance()
        assert self.reload.known.committed == version
        assert {worker.version for worker in self.workers} == {version}
        self.told()


def in_words(message):
    words = [type(message).__name__.lower(), getattr(message, "version", "")]
    return " ".join(filter(None, words))
