"""Who of a fleet serves what, from answers that are given."""

from __future__ import annotations

import json
import re

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting.security.settings import PLAIN
from retriever.__main__ import main
from retriever.asking.errors import CallError
from retriever.cli import commands
from retriever.cli.fleet import Fleet, Member

V1, V2 = "20261124T043500Z-3fa9c1", "20261125T043500Z-aaaaaa"


def status(*versions, label="current", target=None, **fields):
    """What a retriever says whose workers serve these; None for one that is down."""
    workers = [
        pb.WorkerStatus(index=index, version=version or "", state=_state(version))
        for index, version in enumerate(versions)
    ]
    named = versions[0] if target is None else target
    return pb.GetStatusResponse(
        label=label, label_target=named, version=versions[0], workers=workers, **fields
    )


def _state(version):
    return pb.WORKER_STATE_DOWN if version is None else pb.WORKER_STATE_RUNNING


def serving(address, *versions, **fields):
    return Member(address, status(*versions, **fields), serving=True)


def failed(address, code=grpc.StatusCode.UNAVAILABLE, details="connection refused"):
    return Member(address, error=CallError(address, code, details))


@pytest.fixture
def run(monkeypatch, capsys):
    """Asks a fleet that answers so; returns the exit status and the lines."""

    def run(*members, flags=()):
        asked = []

        def ask_all(addresses, security, *, timeout_seconds):
            asked.append((addresses, security, timeout_seconds))
            return Fleet(members)

        monkeypatch.setattr(commands, "ask_all", ask_all)
        addresses = [member.address for member in members]
        code = main(["status", "--fleet", ",".join(addresses), "--timeout", "2.5", *flags])
        assert asked == [(addresses, PLAIN, 2.5)]
        return code, [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    return run


def cells(line):
    return re.split(" {2,}", line)


def test_all_serve_the_same(run):
    last = pb.ReloadOutcome(version=V1, succeeded=True, ended_at=Timestamp(seconds=1))
    code, lines = run(serving("a:1", V1, V1), serving("b:2", V1, V1, V1, last_reload=last))
    assert code == 0
    summary, head, first, second = lines
    assert summary == f"all 2 serve {V1}"
    assert cells(head) == [
        *("address", "state", "version", "workers", "label", "names", "last reload", "problem")
    ]
    assert cells(first) == ["a:1", "serving", V1, "2 of 2", "current", V1, "-"]
    assert cells(second)[:6] == ["b:2", "serving", V1, "3 of 3", "current", V1]
    assert re.fullmatch(r"succeeded \d+ s ago", cells(second)[6])


def test_one_serves_another_version_and_says_why(run):
    problem = "s3://bucket/prefix: can't be reached; the cached label is followed"
    code, lines = run(serving("a:1", V2), serving("b:2", V1, label_problem=problem))
    assert code == 1
    assert lines[0] == f"NOT all 2 serve the same; {V1}: b:2; {V2}: a:1"
    assert cells(lines[2])[2] == V2
    assert cells(lines[3])[2:] == [V1, "1 of 1", "current", V1, "-", problem]


def test_one_that_does_not_answer_is_shown_with_the_reason(run):
    code, lines = run(
        serving("a:1", V1),
        failed("b:2"),
        failed("c:3", grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"),
        failed("d:4", grpc.StatusCode.UNAUTHENTICATED, "a bearer token is needed"),
    )
    assert code == 1
    assert lines[0] == f"NOT all 4 serve the same; {V1}: a:1; refused: d:4; unreachable: b:2, c:3"
    rows = {cells(line)[0]: cells(line) for line in lines[2:]}
    away = ["-"] * 5
    assert rows["b:2"] == ["b:2", "unreachable", *away, "UNAVAILABLE: connection refused"]
    assert rows["c:3"][-1] == "DEADLINE_EXCEEDED: Deadline Exceeded"
    assert rows["d:4"] == ["d:4", "refused", *away, "UNAUTHENTICATED: a bearer token is needed"]


def test_one_that_serves_nothing_or_stops_is_not_serving(run):
    nothing = Member("b:2", status("", "", target="", label_problem="there is no label 'current'"))
    stops = Member("c:3", status(V1, V1))
    for member, version in ((nothing, "none"), (stops, V1)):
        code, lines = run(serving("a:1", V1), member)
        assert code == 1
        assert lines[0] == f"NOT all 2 serve the same; {V1}: a:1; not serving: {member.address}"
        assert cells(lines[3])[1:3] == ["not serving", version]
    assert "there is no label 'current'" in run(nothing)[1][2]


def test_workers_that_are_away_do_not_count_and_others_must_agree(run):
    code, lines = run(serving("a:1", V1, None), serving("b:2", V1, ""))
    assert code == 0
    assert cells(lines[2])[3] == cells(lines[3])[3] == "1 of 2"
    code, lines = run(serving("a:1", V1, V2), serving("b:2", V1))
    assert code == 1
    assert lines[0] == f"NOT all 2 serve the same; {V1}: b:2; {V1} and {V2}: a:1"


def test_a_failed_version_is_shown_once_and_with_its_reason(run):
    outcome = pb.ReloadOutcome(version=V2, reason="[items.trie] is broken")
    older = pb.FailedVersion(version="v0", reason="it is gone")
    latest = pb.FailedVersion(version=V2, reason="[items.trie] is broken")
    bad = serving("a:1", V1, target=V2, last_reload=outcome, failed_versions=[latest, older])
    code, lines = run(bad, serving("b:2", V1))
    # It serves on: who serves what is one thing, what failed is another.
    assert code == 0
    assert cells(lines[2])[4:6] == ["current", V2]
    assert cells(lines[2])[6].startswith("failed ")
    assert cells(lines[2])[7:] == [f"{V2} failed: [items.trie] is broken"]
    assert len(lines) == 4


def test_one_that_starts_tells_what_it_loads():
    member = serving("a:1", "", target=V1, not_serving_reason=f"version {V1} is being loaded")
    assert member.problems == [f"version {V1} is being loaded"]


def test_several_problems_have_a_line_each(run):
    one = pb.FailedVersion(version="v0", reason="it is gone")
    _, lines = run(serving("a:1", V1, label_problem="no label", failed_versions=[one]))
    assert lines[0] == f"it serves {V1}"
    assert cells(lines[2])[-1] == "no label"
    assert lines[3].strip() == "v0 failed: it is gone"


def test_a_narrow_terminal_cuts_nothing_off(run, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    address = "retriever-0.retriever-headless:50051"
    _, lines = run(serving(address, V1, label_problem="a " * 60 + "b"))
    assert cells(lines[2])[:6] == [address, "serving", V1, "1 of 1", "current", V1]
    told = [word for line in lines[2:] for word in cells(line)[-1].split() if word in "ab"]
    assert told == ["a"] * 60 + ["b"]


def test_a_pinned_retriever_names_no_label(run):
    _, lines = run(serving("a:1", V1, label=""))
    assert cells(lines[2])[4:6] == ["pinned", V1]


def test_json_has_all_that_each_says(run):
    code, lines = run(serving("a:1", V1, V1), failed("b:2"), flags=["--json"])
    assert code == 1
    content = json.loads("\n".join(lines))
    assert (content["same_version"], content["version"]) == (False, None)
    first, second = content["retrievers"]
    assert (first["state"], first["versions"], first["problems"]) == ("serving", {V1: 2}, [])
    assert first["status"]["label_target"] == V1
    assert [worker["version"] for worker in first["status"]["workers"]] == [V1, V1]
    assert second == {
        "address": "b:2",
        "state": "unreachable",
        "versions": {},
        "problems": ["UNAVAILABLE: connection refused"],
        "status": None,
    }
    code, lines = run(serving("a:1", V1), flags=["--json"])
    assert code == 0
    assert json.loads("\n".join(lines))["version"] == V1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "'' should be HOST:PORT with a port in 1..65535"),
        ("a", "'a' should be HOST:PORT"),
        ("a:1,", "'' should be HOST:PORT"),
        ("a:1, b:2", "' b:2' should be HOST:PORT"),
        ("a:0", "'a:0' should be HOST:PORT with a port in 1..65535"),
        ("a:65536", "'a:65536' should be HOST:PORT"),
        ("a:1,b:x", "'b:x' should be HOST:PORT"),
        ("http://a:1", "'http://a:1' should be HOST:PORT"),
        ("[::g]:1", "'[::g]:1' should be HOST:PORT"),
        ("\udcff:1", r"'\udcff:1' isn't valid UTF-8"),
        ("a:1,b:2,a:1", "a:1 is named twice: leave one out"),
        ("A.example:1,a.Example:01", "a.example:1 is named twice"),
    ],
)
def test_addresses_that_make_no_sense_are_refused(capsys, given, message):
    with pytest.raises(SystemExit) as caught:
        main(["status", "--fleet", given])
    assert caught.value.code == 2
    assert f"argument --fleet: {message}" in capsys.readouterr().err


def test_addresses_of_any_kind_are_taken(monkeypatch, capsys):
    taken = []
    monkeypatch.setattr(
        commands, "ask_all", lambda addresses, *_, **__: taken.extend(addresses) or Fleet([])
    )
    main(["status", "--fleet", "127.0.0.1:1,[::1]:2,my_host-0.svc.example:65535"])
    assert taken == ["127.0.0.1:1", "[::1]:2", "my_host-0.svc.example:65535"]


def test_a_fleet_and_a_target_are_not_asked_together(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["status", "--fleet", "a:1", "--target", "b:2"])
    assert caught.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err
