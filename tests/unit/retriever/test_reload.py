"""Reloading with workers that are lists of messages, on real volumes."""

from __future__ import annotations

import shutil
from threading import Event

import pytest

from publication import labels, layout
from retriever import control, reload
from tests import publications, retrievable
from tests.unit.retriever.reloading import Service


@pytest.fixture
def service(tmp_path):
    return Service(tmp_path)


def both(*messages):
    return [list(messages)] * 2


def test_nothing_published_leaves_the_workers_alone_and_the_reason_visible(service):
    service.poll()
    assert service.told() == both()
    assert service.reload.target is None
    assert "nothing is published under it" in service.reload.label_problem
    assert service.reload.last is None


def test_a_version_is_prepared_by_all_and_committed_when_the_last_is_ready(service):
    version = retrievable.publish(service.volume)
    service.poll()
    assert service.told() == both(control.Prepare(version))
    first, second = service.workers
    service.say(first, control.Prepared(version))
    assert service.told() == both()
    assert service.reload.committed is None
    service.say(second, control.Prepared(version))
    assert service.told() == both(control.Commit(version))
    assert service.reload.committed == version
    last = service.reload.last
    assert (last.version, last.succeeded, last.reason) == (version, True, "")
    assert last.seconds >= 0
    assert last.ended_at > 0


def test_a_version_that_serves_is_not_loaded_again(service):
    version = retrievable.publish(service.volume)
    service.serve(version)
    for _ in range(3):
        service.poll()
    assert service.told() == both()


def test_workers_that_still_boot_are_waited_for(tmp_path):
    version = retrievable.publish(tmp_path)
    service = Service(tmp_path, running=False)
    for worker in service.workers:
        worker.state = "starting"
    service.poll()
    service.say(service.workers[0], control.Booted())
    assert service.told() == both()
    service.say(service.workers[1], control.Booted())
    assert service.told() == both(control.Prepare(version))


def test_a_worker_that_boots_later_gets_what_the_others_serve(service):
    version = retrievable.publish(service.volume)
    service.serve(version)
    late, other = service.workers
    late.bury()
    late.state = "starting"
    service.say(late, control.Booted())
    assert service.told() == [[control.Prepare(version)], []]
    service.say(late, control.Prepared(version))
    assert service.told() == [[control.Commit(version)], []]
    service.say(late, control.Committed(version))
    assert late.version == other.version == version
    assert service.told() == both()


def test_a_worker_that_cannot_prepare_what_the_others_serve_is_started_afresh(service):
    """Beside others that serve it must not answer that nothing is published."""
    version = retrievable.publish(service.volume)
    service.serve(version)
    late = service.workers[0]
    late.bury()
    late.state = "starting"
    service.say(late, control.Booted())
    service.say(late, control.PrepareFailed(version, "out of memory"))
    assert late.killed
    assert service.reload.committed == version
    assert not service.workers[1].killed


def test_one_worker_that_cannot_prepare_keeps_all_with_what_they_serve(service):
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    service.poll()
    service.told()
    first, second = service.workers
    service.say(first, control.Prepared(new))
    service.say(second, control.PrepareFailed(new, "no memory left"))
    assert service.told() == [[control.Abandon()], []]
    assert service.reload.committed == old
    last = service.reload.last
    assert (last.version, last.succeeded, last.reason) == (new, False, "worker 1: no memory left")
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
    assert service.reload.committed == old
    assert not service.reload.last.succeeded
    assert str(path) in service.reload.last.reason


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
    assert service.told() == both(control.Prepare(version))


def test_a_version_that_failed_is_tried_again_when_the_label_went_elsewhere_and_came_back(
    service, monkeypatch
):
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    service.poll()
    service.say(service.workers[0], control.PrepareFailed(new, "no memory left"))
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


def test_a_version_that_does_not_exist_yet_is_loaded_when_it_appears(service, tmp_path):
    version = retrievable.publish(tmp_path / "elsewhere")
    label = layout.label_file(service.volume, "current")
    label.parent.mkdir()
    label.write_text(version)
    service.poll()
    assert f"version '{version}' isn't on the volume" in service.reload.last.reason
    shutil.copytree(layout.versions_dir(tmp_path / "elsewhere"), layout.versions_dir(service.volume))
    service.poll()
    assert service.told() == both(control.Prepare(version))


def test_a_version_that_is_repaired_while_it_is_verified_is_tried_again(service, monkeypatch):
    """What was found broken is what was there when it began."""
    version = retrievable.publish(service.volume)
    path = layout.version_dir(service.volume, version) / "items.trie"
    data = path.read_bytes()
    publications.overwrite(path, data[:-1])
    verify = reload.reader.verify

    def repaired_meanwhile(volume, version):
        try:
            verify(volume, version)
        finally:
            publications.overwrite(path, data)

    monkeypatch.setattr(reload.reader, "verify", repaired_meanwhile)
    service.poll()
    assert not service.reload.last.succeeded
    service.poll()
    assert service.told() == both(control.Prepare(version))


def test_an_endless_reason_is_cut(service):
    """It goes to every worker, and one that has no room for it is taken for stuck and killed."""
    version = retrievable.publish(service.volume)
    directory = layout.version_dir(service.volume, version)
    publications.edit_manifest(
        directory, lambda content: content.update(checksum="é" * 10**6), sign=False
    )
    service.poll()
    reason = service.reload.last.reason
    assert f"{directory / layout.MANIFEST}: checksum is" in reason
    assert len(reason.encode()) < 4096


