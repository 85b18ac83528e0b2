"""What the commands ask and print, with an answer that is given."""

import contextlib
import errno
import json
import os
import re
import time
from types import SimpleNamespace

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

    def call(request, *, timeout, wait_for_ready=False, metadata=None):
        # A service that is being replaced is waited for, as long as was said.
        assert (metadata, wait_for_ready, 0 < timeout <= 5) == (None, True, True)
        stub.asked = request
        return stub.answer

    methods = "SimilarItems", "Recommend", "BatchSimilarItems", "BatchRecommend", "GetStatus", "Check"
    stub = SimpleNamespace(**dict.fromkeys(methods, call))
    monkeypatch.setattr(FirstContact, "problem", lambda *_: None)
    monkeypatch.setattr(pb_grpc, "RetrieverServiceStub", lambda _: stub)
    monkeypatch.setattr(health_pb2_grpc, "HealthStub", lambda _: stub)
    return stub


def items(*rows):
    found = [pb.ScoredItem(item_id=own, score=score, title=title) for own, score, title in rows]
    how = {"source": pb.SOURCE_PERSONALIZED, "method": pb.SEARCH_METHOD_INDEX}
    return pb.RecommendResponse(items=found, version=VERSION, candidates=110, filtered=7, **how)


def printed(capsys, *arguments):
    assert main(list(arguments)) == 0
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def cells(line):
    return re.split(" {2,}", line)


CONDITIONS = [
    pb.Condition(attribute="genres", any_of={"values": ["Drama", "War"]}),
    pb.Condition(attribute="tags", all_of={"values": ["a|b"]}),
    pb.Condition(attribute="genres", none_of={"values": ["Horror"]}),
    pb.Condition(attribute="year", range=pb.Range(min=1990)),
]
FILTER = r"--any-of genres=Drama|War --all-of tags=a\|b --none-of genres=Horror --range year=1990.."
EFFORT = "--search-effort 2.5 --diversity 0.5 --explain --page-token t --unknown popular"
SESSION = "--session 50,181:2 --session-item a,b:c=0.5 --session-item 50"
ITEM, EXCLUDED, SHOWN = {"item_id": "3"}, ["1", "2", "a,b"], ["title", "a", "b", "c"]
TOLD = {"search_effort": 2.5, "diversity": 0.5, "explain": True, "page_token": "t", "unknown_ids": 3}


def weighted(*item_ids, **weights):
    return {"item_ids": item_ids, **weights}


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        # The service has the defaults.
        ("recommend 3", {"user_id": "3"}),
        ("recommend 3 --limit 2 --include-seen", {"user_id": "3", "limit": 2, "exclude_seen": False}),
        (f"recommend 3 {EFFORT}", {"user_id": "3", **TOLD}),
        ("similar-items 3 --search-effort 0.1", {**ITEM, "search_effort": 0.1}),
        ("similar-items 3 --exact", {**ITEM, "exact": True}),
        (f"recommend 3 {FILTER}", {"user_id": "3", "filter": pb.Filter(conditions=CONDITIONS)}),
        ("similar-items 3 --exclude 1,2 --exclude-item a,b", {**ITEM, "exclude_item_ids": EXCLUDED}),
        ("similar-items 3 --attributes a,b --attributes c", {**ITEM, "return_attribute_names": SHOWN}),
        ("recommend --session 50,181", {"session": weighted("50", "181")}),
        (f"recommend {SESSION}", {"session": weighted("50", "181", "a,b:c", weights=[2, 2, 0.5])}),
        ("similar-items 50 181", {"items": weighted("50", "181")}),
        ("similar-items 50 --item 7=3", {"items": weighted("50", "7", weights=[1, 3])}),
        ("recommend --feature a:1 --feature b:2", {"features": {"features": ["a:1", "b:2"]}}),
    ],
)
def test_what_is_asked_is_what_was_said(service, capsys, arguments, fields):
    service.answer = items(("50", 1.5, ""))
    printed(capsys, *arguments.split())
    service.asked.ClearField("max_response_bytes")
    assert service.asked == type(service.asked)(**{"return_attribute_names": ["title"], **fields})


