"""Reloading with workers that are lists of messages, on real volumes."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Event

import pytest

from lightfm_retriever.publication import labels, layout, verification
from lightfm_retriever.publication.errors import MissingFileError, VolumeError
from retriever import control
from retriever.errors import UnverifiedError
from retriever.parent.reloading.label_watch import Seen
from tests import publications, retrievable
from tests.unit.retriever.parent.reloading.reloading import Service, prepare


@pytest.fixture
def service(tmp_path):
    return Service(tmp_path)


def both(*messages):
    return [list(messages)] * 2


def test_nothing_published_leaves_the_workers_alone_and_the_reason_visible(service):
    service.poll()
    assert service.told() == both()
    assert service.reload.known.target is None
    assert "nothing is published under it" in service.reload.known.label_problem
    assert service.reload.last is None
    assert service.reload.failed == {}


def test_one_prepares_then_the_others_and_all_commit_when_the_last_is_ready(tmp_path):
    service = Service(tmp_path, workers=3)
    first, second, third = service.workers
    version = retrievable.publish(service.volume)
    service.poll()
    assert service.told() == [[prepare(version)], [], []]
    service.prepared(first, version)
    assert service.told() == [[], [prepare(version)], [prepare(version)]]
    service.prepared(third, version)
    assert service.told() == [[], [], []]
    assert service.reload.known.committed is None
    service.prepared(second, version)
    assert service.told() == [[control.Commit(version)]] * 3
    assert service.reload.known.committed == version


def test_it_is_done_when_the_last_worker_changed_over(tmp_path):
    service = Service(tmp_path, workers=3)
    version = retrievable.publish(service.volume)
    service.poll()
    begun_at = service.reload.loading.since
    for worker in service.workers:
        service.prepared(worker, version)
    for worker, seconds in zip(service.workers, (1.5, 1.25, 2.0), strict=True):
        assert service.reload.last is None
        service.committed(worker, version, at=begun_at + seconds)
    last = service.reload.last
    assert (last.version, last.succeeded, last.reason) == (version, True, "")
    assert last.seconds == pytest.approx(2.0)
    assert last.commit_spread_seconds == pytest.approx(0.75)
    assert last.ended_at > 0


def test_a_worker_that_dies_instead_of_changing_over_is_not_waited_for(tmp_path):
    service = Service(tmp_path, workers=3)
    version = retrievable.publish(service.volume)
    service.poll()
    begun_at = service.reload.loading.since
    for worker in service.workers:
        service.prepared(worker, version)
    service.committed(service.workers[0], version, at=begun_at + 1)
    service.dies(service.workers[1])
    assert service.reload.last is None
    service.committed(service.workers[2], version, at=begun_at + 3)
    last = service.reload.last
    assert (last.succeeded, last.commit_spread_seconds) == (True, pytest.approx(2))
    # What a worker says that joins later is no part of it.
    service.boots(service.workers[1])
    service.prepared(service.workers[1], version)
    service.committed(service.workers[1], version, at=begun_at + 100)
    assert service.reload.last == last


def test_a_version_that_serves_is_not_loaded_again(service):
    version = retrievable.publish(service.volume)
    service.serve(version)
    for _ in range(3):
        service.poll()
    assert service.told() == both()


# ---- workers that boot


def test_with_nothing_to_serve_workers_take_calls_as_soon_as_they_booted(tmp_path):
    service = Service(tmp_path, running=False)
    service.poll()
    for worker in service.workers:
        service.boots(worker)
    for _ in range(3):
        service.poll()
    assert service.told() == both(control.Listen())


def test_a_worker_that_takes_calls_with_nothing_to_serve_gets_what_is_published_later(tmp_path):
    service = Service(tmp_path, running=False)
    for worker in service.workers:
        service.boots(worker)
        service.say(worker, control.Listening())
    service.told()
    service.serve(retrievable.publish(tmp_path))


def test_a_worker_that_boots_later_takes_calls_when_it_serves_what_the_others_do(service):
    version = retrievable.publish(service.volume)
    service.serve(version)
    late, other = service.workers
    service.dies(late)
    service.boots(late)
    assert service.told() == [[prepare(version)], []]
    service.prepared(late, version)
    assert service.told() == [[control.Commit(version)], []]
    service.committed(late, version)
    assert service.told() == [[control.Listen()], []]
    service.say(late, control.Listening())
    service.poll()
    assert late.version == other.version == version
    assert service.told() == both()


def test_a_worker_that_cannot_prepare_what_the_others_serve_is_started_afresh(service):
    """Beside others that serve it must not answer that nothing is published."""
    version = retrievable.publish(service.volume)
    service.serve(version)
    late, other = service.workers
    service.dies(late)
    service.boots(late)
    service.refuses(late, version, "out of memory")
    assert late.killed
    assert control.Listen() not in late.told
    assert service.reload.known.committed == version
    assert not other.killed


def test_a_worker_that_boots_during_a_reload_ends_up_with_what_the_others_serve(service):
    """It was told to prepare what served when it booted, and answers when that serves no more."""
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    service.poll()
    other, late = service.workers
    service.dies(late)
    service.told()
    service.boots(late)
    assert service.told() == [[], [prepare(old)]]
    service.prepared(other, new)
    service.committed(other, new)
    assert service.reload.known.committed == new
    service.told()
    service.prepared(late, old)
    assert service.told() == [[], [control.Abandon(), prepare(new)]]
    service.prepared(late, new)
    service.committed(late, new)
    assert service.told() == [[], [control.Commit(new), control.Listen()]]


def test_one_that_booted_with_nothing_to_serve_does_not_listen_once_others_serve(tmp_path):
    """Its version is the wrong one as soon as the others were told to commit."""
    service = Service(tmp_path, workers=2)
    first, late = service.workers
    service.dies(late)
    version = retrievable.publish(tmp_path)
    service.poll()
    service.prepared(first, version)
    assert service.reload.known.committed == version
    service.told()
    service.boots(late)
    assert service.told() == [[], [prepare(version)]]
    service.prepared(late, version)
    assert service.told() == [[], [control.Commit(version)]]
    service.committed(late, version)
    assert service.told() == [[], [control.Listen()]]


# ---- versions that can't be loaded


def test_one_worker_that_cannot_prepare_keeps_all_with_what_they_serve(service):
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    service.poll()
    first, second = service.workers
    service.prepared(first, new)
    service.told()
    service.refuses(second, new, "no memory left")
    assert service.told() == [[control.Abandon()], []]
    assert service.reload.known.committed == old
    last = service.reload.last
    assert (last.version, last.succeeded, last.reason) == (new, False, "worker 1: no memory left")
    failed = service.reload.failed[new]
    assert (failed.version, failed.reason) == (new, "worker 1: no memory left")
    service.poll()
    assert service.told() == both()


@pytest.mark.parametrize("name", [*publications.FILES, layout.MANIFEST])
def test_a_damaged_file_is_named_and_the_old_version_goes_on(service, name):
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    path = layout.version_dir(service.volume, new) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    publications.overwrite(path, bytes(data))
    service.poll()
    assert service.told() == both()
    assert service.reload.known.committed == old
    assert not service.reload.last.succeeded
    assert str(path) in service.reload.last.reason
    assert service.reload.failed[new].reason == service.reload.last.reason


def test_a_version_that_failed_is_tried_again_when_a_file_of_it_changed(service, monkeypatch):
    version = retrievable.publish(service.volume)
    tried = verifications(monkeypatch)
    path = layout.version_dir(service.volume, version) / "items.trie"
    data = path.read_bytes()
    publications.overwrite(path, data[:-1])
    for _ in range(3):
        service.poll()
    assert tried == [version]
    publications.overwrite(path, data)
    service.poll()
    assert tried == [version] * 2
    assert service.told() == [[prepare(version)], []]


def test_a_version_that_failed_is_tried_again_when_the_label_went_elsewhere_and_came_back(
    service, monkeypatch
):
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    service.poll()
    service.refuses(service.workers[0], new, "no memory left")
    tried = verifications(monkeypatch)
    service.poll()
    labels.promote(service.volume, old)
    service.poll()
    assert tried == []
    labels.promote(service.volume, new)
    service.poll()
    assert tried == [new]


def test_a_version_that_failed_is_not_tried_again_when_the_label_could_not_be_read_meanwhile(
    service, monkeypatch
):
    version = retrievable.publish(service.volume)
    publications.overwrite(layout.version_dir(service.volume, version) / "items.trie", b"")
    tried = verifications(monkeypatch)
    service.poll()
    label = layout.label_file(service.volume, "current")
    for content in (b"rubbish", version.encode()):
        label.write_bytes(content)
        service.poll()
    assert tried == [version]


# ---- what passes


@pytest.mark.parametrize(
    "problem",
    [
        VolumeError(Path("/data"), "Stale file handle"),
        UnverifiedError("b", "Stale file handle"),
        OSError(116, "Stale file handle"),
        MemoryError("Stale file handle"),
    ],
    ids=["volume", "process", "system", "memory"],
)
def test_what_says_nothing_about_a_version_is_tried_again_later_and_later_and_logged_once(
    service, monkeypatch, caplog, problem
):
    version = retrievable.publish(service.volume)
    answers = [problem] * 3 + [None]
    tried = []

    def verify(_, version):
        tried.append(version)
        if problem := answers.pop(0):
            raise problem

    monkeypatch.setattr(verification, "verify", verify)
    for times, pause in ((1, 1), (2, 2), (3, 4)):
        service.poll()
        # Before its time only if somebody asks for it.
        service.poll()
        assert tried == [version] * times
        failed = service.reload.failed[version]
        assert "Stale file handle" in failed.reason
        assert failed.passing
        service.later += pause
    assert caplog.text.count("Stale file handle") == 1
    assert "can't be loaded now, and is tried again in 1 s" in caplog.text
    service.serve(version)
    assert service.reload.failed == {}


def test_it_needs_no_look_at_the_volume(service, monkeypatch):
    """Which may be seldom."""
    retrievable.publish(service.volume)
    tried = failing(monkeypatch, UnverifiedError("b", "no memory"))
    service.poll()
    service.later += 1
    service.reload.advance()
    service.verify()
    assert len(tried) == 2


def test_what_was_not_there_for_a_moment_is_looked_for_again(service, monkeypatch):
    retrievable.publish(service.volume)
    tried = failing(monkeypatch, MissingFileError(Path("x")))
    service.poll()
    service.later += 31
    service.poll()
    assert len(tried) == 2


def test_a_worker_that_lacks_something_leaves_the_version_to_be_tried_again(service):
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    service.poll()
    first = service.workers[0]
    service.refuses(first, new, "Too many open files", passing=True)
    failed = service.reload.failed[new]
    assert (failed.reason, failed.passing) == ("worker 0: Too many open files", True)
    service.told()
    service.later += 1
    service.poll()
    assert service.told() == [[prepare(new)], []]
    service.refuses(first, new, "is broken")
    assert not service.reload.failed[new].passing
    service.later += 1e6
    service.poll()
    assert service.told() == both()


@pytest.mark.parametrize("statuses", [(-9, -9), (-9, -11), (-7, -7), (1, 1), (-15, -9)])
def test_workers_that_are_killed_from_outside_blame_no_version(service, statuses):
    """By the kernel for instance, while memory lacks. Each attempt may cost two: they are rare."""
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    service.poll()
    dies_of(service, old, statuses)
    failed = service.reload.failed[new]
    assert f"ended with status {statuses[-1]} while it prepared" in failed.reason
    assert failed.passing
    service.told()
    service.later += 20
    service.poll()
    assert service.told() == both()
    service.later += 10
    service.poll()
    assert service.told() == [[prepare(new)], []]


def test_one_that_takes_too_long_is_tried_again_after_as_long_at_the_least(service):
    new = retrievable.publish(service.volume)
    service.poll()
    service.later += 301
    service.takes_too_long(service.workers[0])
    assert service.reload.failed[new].passing
    service.told()
    for seconds, orders in ((290, both()), (100, [[prepare(new)], []])):
        service.later += seconds
        service.poll()
        assert service.told() == orders


def test_a_version_that_does_not_exist_yet_is_loaded_when_it_appears(service, tmp_path):
    version = retrievable.publish(tmp_path / "elsewhere")
    label = layout.label_file(service.volume, "current")
    label.parent.mkdir()
    label.write_text(version)
    service.poll()
    assert f"version '{version}' isn't on the volume" in service.reload.last.reason
    shutil.copytree(layout.versions_dir(tmp_path / "elsewhere"), layout.versions_dir(service.volume))
    service.serve(version)


def test_a_version_that_is_repaired_while_it_is_verified_is_tried_again(service, monkeypatch):
    """What was found broken is what was there when it began."""
    version = retrievable.publish(service.volume)
    path = layout.version_dir(service.volume, version) / "items.trie"
    data = path.read_bytes()
    publications.overwrite(path, data[:-1])
    verify = verification.verify

    def repaired_meanwhile(volume, version):
        try:
            verify(volume, version)
        finally:
            publications.overwrite(path, data)

    monkeypatch.setattr(verification, "verify", repaired_meanwhile)
    service.poll()
    assert not service.reload.last.succeeded
    service.poll()
    assert service.told() == [[prepare(version)], []]


def test_an_endless_reason_is_cut(service):
    """It goes to every worker, and one that has no room for it is taken for stuck and killed."""
    version = retrievable.publish(service.volume)
    directory = layout.version_dir(service.volume, version)
    publications.edit_manifest(
        directory, lambda content: content.update(checksum="é" * 10**6), sign=False
    )
    service.poll()
    for reason in (service.reload.last.reason, service.reload.failed[version].reason):
        assert f"{directory / layout.MANIFEST}: checksum is" in reason
        assert len(reason.encode()) < 4096


def test_an_unexpected_error_while_verifying_is_a_failure_with_its_name(service, monkeypatch):
    version = retrievable.publish(service.volume)

    def broken(volume, version):
        raise RuntimeError("no idea")

    monkeypatch.setattr(verification, "verify", broken)
    service.poll()
    last = service.reload.last
    assert (last.version, last.succeeded, last.reason) == (
        version,
        False,
        "an unexpected error: no idea",
    )


def test_the_latest_twenty_versions_that_failed_are_kept(service, monkeypatch):
    names = [f"20261124T0435{number:02}Z-3fa9c1" for number in range(25)]
    monkeypatch.setattr(verification, "verify", lambda *_: 1 / 0)
    # The sixth fails once more, and so later than the others.
    for name in [*names, names[5]]:
        service.look(Seen(name))
        service.verify()
    assert [*service.reload.failed] == [*names[6:], names[5]]
    assert all(
        failed.reason.startswith("an unexpected error: division by zero")
        for failed in service.reload.failed.values()
    )


def test_a_version_that_serves_after_all_is_no_failed_one_any_more(service):
    first, second = (retrievable.publish(service.volume, seed=seed) for seed in (1, 2))
    for version in (first, second):
        labels.promote(service.volume, version)
        service.poll()
        service.refuses(service.workers[0], version, "no memory left")
    assert [*service.reload.failed] == [first, second]
    labels.promote(service.volume, first)
    service.serve(first)
    assert [*service.reload.failed] == [second]


# ---- labels


@pytest.mark.parametrize("content", [b"", b"rubbish", b"../versions", b"\xff\xfe", b"x" * 1000])
def test_a_label_that_cannot_be_followed_changes_nothing(service, content):
    version = retrievable.publish(service.volume)
    service.serve(version)
    layout.label_file(service.volume, "current").write_bytes(content)
    service.poll()
    assert (service.reload.known.target, service.reload.known.committed) == (None, version)
    assert "should hold a version's name" in service.reload.known.label_problem
    assert service.told() == both()
    labels.promote(service.volume, version)
    service.poll()
    assert (service.reload.known.target, service.reload.known.label_problem) == (version, "")


def test_a_volume_that_vanishes_changes_nothing_and_may_return(service):
    version = retrievable.publish(service.volume)
    service.serve(version)
    hidden = service.volume.with_name("hidden")
    service.volume.rename(hidden)
    service.poll()
    assert service.reload.known.committed == version
    assert service.reload.known.label_problem
    hidden.rename(service.volume)
    newer = retrievable.publish(service.volume, seed=2)
    service.serve(newer)


def test_a_problem_of_the_label_is_logged_once(service, caplog):
    for _ in range(3):
        service.poll()
    assert caplog.text.count("nothing is published under it") == 1


def test_a_label_that_moves_on_while_a_version_is_prepared_abandons_it(service):
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    service.poll()
    service.prepared(service.workers[0], new)
    labels.promote(service.volume, old)
    service.told()
    service.poll()
    assert service.told() == both(control.Abandon())
    # What was on its way to the parent then counts for nothing.
    service.prepared(service.workers[1], new)
    assert service.reload.known.committed == old
    assert service.told() == both()


def test_a_candidate_that_is_abandoned_disturbs_neither_those_that_change_over_nor_one_that_joins(
    tmp_path,
):
    service = Service(tmp_path, workers=3)
    old, new, newer = (retrievable.publish(service.volume, seed=seed) for seed in (1, 2, 3))
    first, second, late = service.workers
    labels.promote(service.volume, old)
    service.serve(old)
    labels.promote(service.volume, new)
    service.poll()
    service.dies(late)
    service.prepared(first, new)
    service.prepared(second, new)
    service.boots(late)
    assert service.told() == [[prepare(new), control.Commit(new)]] * 2 + [[prepare(new)]]
    labels.promote(service.volume, newer)
    service.poll()
    labels.promote(service.volume, new)
    service.poll()
    assert service.told() == [[], [], []]
    assert service.reload.known.committed == new


@pytest.mark.parametrize("refused", [False, True])
def test_an_answer_to_an_order_that_was_taken_back_counts_for_nothing(service, refused):
    """It is about the same version, and comes after the order was given again."""
    version, other = (retrievable.publish(service.volume, seed=seed) for seed in (1, 2))
    service.serve(other)
    first = service.workers[0]
    for target in (version, other, version):
        labels.promote(service.volume, target)
        service.poll()
    late = control.PrepareFailed(version, first.order - 1, "no memory left")
    service.told()
    service.say(first, late if refused else control.Prepared(version, first.order - 1))
    assert service.reload.failed == {}
    assert service.told() == both()
    service.prepared(first, version)
    assert service.told() == [[], [prepare(version)]]


# ---- workers that die, or never answer, while they prepare


def test_a_worker_that_dies_after_it_prepared_is_not_waited_for(service):
    version = retrievable.publish(service.volume)
    service.poll()
    dying, other = service.workers
    service.prepared(dying, version)
    service.dies(dying)
    assert service.reload.known.committed is None
    service.told()
    service.prepared(other, version)
    assert service.told() == [[], [control.Commit(version)]]


def test_a_worker_that_dies_while_it_prepares_after_the_first_is_not_waited_for(service):
    version = retrievable.publish(service.volume)
    service.poll()
    first, dying = service.workers
    service.prepared(first, version)
    service.told()
    service.dies(dying)
    assert service.told() == [[control.Commit(version)], []]
    assert service.reload.failed == {}


def test_when_the_first_dies_once_it_begins_again_when_that_one_is_back(service, monkeypatch):
    """That may be chance: somebody killed it. If it isn't, only one worker at a time is missing."""
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    version = retrievable.publish(service.volume, seed=2)
    service.poll()
    first, other = service.workers
    service.told()
    tried = verifications(monkeypatch)
    service.dies(first)
    service.verify()
    assert tried == [version]
    assert service.reload.failed == {}
    service.boots(first)
    service.prepared(first, old)
    assert service.told() == [[prepare(old), control.Commit(old)], []]
    service.committed(first, old)
    assert service.told() == [[prepare(version), control.Listen()], []]
    service.prepared(first, version)
    service.prepared(other, version)
    for worker in service.workers:
        service.committed(worker, version)
    assert service.reload.last.succeeded
    assert (service.reload.known.committed, service.reload.failed) == (version, {})


