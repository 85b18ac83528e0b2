"""Whatever comes in whatever order, all workers end up with what the label names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from publication.errors import PublicationError
from retriever import control, reload
from retriever.reload import Reload
from tests.unit.retriever.reloading import FakeWorker


class WorkerEnd:
    """What `retriever.worker` does with what it is told, without gRPC."""

    def __init__(self):
        self.inbox = []
        self.outbox = [control.Booted()]
        self.prepared = None
        self.version = None

    def step(self, *, fails):
        match self.inbox.pop(0):
            case control.Prepare(version=version):
                self.prepared = None if fails else version
                self.outbox.append(
                    control.PrepareFailed(version, "no luck") if fails else control.Prepared(version)
                )
            case control.Commit(version=version):
                assert self.prepared == version, f"told to commit {version}, which isn't prepared"
                self.version, self.prepared = version, None
                self.outbox.append(control.Committed(version))
            case control.Abandon():
                self.prepared = None


GOOD, BROKEN = ["a", "b", "c"], "broken"
workers = st.integers(0, 2)


class AnyOrder(RuleBasedStateMachine):
    """Labels move, threads end, messages arrive and workers die in any order that can be."""

    @initialize()
    def begin(self):
        self.label = None
        self.changes = 0
        self.verifying = []
        self.workers = [FakeWorker(index, running=False) for index in range(3)]
        self.ends = [WorkerEnd() for _ in self.workers]
        for worker in self.workers:
            worker.state = "starting"
        self.patch = pytest.MonkeyPatch()
        machine = self

        class Thread:
            def __init__(self, target, **_):
                self.start = lambda: machine.verifying.append(target)

        def verify(volume, version):
            if version == BROKEN:
                raise PublicationError("it is broken")

        self.patch.setattr(reload.threading, "Thread", Thread)
        self.patch.setattr(reload.reader, "verify", verify)
        self.patch.setattr(reload._log, "disabled", True)
        self.patch.setattr(reload, "_fingerprint", lambda *_: (self.changes,))
        self.reload = Reload(Path("unused"), self.workers, lambda: None)

    def teardown(self):
        if hasattr(self, "reload"):
            self.settle()
            self.patch.undo()

    def advance(self):
        self.reload.advance()
        for worker, end in zip(self.workers, self.ends, strict=True):
            end.inbox += worker.told
            worker.told = []

    @rule(label=st.sampled_from([*GOOD, BROKEN, None]))
    def move_the_label(self, label):
        self.label = label
        self.poll()

    @rule()
    def poll(self):
        self.reload.label_read(self.label, "" if self.label else "unreadable")
        self.advance()

    @rule()
    def touch_a_file(self):
        self.changes += 1

    @precondition(lambda self: self.verifying)
    @rule(last=st.booleans())
    def a_thread_ends(self, last):
        self.verifying.pop(-1 if last else 0)()
        self.advance()

    @rule(index=workers, fails=st.booleans())
    def a_worker_does_what_it_was_told(self, index, fails):
        if self.ends[index].inbox:
            self.ends[index].step(fails=fails)

    @rule(index=workers)
    def a_message_arrives(self, index):
        if self.ends[index].outbox:
            worker, message = self.workers[index], self.ends[index].outbox.pop(0)
            worker.note(message)
            self.reload.hear(worker, message)
            self.advance()

    @rule(index=workers)
    def a_worker_dies_and_is_started_again(self, index):
        worker = self.workers[index]
        while self.ends[index].outbox:
            self.a_message_arrives(index)
        worker.bury()
        self.advance()
        worker.state, worker.killed = "starting", False
        self.ends[index] = WorkerEnd()

    @invariant()
    def only_good_versions_serve(self):
        if hasattr(self, "ends"):
            assert {end.version for end in self.ends} <= {None, *GOOD}

    def settle(self):
        """When nothing moves any more, all serve what the label names."""
        for _ in range(100):
            self.changes += 1
            self.poll()
            while self.verifying:
                self.a_thread_ends(last=False)
            for index, worker in enumerate(self.workers):
                while self.ends[index].inbox or self.ends[index].outbox:
                    self.a_worker_does_what_it_was_told(index, fails=False)
                    self.a_message_arrives(index)
                if worker.killed:
                    self.a_worker_dies_and_is_started_again(index)
            settled = all(w.idle and w.version == self.reload.committed for w in self.workers)
            if settled and (self.label not in GOOD or self.label == self.reload.committed):
                break
        served = {end.version for end in self.ends}
        assert served == {self.reload.committed} == {worker.version for worker in self.workers}
        if self.label in GOOD:
            assert served == {self.label}


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=250, stateful_step_count=40, deadline=None)
