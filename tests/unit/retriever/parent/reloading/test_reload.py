"""What happens, and what is told to whom: each line of a script, and behind `=>` all that follows."""

from __future__ import annotations

import pytest

from retriever import control
from tests.unit.retriever.parent.reloading.reloading import Service

SCRIPTS = {
    # It was told to prepare what served when it booted, and answers when that serves no more.
    "a worker that boots during a reload ends up with what the others serve": """
        old serves
        label new       => verify new, 0 prepare new
        1 dies
        1 boots         => 1 prepare old
        0 prepared new  => 0 commit new
        0 committed new
        1 prepared old  => 1 abandon, 1 prepare new
        1 prepared new  => 1 commit new
        1 committed new => 1 listen
        """,
    # ---- versions that can't be loaded
    "a worker that lacks something leaves the version to be tried again": """
        old serves
        label new       => verify new, 0 prepare new
        0 lacks new 'Too many open files'
        because 'worker 0: Too many open files'
        1 s             => verify new, 0 prepare new
        0 refuses new 'is broken'
        1000000 s
        """,
    "one that takes too long fails the version, which is tried again after as long at the least": """
        old serves
        label new       => verify new, 0 prepare new
        301 s
        0 late          => 0 abandon
        because 'worker 0: not prepared in 301 s'
        serving old
        0 prepared new
        300 s
        1 s             => verify new, 0 prepare new
        0 late          => 0 abandon
        40 s
        20 s            => verify new, 0 prepare new
        """,
    # ---- workers that die while they prepare
    "when the first dies twice the version is a failed one": """
        old serves
        label new       => verify new, 0 prepare new
        0 dies -11      => verify new
        0 joins old     => 0 prepare old, 0 commit old, 0 prepare new, 0 listen
        0 dies -11
        because 'ended with status -11 while it prepared'
        serving old
        0 joins old     => 0 prepare old, 0 commit old, 0 listen
        1000000 s
        look
        """,
    "when nobody serves it any more and nobody can the label decides anew": """
        old serves
        0 dies
        1 dies
        0 boots         => 0 prepare old
        1 boots         => 1 prepare old
        0 refuses old 'it is gone' => verify old, 0 abandon, 0 listen, 1 listen
        serving
        1 prepared old  => 0 prepare old, 1 abandon
        0 prepared old  => 1 prepare old
        1 prepared old  => 0 commit old, 1 commit old
        """,
    # ---- files of what serves that change
    "a late worker gets none but verified files": """
        old serves
        old is broken
        old changes
        look            => verify old
        1 dies
        1 boots
        serving old
        old is right
        old changes
        look            => verify old, 1 prepare old
        """,
    "when no worker is left nothing is served rather than what is wrong": """
        old serves
        old is broken
        old changes
        look            => verify old
        0 dies
        1 dies          => verify old
        0 boots         => 0 listen
        1 boots         => 1 listen
        serving
        failed old
        old is right
        old changes
        old serves
        """,
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_what_follows_from_what_happens(script):
    Service().run(script)


def test_one_prepares_then_the_others_and_it_is_done_when_the_last_has_changed_over():
    service = Service(workers=3)
    service.now = 10.0
    service.target = "new"
    service.look()
    assert service.reload.loading == control.Loading("new", "VERIFYING", 10.0)
    service.run("""
        look            => verify new, 0 prepare new
        0 prepared new  => 1 prepare new, 2 prepare new
        2 prepared new
        serving
        """)
    assert service.reload.loading == control.Loading("new", "PREPARING", 10.0)
    service.run("""
        1 prepared new  => 0 commit new, 1 commit new, 2 commit new
        serving new
        0 committed new 11.5
        1 committed new 11.25
        """)
    assert (service.reload.loading, service.reload.last) == (None, None)
    service.run("2 committed new 12")
    [last] = service.ended
    assert service.reload.last is last
    assert (last.version, last.succeeded, last.reason) == ("new", True, "")
    assert (last.seconds, last.commit_spread_seconds) == (2.0, 0.75)
    assert last.ended_at > 0


def test_a_worker_that_dies_instead_of_changing_over_is_not_waited_for():
    service = Service(workers=3)
    service.run("""
        label new       => verify new, 0 prepare new
        0 prepared new  => 1 prepare new, 2 prepare new
        1 prepared new
        2 prepared new  => 0 commit new, 1 commit new, 2 commit new
        0 committed new 1
        1 dies
        2 committed new 3
        20 s
        1 joins new     => 1 prepare new, 1 commit new, 1 listen
        """)
    # What a worker says that joins later is no part of it.
    [last] = service.ended
    assert (last.succeeded, last.commit_spread_seconds) == (True, 2)


def test_a_failure_is_told_with_its_reason_its_time_and_whether_it_passes():
    service = Service()
    service.run("""
        new is away
        label new       => verify new
        """)
    [last] = service.ended
    assert service.reload.last is last
    assert (last.version, last.succeeded, last.seconds) == ("new", False, 0.0)
    assert last.reason == "/v: is stale"
    failed = service.reload.failed["new"]
    assert (failed.version, failed.reason, failed.passing) == ("new", last.reason, True)
    assert failed.failed_at == pytest.approx(last.ended_at, abs=10)
    assert last.ended_at > 1e9
    service.run("new is broken")
    service.reload.retry_now()
    service.run("look => verify new")
    assert not service.reload.failed["new"].passing


def test_the_latest_twenty_versions_that_failed_are_kept():
    service = Service()
    names = [f"v{number}" for number in range(25)]
    # The sixth fails once more, and so later than the others.
    for name in [*names, names[5]]:
        service.run(f"""
            {name} is broken
            label {name}    => verify {name}
            """)
    assert [*service.reload.failed] == [*names[6:], names[5]]
    # One that serves after all is none of them.
    service.run(f"""
        {names[7]} is right
        {names[7]} changes
        {names[7]} serves
        """)
    assert [*service.reload.failed] == [names[6], *names[8:], names[5]]


def test_a_label_that_cannot_be_followed_says_why():
    service = Service()
    service.look()
    assert service.reload.problem() == "the label can't be read"
    service.verifications.hangs = "the verification of new goes on"
    assert service.reload.problem() == "the verification of new goes on"


def test_the_log_tells_each_thing_once(caplog):
    caplog.set_level("INFO")
    service = Service()
    service.now = 10.0
    service.run("""
        label
        look
        new is away
        label new       => verify new
        look
        1 s             => verify new
        1 s
        new is broken
        1 s             => verify new
        1000000 s
        new changes
        new is right
        new serves
        newer is broken
        label newer     => verify newer
        label other     => verify other, 0 prepare other
        label new       => 0 abandon
        new is broken
        new changes
        look            => verify new
        look
        """)
    problem = service.reload.known.served.problem()
    assert "vectors changed in new, which serves: it is broken" in problem
    # Many hosts don't try again at the same moment.
    assert service.reload.known.chance < 1
    service.run("""
        new is right
        new changes
        look            => verify new
        1 dies
        1 boots         => 1 prepare new
        1 refuses new 'out of memory' => 1 end
        1 dies
        0 dies
        1 boots         => 1 prepare new
        1 refuses new 'is wrong' => verify new, 1 abandon, 1 listen, 1 prepare new
        """)
    assert service.reload.known.served.problem() == ""
    assert caplog.messages == [
        "the label can't be read",
        "version new can't be loaded now, and is tried again in 1 s: /v: is stale; nothing is served",
        "version new can't be served: it is broken; nothing is served",
        "version new serves, 0.250 s after it was noticed; all workers changed over in 250.0 ms",
        "version newer can't be served: it is broken; new goes on",
        problem,
        "the files of new are right",
        "worker 1 can't prepare new: out of memory",
        "worker 1 can't prepare new: is wrong",
        "no worker serves new any more, and none can",
    ]