def test_when_the_first_dies_twice_the_version_is_a_failed_one(service, monkeypatch):
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    service.poll()
    first, second = service.workers
    for _ in range(2):
        assert service.reload.failed == {}
        assert prepare(new) in service.told()[0]
        service.dies(first, status=-11)
        service.verify()
        service.boots(first)
        service.prepared(first, old)
        service.committed(first, old)
    assert service.reload.failed[new].reason == service.reload.last.reason
    assert "ended with status -11 while it prepared" in service.reload.last.reason
    assert service.reload.known.committed == old
    assert (first.version, second.version) == (old, old)
    # It isn't tried again.
    assert service.told() == [[prepare(old), control.Commit(old), control.Listen()], []]
    tried = verifications(monkeypatch)
    service.poll()
    assert tried == []
    assert service.told() == both()


def test_deaths_are_counted_anew_once_a_version_serves(service):
    """Now and then one that could be loaded between them is chance."""
    versions = [retrievable.publish(service.volume, seed=seed) for seed in (1, 2)]
    service.serve(versions[1])
    for turn in range(4):
        target, before = versions[turn % 2], service.reload.known.committed
        labels.promote(service.volume, target)
        service.poll()
        first, second = service.workers
        service.dies(first)
        service.verify()
        service.boots(first)
        service.prepared(first, before)
        service.committed(first, before)
        for worker in (first, second):
            service.prepared(worker, target)
        for worker in (first, second):
            service.committed(worker, target)
        assert service.reload.known.committed == target
        assert service.reload.failed == {}


