"""Who of a fleet serves what, from answers that are given."""

import json
import re
from unittest import mock

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
    down, running = {"state": pb.WORKER_STATE_DOWN}, {"state": pb.WORKER_STATE_RUNNING}
    workers = [down if version is None else {**running, "version": version} for version in versions]
    fields |= {"label_target": versions[0] if target is None else target, "workers": workers}
    return pb.GetStatusResponse(label=label, version=versions[0], **fields)


def serving(address, *versions, **fields):
    return Member(address, status(*versions, **fields), serving=True)


def failed(address, code=grpc.StatusCode.UNAVAILABLE, details="connection refused"):
    return Member(address, error=CallError(address, code, details))


LAST = pb.ReloadOutcome(version=V1, succeeded=True, ended_at=Timestamp(seconds=1))
BROKEN = pb.ReloadOutcome(version=V2, reason="[items.trie] is broken")
OLD = pb.FailedVersion(version="v0", reason="it is gone")
NEW = pb.FailedVersion(version=V2, reason="[items.trie] is broken")
LOST = "s3://bucket/prefix: can't be reached; the cached label is followed"
STARTS = f"version {V1} is being loaded"
TOKEN = (grpc.StatusCode.UNAUTHENTICATED, "a bearer token is needed")
LATE = (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
A, B = serving("a:1", V1), serving("b:2", V1, V1)
AWAY = failed("b:2"), failed("c:3", *LATE), failed("d:4", *TOKEN)
TWICE = {"last_reload": BROKEN, "failed_versions": [NEW, OLD]}


@pytest.mark.parametrize(
    ("members", "summary"),
    [
        ([A], f"it serves {V1}"),
        ([A, B], f"all 2 serve {V1}"),
        ([serving("a:1", V2), B], f"NOT all 2 serve the same; {V1}: b:2; {V2}: a:1"),
        ([A, *AWAY], f"NOT all 4 serve the same; {V1}: a:1; refused: d:4; unreachable: b:2, c:3"),
        # One that serves nothing, and one that stops.
        ([Member("b:2", status(""))], "NOT all 1 serve the same; not serving: b:2"),
        ([A, Member("c:3", B.status)], f"NOT all 2 serve the same; {V1}: a:1; not serving: c:3"),
        ([serving("a:1", "")], "NOT all 1 serve the same; nothing: a:1"),
        # Workers that are away do not count, and others must agree.
        ([serving("a:1", V1, None), serving("b:2", V1, "")], f"all 2 serve {V1}"),
        ([serving("a:1", V1, V2), B], f"NOT all 2 serve the same; {V1}: b:2; {V1} and {V2}: a:1"),
    ],
)
def test_who_serves_what_is_told_in_a_line(members, summary):
    fleet = Fleet(members)
    assert fleet.summary == summary
    assert fleet.version == (None if "NOT" in summary else V1)


@pytest.mark.parametrize(
    ("member", "problems"),
    [
        (A, []),
        (failed("d:4", *TOKEN), ["UNAUTHENTICATED: a bearer token is needed"]),
        (serving("a:1", V1, label_problem=LOST, served_problem="gone"), [LOST, "gone"]),
        # The latest that failed is told, once.
        (serving("a:1", V1, **TWICE), [f"{V2} failed: [items.trie] is broken"]),
        (serving("a:1", V1, failed_versions=[OLD, NEW]), ["v0 failed: it is gone"]),
        (serving("a:1", V1, last_reload=LAST), []),
        # Such as the version that it loads; not where it is known why.
        (serving("a:1", "", not_serving_reason=STARTS), [STARTS]),
        (serving("a:1", "", not_serving_reason="x", label_problem=LOST), [LOST]),
        (serving("a:1", "", not_serving_reason="x", failed_versions=[OLD]), ["v0 failed: it is gone"]),
    ],
)
def test_what_keeps_one_from_serving_is_told(member, problems):
    assert member.problems == problems


@pytest.fixture
def run(monkeypatch, capsys):
    """Asks a fleet that answers so; returns the exit status and the lines."""

    def run(*members, flags=()):
        ask_all = mock.Mock(return_value=Fleet(members))
        monkeypatch.setattr(commands, "ask_all", ask_all)
        addresses = [member.address for member in members]
        code = main(["status", "--fleet", ",".join(addresses), "--timeout", "2.5", *flags])
        ask_all.assert_called_once_with(addresses, PLAIN, timeout_seconds=2.5)
        return code, [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    return run


def test_each_has_a_line_of_a_table(run, monkeypatch):
    code, (summary, *lines) = run(
        serving("a:1", V1, V1, None, last_reload=LAST),
        serving("b:2", V2, label="", last_reload=BROKEN, label_problem="no label"),
        failed("c:3"),
        Member("d:4", status("", target="")),
    )
    assert (code, summary.partition(";")[0]) == (1, "NOT all 4 serve the same")
    head, first, second, more, third, fourth = (re.split(" {2,}", line) for line in lines)
    columns = ("address", "state", "version", "workers", "label", "names", "last reload", "problem")
    assert head == [*columns]
    assert first[:6] == ["a:1", "serving", V1, "2 of 3", "current", V1]
    assert re.fullmatch(r"succeeded \d+ s ago", first[6])
    assert second[:6] == ["b:2", "serving", V2, "1 of 1", "pinned", V2]
    assert re.fullmatch(r"failed \d+ s ago", second[6])
    # Several problems have a line each.
    assert (second[7:], more[1:]) == (["no label"], [f"{V2} failed: [items.trie] is broken"])
    assert third == ["c:3", "unreachable", *["-"] * 5, "UNAVAILABLE: connection refused"]
    assert fourth[:5] == ["d:4", "not serving", "none", "0 of 1", "current"]
    assert fourth[5:] == ["nothing that can be read", "-"]
    # A narrow terminal cuts nothing off.
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    address = "retriever-0.retriever-headless:50051"
    _, lines = run(serving(address, V1, label_problem="a " * 60 + "b"))
    rows = [re.split(" {2,}", line) for line in lines[2:]]
    assert rows[0][:6] == [address, "serving", V1, "1 of 1", "current", V1]
    told = [word for row in rows for word in row[-1].split() if word in "ab"]
    assert told == ["a"] * 60 + ["b"]


def test_json_has_all_that_each_says(run):
    code, lines = run(B, failed("c:3"), flags=["--json"])
    content = json.loads("\n".join(lines))
    assert (code, content["same_version"], content["version"]) == (1, False, None)
    first, second = content["retrievers"]
    assert (first["state"], first["versions"], first["problems"]) == ("serving", {V1: 2}, [])
    assert first["status"]["label_target"] == V1
    assert [worker["version"] for worker in first["status"]["workers"]] == [V1, V1]
    unreachable = {"state": "unreachable", "problems": ["UNAVAILABLE: connection refused"]}
    assert second == {"address": "c:3", "versions": {}, "status": None, **unreachable}
    code, lines = run(A, flags=["--json"])
    assert (code, json.loads("\n".join(lines))["version"]) == (0, V1)