def test_results_are_a_table_and_what_else_an_answer_says_is_lines(service, capsys):
    response = items(("50", 1.5, "Star Wars (1977)"), ("東京", -0.25, ""))
    service.answer = response
    *rows, version = printed(capsys, "recommend", "3", "--limit", "2")
    items_shown = ["1.5000", "50", "Star Wars (1977)"], ["-0.2500", "東京"]
    assert [*map(cells, rows)] == [["score", "item_id", "title"], *items_shown]
    assert version == f"version {VERSION}, personalized by index: 110 candidates, 7 filtered"
    # Ids and titles are text, no markup for the terminal.
    for text in ("[REC] (2007)", "[/b]", ":smile: b", "\\[x]", "x" * 400):
        service.answer = items((text, 0.5, text))
        assert cells(printed(capsys, "similar-items", "1")[1]) == ["0.5000", text, text]
    service.answer = response
    best = response.items[0]
    best.attributes["genres"].texts.values.extend(["Action", "War"])
    best.attributes["release_year"].number, best.attributes["votes"].number = 1977, 1234567
    parts = [{"item_id": "181", "score": 0.75}, {"feature": "age:1", "score": 0.5}]
    best.explanation.CopyFrom(pb.Explanation(bias=-0.25, contributions=parts))
    response.short_reason = pb.SHORT_REASON_FILTER
    response.unknown_ids.extend(["x", "y"])
    response.unknown_filter_values.add(attribute="genres", value="Dramaa", near=["Drama", "Dram"])
    response.unknown_filter_values.add(attribute="genres", value="x")
    response.empty_filter_ranges.add(attribute="year", least=1922, greatest=1998)
    response.empty_filter_ranges.add(attribute="price")
    response.next_page_token = "t"  # noqa: S105
    lines = printed(capsys, "recommend", "3", "--attributes", "genres,release_year,votes", "--explain")
    assert cells(lines[0])[3:] == ["genres", "release_year", "votes", "because of"]
    because = "181 +0.750, age:1 +0.500, bias -0.250"
    assert cells(lines[1])[3:] == ["Action, War", "1977", "1234567", because]
    assert lines[-7:] == [
        "fewer than asked for: no more items match the filter",
        "unknown: x, y",
        "no item has 'Dramaa' in genres; did you mean 'Drama' or 'Dram'?",
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
    pages = printed(capsys, "recommend", "3", "--all-pages", "--max-pages", "2")
    assert pages == [*pages[:4], "", *pages[:4]]
    service.answer.next_page_token = ""
    assert len(printed(capsys, "recommend", "3", "--all-pages", "--json")) == 1


def test_the_status_is_readable_by_people_and_programs(service, capsys):
    started = Timestamp(seconds=int(time.time()) - 90)
    broken, since = "[東京] is broken", Timestamp(seconds=started.seconds + 60)
    does = {"calls": 1234567, "refused_calls": 89, "calls_in_flight": 3, "pss_bytes": 31_400_000}
    runs = {"pid": 2**40, "state": pb.WORKER_STATE_RUNNING, "version": "v1", "started_at": started}
    first = pb.WorkerStatus(serving_since=since, **does, **runs)
    service.answer = pb.GetStatusResponse(
        label="current",
        version="v1",
        label_problem="label 'current': unreadable",
        served_problem="its files are gone",
        last_reload=pb.ReloadOutcome(version="v2", reason=broken, duration_seconds=0.5),
        workers=[first, pb.WorkerStatus(index=1, state=pb.WORKER_STATE_DOWN, restarts=4)],
        failed_versions=[
            pb.FailedVersion(version="v2", reason=broken, failed_at=Timestamp(seconds=5)),
            pb.FailedVersion(version="v0", reason="Too many open files", retried=True),
        ],
    )
    *lines, head, first, second = printed(capsys, "status")
    assert lines == [
        "version v1",
        "        its files are gone",
        "label   'current' names nothing that can be read",
        "        label 'current': unreadable",
        f"reload  of v2 took 0.500 s and failed: {broken}",
        f"failed  v2: {broken}",
        "failed  v0 for now: Too many open files",
    ]
    first, second, columns = cells(first), cells(second), ("calls", "refused", "in flight", "PSS")
    facts = ("worker", "pid", "state", "version", "serves it for", "up for", "restarts")
    assert cells(head) == [*facts, *columns]
    assert first[:4] == ["0", str(2**40), "running", "v1"]
    serves, up = (int(age.removesuffix(" s")) for age in first[4:6])
    assert up >= 89
    assert up - serves == 60
    assert first[6:] == ["0", "1,234,567", "89", "3", "31.4 MB"]
    assert second == ["1", "0", "down", "none", "-", "-", "4", "0", "0", "0", "0.0 MB"]
    # JSON has every field, by the proto's names.
    service.answer.ClearField("last_reload")
    service.answer.workers[1].state = 99
    found = json.loads("\n".join(printed(capsys, "status", "--json")))
    assert found.keys() == {*pb.GetStatusResponse.DESCRIPTOR.fields_by_name.keys()}
    assert (found["label"], found["software_version"], found["last_reload"]) == ("current", "", None)
    at = "1970-01-01T00:00:05Z"
    failed = {"version": "v2", "reason": broken, "failed_at": at, "retried": False}
    assert found["failed_versions"][0] == failed
    first, second = found["workers"]
    assert (first["index"], first["pid"], first["state"]) == (0, 2**40, "WORKER_STATE_RUNNING")
    assert (second["state"], second["started_at"]) == (99, None)


LOADS = "version v1 has been loading for 12 s: its files are being verified"
NAMES_V1 = "label   'current' names v1"
LABEL = {"label": "current", "label_target": "v1"}
# The worst first.
INDEXES = [
    pb.IndexStatus(name="similar", backend="exact", recall_at_10={"item": 1}),
    pb.IndexStatus(
        name="recommend",
        backend="annoy",
        target_recall=0.95,
        recall_at_10={"known": 0.96, "session": 0.9512},
    ),
]
RECALLS = [
    "index   'similar', exact: recall@10 item 1.0000",
    "index   'recommend', annoy: recall@10 (target 0.95) session 0.9512, known 0.9600",
]
SAME = {"not_serving_reason": "x", "label_problem": "x"}


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        ({"label_target": "v1", "version": "v1"}, ["version v1", "pinned  to v1"]),
        ({"software_version": "1.2.3"}, ["version none", "release 1.2.3 of the retriever"]),
        ({**LABEL, "not_serving_reason": LOADS}, ["version none", NAMES_V1, f"waits   {LOADS}"]),
        ({**LABEL, **SAME}, ["version none", NAMES_V1, "        x"]),
        ({**LABEL, "indexes": INDEXES}, ["version none", NAMES_V1, *RECALLS]),
    ],
)
def test_the_status_tells_what_there_is_to_tell(service, capsys, status, lines):
    service.answer = pb.GetStatusResponse(**status)
    *told, _ = printed(capsys, "status")
    assert told[: len(lines)] == lines
    assert len(told) <= max(2, len(lines)) + 1


