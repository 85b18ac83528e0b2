"""Whatever comes in whatever order, all workers end up with what the label names."""

import logging

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lightfm_retriever.publication.errors import PublicationError, VolumeError
from retriever import control
from retriever.parent.reloading import reload
from retriever.parent.reloading.label_watch import Seen
from tests.unit.retriever.parent.reloading.reloading import FakeVerifications, FakeWorker


class WorkerEnd:
    """What `retriever.worker.worker` does with what it is told, without gRPC."""

    def __init__(self):
        self.inbox, self.outbox = [], [control.Booted()]
        # Threads that prepare: one goes on when the one before it has ended.
        self.preparing = []
        self.order, self.prepared = 0, None
        self.version, self.listens = None, False

    def step(self):
        match self.inbox.pop(0):
            case control.Listen():
                assert not self.listens, "told to listen twice"
                self.listens = True
                self.outbox.append(control.Listening())
            case control.Prepare(version=version, order=order):
                assert order > self.order
                self.order, self.prepared = order, None
                self.preparing.append((version, order))
            case control.Commit(version=version):
                assert self.prepared == version, f"told to commit {version}, which isn't prepared"
                self.version, self.prepared, self.order = version, None, 0
                self.outbox.append(control.Committed(version, 0.0))
            case control.Abandon():
                self.prepared, self.order = None, 0

    def thread_ends(self, *, fails):
        version, order = self.preparing.pop(0)
        if order != self.order:
            return
        if fails:
            passing = fails == "for now"
            self.outbox.append(control.PrepareFailed(version, order, "no luck", passing))
        else:
            self.prepared = version
            self.outbox.append(control.Prepared(version, order))

    @property
    def busy(self):
        return self.inbox or self.outbox or self.preparing


GOOD, BROKEN = ["a", "b", "c"], "broken"
workers = st.integers(0, 2)


@pytest.fixture(autouse=True)
def _no_log(monkeypatch):
    monkeypatch.setattr(logging.getLogger(reload.__name__), "disabled", True)


class AnyOrder(RuleBasedStateMachine):
    """Labels move, threads end, messages arrive and workers die in any order that can be."""

    @initialize(label=st.sampled_from([*GOOD, None]))
    def begin(self, label):
        """With everything as it should be: what is random goes on from there."""
        self.label, self.changes = label, 0
        self.now, self.volume_answers = 0.0, True
        self.workers = [FakeWorker(index) for index in range(3)]
        self.ends = [WorkerEnd() for _ in self.workers]
        for worker in self.workers:
            worker.start()

        def verify(version):
            if not self.volume_answers:
                raise VolumeError("/data", "it is away")
            if version == BROKEN:
                raise PublicationError("it is broken")
            return {}

        self.verifications = FakeVerifications(verify)
        self.reload = reload.Reload(
            self.workers, self.verifications, ended=lambda _: None, clock=lambda: self.now
        )
        self.settle()

    def teardown(self):
        if hasattr(self, "reload"):
            self.settle()

    def advance(self):
        self.reload.advance()
        for worker, end in zip(self.workers, self.ends, strict=True):
            for message in worker.told:
                if isinstance(message, control.Listen):
                    assert end.version == worker.view.version == self.reload.known.committed
            end.inbox += worker.told
            worker.told = []

    @rule(label=st.sampled_from([*GOOD, BROKEN, None]))
    def move_the_label(self, label):
        self.label = label
        self.poll()

    @rule()
    def poll(self):
        problem = "" if self.label else "unreadable"
        self.reload.look(Seen(self.label, problem, (self.changes,)))
        self.advance()

    @rule(seconds=st.sampled_from([1, 40, 1000]))
    def time_passes(self, seconds):
        self.now += seconds
        self.advance()

    @rule()
    def touch_a_file(self):
        self.changes += 1

    @rule()
    def the_volume_goes_or_comes(self):
        self.volume_answers = not self.volume_answers

    @precondition(lambda self: self.verifications.busy)
    @rule()
    def a_verification_ends(self):
        self.verifications.end()
        self.advance()

    @rule(index=workers)
    def a_worker_does_what_it_was_told(self, index):
        if self.ends[index].inbox:
            self.ends[index].step()

    @rule(index=workers, fails=st.sampled_from([False, "for now", "for good"]))
    def a_worker_has_prepared(self, index, fails):
        if self.ends[index].preparing:
            self.ends[index].thread_ends(fails=fails)

    @rule(index=workers)
    def a_message_arrives(self, index):
        if self.ends[index].outbox:
            worker, message = self.workers[index], self.ends[index].outbox.pop(0)
            if worker.note(message):
                self.reload.hear(worker, message)
            self.advance()

    @rule(index=workers)
    def a_worker_goes_on(self, index):
        """Everything at once, as by chance it rarely would be."""
        self.a_worker_does_what_it_was_told(index)
        self.a_worker_has_prepared(index, fails=False)
        self.a_message_arrives(index)

    @rule()
    def all_go_on(self):
        while self.verifications.busy:
            self.a_verification_ends()
        for index in range(3):
            self.a_worker_goes_on(index)

    @rule(index=workers, status=st.sampled_from([-9, -11]))
    def a_worker_dies_and_is_started_again(self, index, status=-9):
        worker = self.workers[index]
        while self.ends[index].outbox:
            self.a_message_arrives(index)
        preparing = worker.view.preparing
        worker.bury()
        self.reload.gone(worker, preparing=preparing, status=status)
        self.advance()
        worker.start()
        self.ends[index] = WorkerEnd()

    @rule(index=workers)
    def a_worker_takes_too_long(self, index):
        if self.workers[index].view.preparing is not None:
            self.reload.prepare_took_too_long(self.workers[index])
            self.advance()

    @invariant()
    def only_good_versions_serve_and_callers_find_no_worker_that_serves_something_else(self):
        """But for those that are told to change over."""
        for end in getattr(self, "ends", ()):
            assert end.version in {None, *GOOD}
            if end.listens and end.version != (committed := self.reload.known.committed):
                assert control.Commit(committed) in end.inbox

    def settle(self):
        """When nothing moves any more, all serve what the label names."""
        self.volume_answers = True
        for _ in range(100):
            failed = self.reload.failed.get(self.label)
            # What passes needs nothing but time.
            self.now += 1000
            self.changes += failed is not None and not failed.passing
            self.poll()
            while self.verifications.busy:
                self.a_verification_ends()
            for index, worker in enumerate(self.workers):
                while self.ends[index].busy:
                    self.a_worker_goes_on(index)
                if worker.killed:
                    self.a_worker_dies_and_is_started_again(index)
            # One that was ended and comes back has something to say yet.
            views = [worker.view for worker in self.workers]
            settled = all(own.idle and own.version == self.reload.known.committed for own in views)
            if settled and (self.label not in GOOD or self.label == self.reload.known.committed):
                break
        served = {end.version for end in self.ends}
        assert served == {self.reload.known.committed}
        assert {(own.version, own.state) for own in views} == {(*served, "running")}
        assert all(end.listens for end in self.ends)
        if self.label in GOOD:
            assert served == {self.label}
            assert self.label not in self.reload.failed


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