@pytest.mark.parametrize("content", [b"", b"rubbish", b"../versions", b"\xff\xfe", b"x" * 1000])
def test_a_label_that_cannot_be_followed_changes_nothing(service, content):
    version = retrievable.publish(service.volume)
    service.serve(version)
    layout.label_file(service.volume, "current").write_bytes(content)
    service.poll()
    assert (service.reload.target, service.reload.committed) == (None, version)
    assert "should hold a version's name" in service.reload.label_problem
    assert service.told() == both()
    labels.promote(service.volume, version)
    service.poll()
    assert (service.reload.target, service.reload.label_problem) == (version, "")


def test_a_volume_that_vanishes_changes_nothing_and_may_return(service):
    version = retrievable.publish(service.volume)
    service.serve(version)
    hidden = service.volume.with_name("hidden")
    service.volume.rename(hidden)
    service.poll()
    assert service.reload.committed == version
    assert service.reload.label_problem
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
    service.say(service.workers[0], control.Prepared(new))
    labels.promote(service.volume, old)
    service.told()
    service.poll()
    assert service.told() == both(control.Abandon())
    # What was on its way to the parent then counts for nothing.
    service.say(service.workers[1], control.Prepared(new))
    assert service.reload.committed == old
    assert control.Commit(new) not in [message for told in service.told() for message in told]


def test_a_worker_that_dies_while_it_prepares_is_not_waited_for(service):
    version = retrievable.publish(service.volume)
    service.poll()
    service.told()
    dying, other = service.workers
    service.say(other, control.Prepared(version))
    dying.bury()
    service.reload.advance()
    assert service.told() == [[], [control.Commit(version)]]


def test_when_all_die_while_they_prepare_it_begins_again(service, monkeypatch):
    version = retrievable.publish(service.volume)
    service.poll()
    service.told()
    for worker in service.workers:
        worker.bury()
        worker.state = "starting"
    tried = verifications(monkeypatch)
    service.poll()
    assert service.reload.committed is None
    assert tried == [version]
    for worker in service.workers:
        service.say(worker, control.Booted())
    assert service.told() == both(control.Prepare(version))


def test_a_result_for_a_version_that_was_abandoned_meanwhile_counts_for_nothing(service, monkeypatch):
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    done = Event()

    def slow(volume, version):
        assert done.wait(30)

    monkeypatch.setattr(reload.reader, "verify", slow)
    service.reload.label_read(new, "")
    service.reload.advance()
    service.reload.label_read(old, "")
    service.reload.advance()
    done.set()
    assert service._verified.wait(30)
    service.reload.advance()
    assert service.told() == both()
    assert service.reload.committed == old


def test_the_verdict_on_one_version_is_not_taken_for_that_on_another(service, monkeypatch):
    """The label moved from a good version, which is still being read, to a broken one."""
    good = retrievable.publish(service.volume, seed=1)
    broken = retrievable.publish(service.volume, seed=2)
    publications.overwrite(layout.version_dir(service.volume, broken) / "items.trie", b"")
    verify = reload.reader.verify
    may_end = {good: Event(), broken: Event()}

    def slow(volume, version):
        assert may_end[version].wait(30)
        return verify(volume, version)

    monkeypatch.setattr(reload.reader, "verify", slow)
    for target in (good, broken):
        service.reload.label_read(target, "")
        service.reload.advance()
    for version in (good, broken):
        service._verified.clear()
        may_end[version].set()
        assert service._verified.wait(30)
        service.reload.advance()
        assert service.told() == both()
    assert (service.reload.last.version, service.reload.last.succeeded) == (broken, False)


def test_a_worker_that_boots_during_a_reload_ends_up_with_what_the_others_serve(service):
    """It was told to prepare what served when it booted, and answers when that serves no more."""
    old = retrievable.publish(service.volume, seed=1)
    service.serve(old)
    new = retrievable.publish(service.volume, seed=2)
    service.poll()
    late, other = service.workers
    late.bury()
    late.state = "starting"
    service.told()
    service.say(late, control.Booted())
    assert service.told() == [[control.Prepare(old)], []]
    service.say(other, control.Prepared(new))
    service.say(other, control.Committed(new))
    assert service.reload.committed == new
    service.told()
    service.say(late, control.Prepared(old))
    assert service.told() == [[control.Abandon(), control.Prepare(new)], []]
    service.say(late, control.Prepared(new))
    assert service.told() == [[control.Commit(new)], []]


def test_an_unexpected_error_while_verifying_is_a_failure_with_its_name(service, monkeypatch):
    version = retrievable.publish(service.volume)

    def broken(volume, version):
        raise RuntimeError("no idea")

    monkeypatch.setattr(reload.reader, "verify", broken)
    service.poll()
    last = service.reload.last
    assert (last.version, last.succeeded, last.reason) == (version, False, "RuntimeError: no idea")


def verifications(monkeypatch):
    """The versions that are verified from now on."""
    tried = []
    verify = reload.reader.verify
    monkeypatch.setattr(
        reload.reader,
        "verify",
        lambda volume, version: (tried.append(version), verify(volume, version)),
    )
    return tried