@pytest.mark.parametrize("serving", [True, False])
@pytest.mark.parametrize("flags", [[], ["--readiness"], ["--liveness"]])
def test_a_probe_tells_by_its_exit_status(service, capsys, flags, serving):
    healthy = serving or flags == ["--liveness"]
    states = health_pb2.HealthCheckResponse
    service.answer = states(status=states.SERVING if serving else states.NOT_SERVING)
    assert main(["health", *flags]) == (not healthy)
    text = f"{'healthy' if healthy else 'unhealthy'}: {'serving' if serving else 'not serving'}\n"
    assert capsys.readouterr().out == text
    assert main(["health", *flags, "--json"]) == (not healthy)
    assert json.loads(capsys.readouterr().out) == {"healthy": healthy, "serving": serving}


GOOD = pb.RecommendResult(response=items(("50", 1.5, "")))


def test_each_line_of_a_batch_has_a_line_of_its_own(service, capsys, tmp_path):
    bad = pb.RecommendResult(error={"code": 5, "message": "user 'x' isn't in version v1"})
    service.answer = pb.BatchRecommendResponse(results=[GOOD, bad])
    lines = [b'{"user_id": "3"}', b"", b"rubbish", b'{"userId": "x"}\r', b'{"user_id": "\xff"}']
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b"\n".join([*lines, b'{"user_id": 3, "limmit": 5}']))
    assert main(["batch-recommend", str(path)]) == 1
    found = {one.pop("line"): one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert [*found] == [1, 3, 4, 5, 6]
    assert found[1]["items"][0]["item_id"] == "50"
    details = "isn't JSON: a value should begin at column 1"
    expected = {"code": "INVALID_ARGUMENT", "details": details, "reason": "", "field": ""}
    assert found[3]["error"] == expected
    assert found[4]["error"]["code"] == "NOT_FOUND"
    assert found[5]["error"]["details"] == "isn't JSON: byte 13 isn't UTF-8"
    assert found[6]["error"]["field"] == "limmit"
    assert [one.user_id for one in service.asked.requests] == ["3", "x"]
    # One of answers alone succeeds.
    service.answer = pb.BatchRecommendResponse(results=[GOOD] * 64)
    path.write_text('{"user_id": "3"}\n' * 128)
    assert len(printed(capsys, "batch-recommend", str(path))) == 128
    assert len(service.asked.requests) == 64


def test_a_file_that_cannot_be_read_is_named(service, capsys, monkeypatch, tmp_path):
    assert main(["batch-recommend", str(tmp_path / "none")]) == 1
    assert "none: No such file" in capsys.readouterr().err

    def read():
        yield b'{"user_id": "3"}'
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(batches, "open_given", lambda _: contextlib.nullcontext(read()))
    assert main(["batch-recommend", "requests.jsonl"]) == 1
    assert capsys.readouterr().err == "error: requests.jsonl: Input/output error\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--exact --search-effort 1",
            "give --exact or --search-effort, not both: --exact scores every",
        ),
        ("--max-pages 100", "--max-pages is for --all-pages: give both, or leave --max-pages out"),
    ],
)
@pytest.mark.parametrize("command", ["recommend", "similar-items"])
def test_a_flag_that_would_have_no_effect_is_refused(service, capsys, command, arguments, message):
    assert main([command, "3", *arguments.split()]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert not hasattr(service, "asked")
