"""What follows from what happens: what is verified, and what each worker is told."""

from pathlib import Path

import pytest

from lightfm_retriever.publication.errors import PublicationError, VolumeError
from retriever import control
from retriever.parent.reloading.label_watch import Seen
from retriever.parent.reloading.reload import Reload
from retriever.parent.reloading.served_files import Served
from retriever.version_files import FileState
from tests.unit.retriever.parent.reloading.reloading import FakeVerifications, FakeWorker

BROKEN, AWAY = PublicationError("it is broken"), VolumeError(Path("/v"), "is stale")


class Service:
    """What the label names, three workers, and the reload between them."""

    def __init__(self):
        self.workers = [FakeWorker(index) for index in range(3)]
        # How the files look, and why they can't be verified.
        self.state, self.problem = 0, None
        self.label, self.now, self.ended = None, 10.0, []
        self.verifications = FakeVerifications(self.verify)
        self.reload = Reload(
            self.workers, self.verifications, ended=self.ended.append, clock=lambda: self.now
        )
        for index in range(3):
            self.boots(index)
            self.says(index, control.Listening())
        self.told()

    def files(self):
        return {"vectors": FileState(self.state, 0, 0, 0)}

    def verify(self, _):
        if self.problem is not None:
            raise self.problem
        return self.files()

    def look(self):
        problem, served = "" if self.label else "the label can't be read", self.reload.known.committed
        served = served and Served(served, self.files())
        self.reload.look(Seen(self.label, problem, (self.state,), served))
        self.reload.advance()

    def names(self, label, *, problem=None):
        """The label names a version, which is verified, and has this problem."""
        self.label, self.problem = label, problem
        self.look()
        self.verified()

    def changes(self, *, problem=None):
        self.state += 1
        self.names(self.label, problem=problem)

    def verified(self):
        while self.verifications.busy:
            self.verifications.end()
            self.reload.advance()

    def waits(self, seconds):
        self.now += seconds
        self.reload.advance()

    def says(self, index, message):
        if self.workers[index].note(message):
            self.reload.hear(self.workers[index], message)
        self.reload.advance()

    def prepared(self, *indexes):
        for index in indexes:
            worker = self.workers[index]
            self.says(index, control.Prepared(worker.view.preparing, worker.order))

    def refuses(self, index, reason, **why):
        worker = self.workers[index]
        self.says(index, control.PrepareFailed(worker.view.preparing, worker.order, reason, **why))

    def committed(self, *indexes):
        for index in indexes:
            version = self.workers[index].view.committing
            self.says(index, control.Committed(version, self.now + index / 4))

    def dies(self, index, status=-9):
        worker = self.workers[index]
        preparing = worker.view.preparing
        worker.bury()
        self.reload.gone(worker, preparing=preparing, status=status)
        self.reload.advance()

    def boots(self, index):
        self.workers[index].start()
        self.says(index, control.Booted())

    def serves(self, version):
        """Let all workers do what they are told until this version serves."""
        self.names(version)
        self.prepared(0, 1, 2)
        self.committed(0, 1, 2)
        assert [worker.view.version for worker in self.workers] == [version] * 3
        self.told()

    def told(self):
        """What each worker was told since."""
        told = []
        for worker in self.workers:
            for message in worker.told:
                version = getattr(message, "version", "")
                told.append(f"{worker.index} {type(message).__name__} {version}".rstrip())
            worker.told = []
        return told


@pytest.fixture
def service():
    return Service()


def test_one_prepares_then_the_others_and_it_is_done_when_the_last_has_changed_over(service):
    service.label = "new"
    service.look()
    assert service.verifications.begun == ["new"]
    assert service.reload.loading == control.Loading("new", "VERIFYING", 10.0)
    service.verified()
    assert service.workers[0].told == [control.Prepare("new", 1, service.files())]
    service.prepared(0)
    assert service.told() == ["0 Prepare new", "1 Prepare new", "2 Prepare new"]
    service.prepared(2)
    assert service.told() == []
    assert service.reload.loading == control.Loading("new", "PREPARING", 10.0)
    service.prepared(1)
    assert service.told() == ["0 Commit new", "1 Commit new", "2 Commit new"]
    assert service.reload.known.committed == "new"
    service.committed(1)
    # One that dies instead is not waited for.
    service.dies(0)
    assert (service.reload.loading, service.reload.last) == (None, None)
    service.now += 1
    service.committed(2)
    [last] = service.ended
    assert service.reload.last is last
    assert last == control.ReloadFacts("new", True, "", 1.5, last.ended_at, 1.25)
    assert last.ended_at > 1e9
    # What one says that joins later is no part of it.
    service.boots(0)
    service.prepared(0)
    service.committed(0)
    assert service.told() == ["0 Prepare new", "0 Commit new", "0 Listen"]
    assert service.ended == [last]