def test_when_all_die_while_they_prepare_it_begins_again(service, monkeypatch):
    """Killed from outside, before either could be the second to die of the version."""
    version = retrievable.publish(service.volume)
    service.poll()
    service.told()
    tried = verifications(monkeypatch)
    # The one that prepares, and the one that waits for it.
    for worker in service.workers:
        service.dies(worker)
    service.verify()
    assert service.reload.known.committed is None
    assert tried == [version]
    for worker in service.workers:
        service.boots(worker)
    assert prepare(version) in service.all_told()


def test_a_worker_that_dies_of_what_nobody_serves_any_more_leaves_the_choice_to_the_label(service):
    """Otherwise its like would die of it for ever, whatever else is published."""
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    for worker in service.workers:
        service.dies(worker)
    joining, other = service.workers
    newer = retrievable.publish(service.volume, seed=2)
    service.poll()
    for times in (1, 2):
        assert service.reload.known.committed == old
        service.boots(joining)
        assert service.told() == [[prepare(old)], []], times
        service.dies(joining, status=-11)
    assert service.reload.known.committed is None
    service.boots(other)
    assert prepare(newer) in service.told()[1]
    service.prepared(other, newer)
    assert service.reload.known.committed == newer


def test_when_nobody_serves_it_any_more_and_nobody_can_the_label_decides_anew(service):
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    for worker in service.workers:
        service.dies(worker)
    for worker in service.workers:
        service.boots(worker)
    service.told()
    first, second = service.workers
    service.refuses(first, old, "it is gone")
    assert not first.killed
    assert service.reload.known.committed is None
    # The other one's answer is to an order that isn't wanted any more.
    service.prepared(second, old)
    service.verify()
    assert second.prepared is None
    # Both begin with what the label names, together.
    for worker in service.workers:
        service.prepared(worker, old)
    assert service.reload.known.committed == old


