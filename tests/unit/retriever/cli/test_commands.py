"""What the client prints, with an answer that is given."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import time
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting.calling.first_contact import FirstContact
from retriever.__main__ import main
from retriever.cli import batches

VERSION = "20261124T043500Z-3fa9c1"


@pytest.fixture
def service(monkeypatch):
    """Answers with what it is given, and keeps what it was asked."""

    class Stub:
        answer = None
        asked = None

        def __init__(self, channel):
            pass

        def _call(self, request, *, timeout, wait_for_ready=False, metadata=None):
            # A service that is being replaced is waited for, as long as was said.
            assert metadata is None
            assert wait_for_ready
            assert 0 < timeout <= 5
            Stub.asked = request
            if isinstance(Stub.answer, Exception):
                raise Stub.answer
            return Stub.answer

        SimilarItems = Recommend = GetStatus = Check = _call
        BatchSimilarItems = BatchRecommend = _call

    monkeypatch.setattr(FirstContact, "problem", lambda *_: None)
    monkeypatch.setattr(pb_grpc, "RetrieverServiceStub", Stub)
    monkeypatch.setattr(health_pb2_grpc, "HealthStub", Stub)
    return Stub


def items(*rows):
    scored = [
        pb.ScoredItem(item_id=item_id, score=score, title=title) for item_id, score, title in rows
    ]
    return pb.RecommendResponse(
        items=scored,
        version=VERSION,
        source=pb.SOURCE_PERSONALIZED,
        method=pb.SEARCH_METHOD_INDEX,
        candidates=110,
        filtered=7,
    )


def printed(capsys, *arguments):
    assert main(list(arguments)) == 0
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_results_are_a_table_of_scores_ids_and_titles(service, capsys):
    service.answer = items(("50", 1.5, "Star Wars (1977)"), ("東京", -0.25, ""))
    head, first, second, version = printed(capsys, "recommend", "3", "--limit", "2")
    assert head.split() == ["score", "item_id", "title"]
    assert first.split(maxsplit=2) == ["1.5000", "50", "Star Wars (1977)"]
    assert second.split() == ["-0.2500", "東京"]
    assert version == f"version {VERSION}, personalized by index: 110 candidates, 7 filtered"
    assert (service.asked.user_id, service.asked.limit) == ("3", 2)
    # The service has the default.
    assert not service.asked.HasField("exclude_seen")
    assert list(service.asked.return_attribute_names) == ["title"]


@pytest.mark.parametrize("command", ["recommend", "similar-items"])
def test_how_hard_to_search_is_asked_for_as_it_was_said(service, capsys, command):
    service.answer = items(("50", 1.5, ""))
    printed(capsys, command, "3")
    # The service has the defaults.
    assert not service.asked.HasField("search_effort")
    assert not service.asked.exact
    printed(capsys, command, "3", "--search-effort", "2.5")
    assert (service.asked.search_effort, service.asked.exact) == (2.5, False)
    printed(capsys, command, "3", "--search-effort", "0", "--exact")
    assert service.asked.HasField("search_effort")
    assert (service.asked.search_effort, service.asked.exact) == (0, True)


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
                index=0,
                pid=123,
                state=pb.WORKER_STATE_RUNNING,
                version="v1",
                started_at=started,
                serving_since=Timestamp(seconds=started.seconds + 60),
                calls=1234567,
                refused_calls=89,
                calls_in_flight=3,
                pss_bytes=31_400_000,
            ),
            pb.WorkerStatus(index=1, state=pb.WORKER_STATE_DOWN, restarts=4),
        ],
        failed_versions=[
            pb.FailedVersion(version="v2", reason="[items.trie] is broken"),
            pb.FailedVersion(version="v0", reason="Too many open files", retried=True),
        ],
    )
    lines = printed(capsys, "status")
    assert lines[0] == "version v1"
    assert lines[1] == "label   'current' names nothing that can be read"
    assert "unreadable" in lines[2]
    assert lines[3] == "reload  of v2 took 0.500 s and failed: [items.trie] is broken"
    assert lines[4:6] == [
        "failed  v2: [items.trie] is broken",
        "failed  v0 for now: Too many open files",
    ]
    head, first, second = (re.split(" {2,}", line) for line in lines[6:])
    assert head == [
        *("worker", "pid", "state", "version", "serves it for", "up for", "restarts"),
        *("calls", "refused", "in flight", "PSS"),
    ]
    assert first[:4] == ["0", "123", "running", "v1"]
    serves, up = (int(age.removesuffix(" s")) for age in first[4:6])
    assert up >= 89
    assert up - serves == 60
    assert first[6:] == ["0", "1,234,567", "89", "3", "31.4 MB"]
    assert second == ["1", "0", "down", "none", "-", "-", "4", "0", "0", "0", "0.0 MB"]


def test_the_status_of_a_retriever_that_starts_tells_what_it_loads(service, capsys):
    loads = "version v1 is being loaded, 12 s so far: its files are being read and checked"
    service.answer = pb.GetStatusResponse(label="current", label_target="v1", not_serving_reason=loads)
    lines = printed(capsys, "status")
    assert lines[:3] == ["version none", "label   'current' names v1", f"waits   {loads}"]


def test_the_status_of_a_pinned_version_names_no_label(service, capsys):
    service.answer = pb.GetStatusResponse(label_target="v1", version="v1")
    assert printed(capsys, "status")[:2] == ["version v1", "pinned  to v1"]


def test_the_status_tells_the_release_where_the_service_does(service, capsys):
    service.answer = pb.GetStatusResponse(version="v1", software_version="1.2.3")
    assert printed(capsys, "status")[:2] == ["version v1", "release 1.2.3 of the retriever"]


def test_the_status_as_json_has_every_field_by_the_protos_names(service, capsys):
    service.answer = pb.GetStatusResponse(
        label="current",
        failed_versions=[pb.FailedVersion(version="v2", reason="東京", failed_at=Timestamp(seconds=5))],
        workers=[
            pb.WorkerStatus(pid=2**40, state=pb.WORKER_STATE_RUNNING, started_at=Timestamp(seconds=5)),
            pb.WorkerStatus(state=99),
        ],
    )
    found = json.loads("\n".join(printed(capsys, "status", "--json")))
    assert found.keys() == {*pb.GetStatusResponse.DESCRIPTOR.fields_by_name.keys()}
    assert (found["label"], found["version"], found["last_reload"]) == ("current", "", None)
    assert found["failed_versions"] == [
        {"version": "v2", "reason": "東京", "failed_at": "1970-01-01T00:00:05Z", "retried": False}
    ]
    first, second = found["workers"]
    assert first.keys() == {*pb.WorkerStatus.DESCRIPTOR.fields_by_name.keys()}
    assert (first["index"], first["pid"], first["calls"]) == (0, 2**40, 0)
    assert (first["state"], first["started_at"]) == ("WORKER_STATE_RUNNING", "1970-01-01T00:00:05Z")
    assert (second["state"], second["started_at"]) == (99, None)


@pytest.mark.parametrize(
    ("flags", "serving", "status", "text"),
    [
        ([], True, 0, "healthy: serving"),
        ([], False, 1, "unhealthy: not serving"),
        (["--readiness"], True, 0, "healthy: serving"),
        (["--readiness"], False, 1, "unhealthy: not serving"),
        (["--liveness"], True, 0, "healthy: serving"),
        (["--liveness"], False, 0, "healthy: not serving"),
    ],
)
def test_a_probe_tells_by_its_exit_status(service, capsys, flags, serving, status, text):
    states = health_pb2.HealthCheckResponse
    service.answer = states(status=states.SERVING if serving else states.NOT_SERVING)
    assert main(["health", *flags]) == status
    assert capsys.readouterr().out == f"{text}\n"
    assert main(["health", *flags, "--json"]) == status
    content = json.loads(capsys.readouterr().out)
    assert content == {"healthy": status == 0, "serving": serving}
    assert service.asked == health_pb2.HealthCheckRequest()


@pytest.mark.parametrize("kind", ["--readiness", "--liveness"])
def test_a_probe_that_nobody_answers_is_unhealthy(service, capsys, kind):
    service.answer = RefusedError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    assert main(["health", kind, "--target", "example.org:1"]) == 1
    captured = capsys.readouterr()
    assert captured.err == (
        "error: example.org:1: DEADLINE_EXCEEDED: Deadline Exceeded (does a retriever run there?)\n"
    )
    assert captured.out == ""


def test_the_status_of_a_service_without_anything_is_readable(service, capsys):
    service.answer = pb.GetStatusResponse(label="current")
    assert printed(capsys, "status")[0] == "version none"


def test_json_is_the_response(service, capsys):
    service.answer = items(("東京", 0.5, "[x]"))
    content = json.loads("\n".join(printed(capsys, "recommend", "3", "--json")))
    assert content == {
        "items": [
            {
                "item_id": "東京",
                "score": 0.5,
                "title": "[x]",
                "attributes": {},
                "explanation": None,
            }
        ],
        "version": VERSION,
        "source": "personalized",
        "method": "index",
        "candidates": 110,
        "filtered": 7,
        "short_reason": None,
        "unknown_ids": [],
        "unknown_filter_values": [],
        "empty_filter_ranges": [],
        "next_page_token": "",
    }


class RefusedError(grpc.RpcError):
    """As a channel raises it."""

    def __init__(self, code, details):
        super().__init__()
        self._code, self._details = code, details

    def code(self):
        return self._code

    def details(self):
        return self._details

    def trailing_metadata(self):
        return ()


def test_a_refusal_is_an_error_that_names_service_and_reason(service, capsys):
    service.answer = RefusedError(grpc.StatusCode.NOT_FOUND, "item '7' isn't in version v1")
    assert main(["similar-items", "7", "--target", "example.org:1"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "error: example.org:1: NOT_FOUND: item '7' isn't in version v1\n"
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["similar-items", "1", "--limit", str(2**31)],
        ["recommend", "1", "--limit", str(-(2**31) - 1)],
    ],
)
def test_what_no_request_can_hold_is_an_error_and_not_a_traceback(service, capsys, arguments):
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert service.asked is None


# ---- what else may be asked


def asked(service, capsys, *arguments):
    service.answer = items(("50", 1.5, ""))
    printed(capsys, *arguments)
    return service.asked


def test_a_session_is_asked_for_with_the_weights_that_were_given(service, capsys):
    session = asked(service, capsys, "recommend", "--session", "50,181").session
    assert (list(session.item_ids), list(session.weights)) == (["50", "181"], [])
    session = asked(
        service, capsys, "recommend", "--session", "50,181:2", "--session-item", "a,b:c=0.5"
    ).session
    assert list(session.item_ids) == ["50", "181", "a,b:c"]
    assert list(session.weights) == [1, 2, 0.5]


def test_features_are_asked_for(service, capsys):
    request = asked(service, capsys, "recommend", "--feature", "age:25-34", "--feature", "country:DE")
    assert list(request.features.features) == ["age:25-34", "country:DE"]


def test_one_item_or_several_are_asked_for(service, capsys):
    assert asked(service, capsys, "similar-items", "50").item_id == "50"
    several = asked(service, capsys, "similar-items", "50", "181", "--item", "7=3").items
    assert (list(several.item_ids), list(several.weights)) == (["50", "181", "7"], [1, 1, 3])


def test_what_may_be_returned_is_asked_for(service, capsys):
    request = asked(
        service, capsys, "recommend", "3", "--exclude", "1", "--exclude", "2,3", "--include-seen",
        "--exclude-item", "a,b",
        "--any-of", "genres=Drama|War", "--all-of", r"tags=a\|b", "--none-of", "genres=Horror",
        "--range", "release_year=1990..", "--unknown", "popular", "--diversity", "0.5",
        "--attributes", "genres,release_year", "--explain", "--page-token", "t",
    )  # fmt: skip
    assert list(request.exclude_item_ids) == ["1", "2", "3", "a,b"]
    assert request.HasField("exclude_seen")
    assert not request.exclude_seen
    first, second, third, fourth = request.filter.conditions
    assert (first.attribute, list(first.any_of.values)) == ("genres", ["Drama", "War"])
    assert (second.attribute, list(second.all_of.values)) == ("tags", ["a|b"])
    assert (third.attribute, list(third.none_of.values)) == ("genres", ["Horror"])
    assert (fourth.attribute, fourth.range.min) == ("release_year", 1990)
    assert not fourth.range.HasField("max")
    assert request.unknown_ids == pb.UNKNOWN_IDS_POPULAR
    assert (request.diversity, request.explain, request.page_token) == (0.5, True, "t")
    assert list(request.return_attribute_names) == ["title", "genres", "release_year"]


def test_attributes_and_reasons_are_columns_when_asked_for(service, capsys):
    response = items(("50", 1.5, "Star Wars"), ("1", 0.5, ""))
    response.items[0].attributes["genres"].texts.values.extend(["Action", "War"])
    response.items[0].attributes["release_year"].number = 1977
    response.items[0].explanation.bias = -0.25
    response.items[0].explanation.contributions.add(item_id="181", score=0.75)
    response.short_reason = pb.SHORT_REASON_FILTER
    response.unknown_ids.append("x")
    response.unknown_filter_values.add(attribute="genres", value="Dramaa", near=["Drama"])
    response.unknown_filter_values.add(attribute="genres", value="x")
    response.empty_filter_ranges.add(attribute="year", least=1922, greatest=1998)
    response.empty_filter_ranges.add(attribute="price")
    response.next_page_token = "t"  # noqa: S105
    service.answer = response
    lines = printed(capsys, "recommend", "3", "--attributes", "genres,release_year", "--explain")
    assert re.split(" {2,}", lines[0])[3:] == ["genres", "release_year", "because of"]
    assert re.split(" {2,}", lines[1])[3:] == ["Action, War", "1977", "181 +0.750, bias -0.250"]
    assert lines[-7:] == [
        "fewer than asked for: no more items match the filter",
        "unknown: x",
        "no item has 'Dramaa' in genres; did you mean 'Drama'?",
        "no item has 'x' in genres",
        "no item is in the range of year, whose numbers run from 1922 to 1998",
        "no item is in the range of price, since no item has a number there",
        "next page: --page-token t",
    ]


def test_all_pages_end_where_the_service_does_or_where_it_was_said(service, capsys):
    service.answer = items(("50", 1.5, ""))
    service.answer.next_page_token = "t"  # noqa: S105
    lines = printed(capsys, "recommend", "3", "--all-pages", "--max-pages", "3", "--json")
    assert [json.loads(line)["items"][0]["item_id"] for line in lines] == ["50"] * 3
    assert service.asked.paginate
    service.answer.next_page_token = ""
    assert len(printed(capsys, "recommend", "3", "--all-pages", "--json")) == 1


def batch(service, capsys, tmp_path, *lines):
    path = tmp_path / "requests.jsonl"
    path.write_text("\n".join(lines))
    status = main(["batch-recommend", str(path)])
    captured = capsys.readouterr()
    assert captured.err == ""
    return status, [json.loads(line) for line in captured.out.splitlines()]


def test_each_line_of_a_batch_has_a_line_of_its_own(service, capsys, tmp_path):
    good = pb.RecommendResult(response=items(("50", 1.5, "")))
    bad = pb.RecommendResult()
    bad.error.code = 5
    bad.error.message = "user 'x' isn't in version v1"
    service.answer = pb.BatchRecommendResponse(results=[good, bad])
    lines = ['{"user_id": "3", "return_attributes": ["title"]}', "", "rubbish", '{"userId": "x"}']
    status, found = batch(service, capsys, tmp_path, *lines)
    assert status == 1
    assert [one["line"] for one in found] == [1, 3, 4]
    assert found[0]["items"][0]["item_id"] == "50"
    assert found[1]["error"] == {
        "code": "INVALID_ARGUMENT",
        "details": "isn't JSON: a value should begin at column 1",
        "reason": "",
        "field": "",
    }
    assert found[2]["error"]["code"] == "NOT_FOUND"
    assert [one.user_id for one in service.asked.requests] == ["3", "x"]
    assert list(service.asked.requests[0].return_attribute_names) == ["title"]


def test_the_field_of_a_line_that_is_wrong_is_named(service, capsys, tmp_path):
    status, [found] = batch(service, capsys, tmp_path, '{"user_id": 3, "limmit": 5}')
    assert status == 1
    assert found["error"]["field"] == "limmit"


def test_a_batch_of_answers_alone_succeeds(service, capsys, tmp_path):
    good = pb.RecommendResult(response=items(("50", 1.5, "")))
    service.answer = pb.BatchRecommendResponse(results=[good] * 64)
    status, found = batch(service, capsys, tmp_path, *['{"user_id": "3"}'] * 128)
    assert (status, len(found)) == (0, 128)
    assert len(service.asked.requests) == 64


def test_a_line_that_is_no_text_has_an_error_of_its_own(service, capsys, tmp_path):
    result = pb.RecommendResult(response=pb.RecommendResponse(version=VERSION))
    service.answer = pb.BatchRecommendResponse(results=[result] * 2)
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b'{"user_id": "3"}\n{"user_id": "\xff"}\r\n\r\n{"user_id": "3"}')
    assert main(["batch-recommend", str(path)]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["line"], "error" in one) for one in found] == [(1, False), (2, True), (4, False)]
    assert found[1]["error"]["details"] == "isn't JSON: byte 13 isn't UTF-8"


def test_a_file_that_cannot_be_read_is_named(service, capsys, monkeypatch):
    def unreadable(path):
        def read():
            yield b'{"user_id": "3"}'
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        assert path == Path("requests.jsonl")
        return contextlib.nullcontext(read())

    monkeypatch.setattr(batches, "open_given", unreadable)
    assert main(["batch-recommend", "requests.jsonl"]) == 1
    assert capsys.readouterr().err == "error: requests.jsonl: Input/output error\n"


def test_a_batch_that_is_no_file_is_an_error(service, capsys, tmp_path):
    assert main(["batch-recommend", str(tmp_path / "none")]) == 1
    assert "none: No such file" in capsys.readouterr().err
