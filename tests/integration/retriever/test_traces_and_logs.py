"""Traces and logs of a retriever as a process."""

import json
import signal

import grpc
import pytest
from opentelemetry import trace
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication.attributes import TextColumn
from lightfm_retriever.publication.labels import promote
from retriever.client import RetrieverClient, any_of
from tests import retrievable
from tests.load import models
from tests.otlp import Receiver
from tests.service import PATIENCE

CALLER = "b7ad6b7169203331"
ASK = pb.RecommendRequest(user_id="user-3")
SERVICE = "recsys.retriever.v1.RetrieverService"
# Nobody listens there.
DOWN = "http://127.0.0.1:1"


def test_spans_of_calls_belong_to_their_callers_traces(start, tmp_path):
    volume = tmp_path / "volume"
    genres = TextColumn("genres", [["Drama"] if row % 2 else ["War"] for row in range(40)])
    version = retrievable.publish(volume, attributes=[genres])
    with Receiver() as receiver:
        service = start(volume, workers=1, otlp_endpoint=receiver.url, trace_share=1)
        stub = service.stub()
        wanted = {"conditions": [{"attribute": "genres", "any_of": {"values": ["War"]}}]}
        ask = pb.RecommendRequest(user_id="3", limit=5, filter=wanted)
        metadata = (("traceparent", f"00-{'b' * 32}-{CALLER}-01"),)
        stub.Recommend(ask, timeout=PATIENCE, metadata=metadata)
        call, looked_up, search = receiver.wait_for(lambda spans: len(spans) == 3, trace_id="b" * 32)
        # One whose caller doesn't say begins a trace of its own.
        own = receiver.wait_for_any(lambda span: span.name == f"{SERVICE}/GetStatus")
        assert own.parent_id == ""

        context = trace.SpanContext(0xD, 0xE, is_remote=False, trace_flags=trace.TraceFlags(1))
        with RetrieverClient(service.target) as client, trace.use_span(trace.NonRecordingSpan(context)):
            client.recommend("3", filter=[any_of("genres", "War")])
        of_client = receiver.wait_for(lambda spans: len(spans) == 3, trace_id=f"{0xD:032x}")

        assert service.terminate() == 0
    assert [call.name, looked_up.name, search.name] == [f"{SERVICE}/Recommend", "filter", "search"]
    assert [call.parent_id, looked_up.parent_id, search.parent_id] == [CALLER, *2 * [call.span_id]]
    assert call.begin <= looked_up.begin <= looked_up.end <= search.begin <= search.end <= call.end
    assert call.attributes == {
        "rpc.system": "grpc",
        "rpc.service": SERVICE,
        "rpc.method": "Recommend",
        "rpc.grpc.status_code": 0,
        "version": version,
        "results": 5,
        "source": "PERSONALIZED",
        "exact": True,
        "candidates": call.attributes["candidates"],
    }
    assert call.resource["service.name"] == "lightfm-retriever"
    assert call.resource["role"] == "worker 0"
    assert of_client[0].parent_id == f"{0xE:016x}"


def test_all_that_a_retriever_logs_is_json_and_a_receiver_that_is_down_disturbs_nothing(start, volume):
    first = models.publish(volume, "a", 1).version
    promote(volume, first)
    service = start(volume, log_format="json", access_log=True, otlp_endpoint=DOWN, trace_share=1)
    service.wait_until_all_serve(first)
    stub = service.stub()
    metadata = (("x-request-id", 'mine "quoted"'),)
    _, call = stub.Recommend.with_call(ASK, timeout=PATIENCE, metadata=metadata)
    assert ("x-request-id", 'mine "quoted"') in [tuple(pair) for pair in call.trailing_metadata()]
    nobody = pb.RecommendRequest(user_id="\n{}")
    with pytest.raises(grpc.RpcError) as refused:
        stub.Recommend(nobody, timeout=PATIENCE, metadata=(("x-request-id", 200 * "x"),))
    made = dict(refused.value.trailing_metadata())["x-request-id"]
    second = models.publish(volume, "b", 2).version
    promote(volume, second)
    service.signal(signal.SIGHUP)
    service.wait_until_all_serve(second)
    pids = {f"worker {worker.index}": worker.pid for worker in service.status().workers}
    assert service.terminate() == 0

    *texts, rest = service.log.split("\n")
    assert rest == ""
    lines = [json.loads(text) for text in texts]
    for line in lines:
        assert line["time"].endswith("Z")
        assert line["level"] in ("INFO", "WARNING")
        assert {"message", "logger", "pid"} < line.keys()
        assert line["pid"] == {"parent": service.pid, **pids}[line["role"]]
    told = [line for line in lines if "traces can't be sent" in line["message"]]
    # Once for each worker that had spans to send.
    assert 1 <= len(told) == len({line["role"] for line in told}) <= 2
    by_message = {line["message"].split(" ")[0]: line for line in lines if line["role"] == "parent"}
    assert by_message["SIGTERM:"]["version"] == second
    calls = {line["request_id"]: line for line in lines if line["logger"] == "access"}
    answered = calls['mine "quoted"']
    told = {"method": f"/{SERVICE}/Recommend", "code": "OK", "version": first, "results": 10}
    assert told.items() <= answered.items()
    assert answered["milliseconds"] > 0
    assert answered["peer"].startswith("ipv4:127.0.0.1:")
    assert (len(answered["trace_id"]), len(answered["span_id"])) == (32, 16)
    assert (calls[made]["code"], len(made)) == ("NOT_FOUND", 16)
