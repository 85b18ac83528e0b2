"""What the client prints, with an answer that is given."""

from __future__ import annotations

import json
import re
import time

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from retriever.__main__ import main

VERSION = "20261124T043500Z-3fa9c1"


@pytest.fixture
def service(monkeypatch):
    """Answers with what it is given, and keeps what it was asked."""

    class Stub:
        answer = None
        asked = None

        def __init__(self, channel):
            pass

        def _call(self, request, timeout):  # noqa: ARG002
            Stub.asked = request
            if isinstance(Stub.answer, Exception):
                raise Stub.answer
            return Stub.answer

        SimilarItems = Recommend = GetStatus = _call

    monkeypatch.setattr(pb_grpc, "RetrieverServiceStub", Stub)
    return Stub


def items(*rows):
    scored = [
        pb.ScoredItem(item_id=item_id, score=score, title=title) for item_id, score, title in rows
    ]
    return pb.RecommendResponse(items=scored, version=VERSION)


def printed(capsys, *arguments):
    assert main(list(arguments)) == 0
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_results_are_a_table_of_scores_ids_and_titles(service, capsys):
    service.answer = items(("50", 1.5, "Star Wars (1977)"), ("東京", -0.25, ""))
    head, first, second, version = printed(capsys, "recommend", "3", "--limit", "2")
    assert head.split() == ["score", "item_id", "title"]
    assert first.split(maxsplit=2) == ["1.5000", "50", "Star Wars (1977)"]
    assert second.split() == ["-0.2500", "東京"]
    assert version == f"version {VERSION}"
    assert (service.asked.user_id, service.asked.limit, service.asked.exclude_seen) == ("3", 2, True)
    assert list(service.asked.return_attributes.paths) == ["title"]


@pytest.mark.parametrize(
    "text",
    ["[REC] (2007)", "[/b]", "[bold]x", "a :smile: b", "[link=http://x]y[/link]", "\\[x]", "x" * 400],
)
def test_ids_and_titles_are_printed_as_they_are(service, capsys, text):
    """They are text, no markup for the terminal."""
    service.answer = items((text, 0.5, text))
    lines = printed(capsys, "similar-items", "1")
    assert re.split(" {2,}", lines[1]) == ["0.5000", text, text]


def test_the_status_is_readable(service, capsys):
    started = Timestamp(seconds=int(time.time()) - 90)
    service.answer = pb.GetStatusResponse(
        label="current",
        version="v1",
        label_problem="label 'current': unreadable",
        last_reload=pb.ReloadOutcome(
            version="v2", reason="[items.trie] is broken", duration_seconds=0.5
        ),
        workers=[
            pb.WorkerStatus(
                index=0, pid=123, state=pb.WORKER_STATE_RUNNING, version="v1", started_at=started
            ),
            pb.WorkerStatus(index=1, state=pb.WORKER_STATE_DOWN, restarts=4),
        ],
    )
    lines = printed(capsys, "status")
    assert lines[0] == "version v1"
    assert lines[1] == "label   'current' names nothing that can be read"
    assert "unreadable" in lines[2]
    assert lines[3] == "reload  of v2 took 0.500 s and failed: [items.trie] is broken"
    assert lines[4].split() == ["worker", "pid", "state", "version", "up", "for", "restarts"]
    index, pid, state, version, up, unit, restarts = lines[5].split()
    assert (index, pid, state, version, unit, restarts) == ("0", "123", "running", "v1", "s", "0")
    assert int(up) >= 89
    assert lines[6].split() == ["1", "0", "down", "none", "0", "s", "4"]


def test_the_status_of_a_service_without_anything_is_readable(service, capsys):
    service.answer = pb.GetStatusResponse(label="current")
    assert printed(capsys, "status")[0] == "version none"


def test_json_is_the_response(service, capsys):
    service.answer = items(("東京", 0.5, "[x]"))
    content = json.loads("\n".join(printed(capsys, "recommend", "3", "--json")))
    assert content == {
        "items": [{"item_id": "東京", "score": 0.5, "title": "[x]"}],
        "version": VERSION,
    }


class RefusedError(grpc.RpcError):
    """As a channel raises it."""

    def code(self):
        return grpc.StatusCode.NOT_FOUND

    def details(self):
        return "item '7' isn't in version v1"


def test_a_refusal_is_an_error_that_names_service_and_reason(service, capsys):
    service.answer = RefusedError()
    assert main(["similar-items", "7", "--target", "example.org:1"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "error: example.org:1: NOT_FOUND: item '7' isn't in version v1\n"
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["similar-items", "1", "--limit", str(2**31)],
        ["recommend", "1", "--limit", str(-(2**31) - 1)],
        ["recommend", "\udcff"],
        ["similar-items", "a\udc80"],
    ],
)
def test_what_no_request_can_hold_is_an_error_and_not_a_traceback(service, capsys, arguments):
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert service.asked is None