def test_one_that_takes_too_long_fails_the_version(service):
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    service.poll()
    service.told()
    service.takes_too_long(service.workers[0], seconds=301)
    assert service.reload.failed[new].reason == "worker 0: not prepared in 301 s"
    assert service.told() == [[control.Abandon()], []]
    assert service.reload.known.committed == old
    # What it says in the end is too late.
    service.prepared(service.workers[0], new)
    assert service.told() == both()


def test_one_that_takes_too_long_to_join_is_started_afresh(service):
    version = retrievable.publish(service.volume)
    service.serve(version)
    late, other = service.workers
    service.dies(late)
    service.boots(late)
    service.takes_too_long(late)
    assert late.killed
    assert (service.reload.known.committed, service.reload.failed) == (version, {})
    assert not other.killed


# ---- threads that verify


def test_a_result_for_a_version_that_was_abandoned_meanwhile_counts_for_nothing(service, monkeypatch):
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    done = Event()

    def slow(volume, version):
        assert done.wait(30)

    monkeypatch.setattr(verification, "verify", slow)
    service.look(Seen(new))
    service.look(Seen(old))
    done.set()
    assert service._verified.wait(30)
    service.reload.advance()
    assert service.told() == both()
    assert service.reload.known.committed == old


def test_the_verdict_on_one_version_is_not_taken_for_that_on_another(service, monkeypatch):
    """The label moved from a good version, which is still being read, to a broken one."""
    good = retrievable.publish(service.volume, seed=1)
    broken = retrievable.publish(service.volume, seed=2)
    publications.overwrite(layout.version_dir(service.volume, broken) / "items.trie", b"")
    verify = verification.verify
    may_end = {good: Event(), broken: Event()}

    def slow(volume, version):
        assert may_end[version].wait(30)
        return verify(volume, version)

    monkeypatch.setattr(verification, "verify", slow)
    for target in (good, broken):
        service.look(Seen(target))
    for version in (good, broken):
        service._verified.clear()
        may_end[version].set()
        assert service._verified.wait(30)
        service.reload.advance()
        assert service.told() == both()
    assert (service.reload.last.version, service.reload.last.succeeded) == (broken, False)