def test_one_that_cannot_prepare_keeps_all_with_what_they_serve(service):
    service.serves("old")
    service.names("new")
    service.prepared(0)
    service.refuses(1, "Too many open files", passing=True)
    assert service.told()[-3:] == ["1 Prepare new", "2 Prepare new", "2 Abandon"]
    assert service.reload.known.committed == "old"
    last, failed = service.reload.last, service.reload.failed["new"]
    reason = "worker 1: Too many open files"
    assert last == control.ReloadFacts("new", False, reason, 0.0, last.ended_at)
    assert failed == control.FailedVersion("new", reason, failed.failed_at, True)
    assert failed.failed_at == pytest.approx(last.ended_at, abs=10)
    # That passes.
    service.waits(1)
    service.verified()
    assert service.told() == ["0 Prepare new"]
    service.refuses(0, "is broken")
    assert not service.reload.failed["new"].passing
    service.waits(1e6)
    service.look()
    assert not service.verifications.busy


def test_one_that_takes_too_long_fails_the_version_which_is_tried_when_it_may_be(service):
    service.serves("old")
    service.names("new")
    service.workers[0].now += 301
    service.reload.prepare_took_too_long(service.workers[0])
    service.reload.advance()
    assert service.told() == ["0 Prepare new", "0 Abandon"]
    assert service.reload.last.reason == "worker 0: couldn't be prepared in 301 s"
    assert service.reload.failed["new"].passing
    # Trying costs much, so that it waits.
    for seconds, tries in ((20, False), (10, True)):
        service.waits(seconds)
        assert service.verifications.busy == tries
    # Or at once when somebody asks, but no longer than it is wanted.
    service.verified()
    service.refuses(0, "no memory", passing=True)
    service.reload.retry_now()
    service.reload.advance()
    assert (service.verifications.begun, service.verifications.wanted) == (["new"], True)
    service.label = "old"
    service.look()
    assert not service.verifications.wanted


def test_the_latest_twenty_versions_that_failed_are_kept(service):
    names = [f"v{number}" for number in range(25)]
    # The sixth fails once more, and so later than the others.
    for name in [*names, names[5]]:
        service.names(name, problem=BROKEN)
    assert [*service.reload.failed] == [*names[6:], names[5]]
    # One that serves after all is none of them.
    service.state += 1
    service.serves(names[7])
    assert [*service.reload.failed] == [names[6], *names[8:], names[5]]


def test_a_late_worker_gets_none_but_verified_files(service):
    service.serves("old")
    service.changes(problem=BROKEN)
    service.dies(1)
    service.boots(1)
    assert service.told() == []
    service.changes()
    assert service.told() == ["1 Prepare old"]
    # It may see another change before a look does.
    service.state += 1
    service.refuses(1, "changed", changed=True)
    assert service.verifications.begun == ["old"]
    service.verified()
    assert service.told() == ["1 Abandon", "1 Prepare old"]


def test_the_log_tells_each_thing_once(service, caplog):
    caplog.set_level("INFO")
    for _ in range(3):
        service.names(None)
    assert service.reload.problem() == "the label can't be read"
    service.verifications.hangs = "the verification of new goes on"
    assert service.reload.problem() == "the verification of new goes on"
    service.names("new", problem=AWAY)
    for _ in range(2):
        service.waits(1)
        service.verified()
    service.changes(problem=BROKEN)
    service.state += 1
    service.serves("new")
    service.names("newer", problem=BROKEN)
    service.names("new")
    service.changes(problem=BROKEN)
    problem = service.reload.known.served.problem()
    assert "vectors changed in the served version new: it is broken" in problem
    # Many hosts don't try again at the same moment.
    assert service.reload.known.chance < 1
    service.changes()
    assert service.reload.known.served.problem() == ""
    service.dies(1)
    service.boots(1)
    service.refuses(1, "out of memory")
    assert service.workers[1].killed
    for index in range(3):
        service.dies(index)
    service.boots(1)
    service.refuses(1, "is wrong")
    assert service.reload.known.committed is None
    assert service.told()[-2:] == ["1 Abandon", "1 Listen"]
    assert caplog.messages == [
        "the label can't be read",
        "version new can't be loaded now: /v: is stale; trying again in 1 s; no version is served",
        "version new can't be served: it is broken; no version is served",
        "version new is served, 0.500 s after it was noticed; all workers switched within 500.0 ms",
        "version newer can't be served: it is broken; version new stays in service",
        problem,
        "the files of version new are right again",
        "worker 1 can't prepare new: out of memory",
        "worker 1 can't prepare new: is wrong",
        "no worker can serve version new any more",
    ]