def failing(monkeypatch, problem):
    """The versions that are verified from now on, each of which fails."""
    tried = []

    def verify(_, version):
        tried.append(version)
        raise problem

    monkeypatch.setattr(verification, "verify", verify)
    return tried


def dies_of(service, old, statuses):
    """Let the first worker die so, each time while it prepares, and come back to what serves."""
    first = service.workers[0]
    for status in statuses:
        service.dies(first, status=status)
        service.verify()
        service.boots(first)
        service.prepared(first, old)
        service.committed(first, old)
        service.say(first, control.Listening())


def verifications(monkeypatch):
    """The versions that are verified from now on."""
    tried = []
    verify = verification.verify
    monkeypatch.setattr(
        verification,
        "verify",
        lambda volume, version: (tried.append(version), verify(volume, version)),
    )
    return tried


def publish(service):
    version = publications.publish(service.volume)
    labels.promote(service.volume, version)
    service.serve(version)
    return version


def spoil(service, version, data=b"\x00"):
    """Replace a file of a version by another of equal size; returns what puts the right one back."""
    path = layout.version_dir(service.volume, version) / layout.SEEN_ITEMS
    right = path.read_bytes()

    def replace(content):
        other = path.with_name("other")
        other.write_bytes(content)
        other.replace(path)

    replace(data * len(right))
    return lambda: replace(right)


def verify_served(service):
    """Look, and wait for what serves to be verified anew."""
    service._verified.clear()
    service.look_now()
    assert service._verified.wait(30)
    service._verified.clear()
    service.reload.advance()


def test_a_late_worker_gets_none_but_verified_files(service):
    first = publish(service)
    put_back = spoil(service, first)
    verify_served(service)
    assert "seen_items.npy changed" in service.reload.known.served.problem()
    assert "SHA-256 is" in service.reload.known.served.problem()
    worker = service.workers[1]
    service.dies(worker)
    service.boots(worker)
    assert service.told() == [[], []]
    assert service.reload.known.committed == first
    put_back()
    verify_served(service)
    assert service.reload.known.served.problem() == ""
    assert service.told() == [[], [prepare(first)]]
    assert worker.told == []


def test_when_no_worker_is_left_nothing_is_served_rather_than_what_is_wrong(service):
    first = publish(service)
    put_back = spoil(service, first)
    verify_served(service)
    for worker in service.workers:
        service.dies(worker)
    for worker in service.workers:
        service.boots(worker)
    service.verify()
    assert service.reload.known.committed is None
    assert "SHA-256" in service.reload.failed[first].reason
    assert service.told() == [[control.Listen()], [control.Listen()]]
    for worker in service.workers:
        service.say(worker, control.Listening())
    put_back()
    service.serve(first)


def test_files_that_changed_and_are_right_are_verified_and_alarm_nobody(service):
    first = publish(service)
    path = layout.version_dir(service.volume, first) / layout.SEEN_ITEMS
    path.chmod(0o444 if path.stat().st_mode & 0o200 else 0o644)
    verify_served(service)
    assert (service.reload.known.served.problem(), service.reload.known.served.sound) == ("", True)


def test_a_worker_that_finds_other_files_waits_until_they_are_verified(service):
    first = publish(service)
    worker = service.workers[1]
    service.dies(worker)
    service.boots(worker)
    assert service.told() == [[], [prepare(first)]]
    service._verified.clear()
    service.say(worker, control.PrepareFailed(first, worker.order, "changed", changed=True))
    assert not worker.killed
    assert service.told() == [[], [control.Abandon()]]
    assert service._verified.wait(30)
    service.reload.advance()
    assert service.told() == [[], [prepare(first)]]
