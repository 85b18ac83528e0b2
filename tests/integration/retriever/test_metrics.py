"""What Prometheus and probes are told of a service that runs."""

import contextlib
import os
import re
import signal
import time
from http.client import HTTPConnection

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import labels, layout
from tests.integration.retriever.test_overload import HeldCall
from tests.load import models
from tests.service import PATIENCE

# Between two looks: nothing tells of changes.
_LOOK_SECONDS = 0.03
_NEVER = ("CANCELLED", "UNIMPLEMENTED")


class Watched:
    """A service's metrics and probes."""

    def __init__(self, start, volume, **options):
        self.service = service = start(volume, metrics_listen="127.0.0.1:0", **options)
        self._asking = HTTPConnection(re.search(r"metrics on (\S+)", service.log)[1], timeout=PATIENCE)

    def get(self, path):
        """Status and body."""
        with contextlib.closing(self._asking):
            self._asking.request("GET", path)
            response = self._asking.getresponse()
            return response.status, response.read().decode()

    def read(self):
        """Each sample's value, by "name{label=value,...}"."""
        status, body = self.get("/metrics")
        assert status == 200
        samples = {}
        for family in text_string_to_metric_families(body):
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                samples[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
        return samples

    def wait_for(self, holds, what=None):
        """Wait until what is read is as wanted: a call is counted when it has been answered."""
        what = what or self.read
        end = time.monotonic() + PATIENCE
        while not holds(read := what()):
            if time.monotonic() > end:
                raise TimeoutError(f"still: {read}")
            time.sleep(_LOOK_SECONDS)
        return read

    def wait_for_values(self, **expected):
        """Wait for calls: "Recommend_OK" and so on."""
        keys = {
            "retriever_calls_total{{code={1},method={0}}}".format(*name.split("_", 1)): value
            for name, value in expected.items()
        }
        return self.wait_for(lambda read: {key: read.get(key) for key in keys} == keys)


def fails(call, request):
    with pytest.raises(grpc.RpcError) as failed:
        call(request, timeout=PATIENCE)
    return failed.value.code().name


def test_calls_of_all_kinds_are_counted_by_what_came_of_them(start, volume):
    watched = Watched(start, volume, workers=1, max_calls=2, threads=1, online_recall_share=1)
    service, user, item = watched.service, models.USER_IDS[0], models.ITEM_IDS[0]
    channel = service.channel()
    stub = service.stub()
    for _ in range(3):
        stub.Recommend(pb.RecommendRequest(user_id=user), timeout=PATIENCE)
    stub.SimilarItems(pb.SimilarItemsRequest(item_id=item, limit=1000), timeout=PATIENCE)
    batch = [{"user_id": user}, {"user_id": "nobody"}, {"user_id": user, "exact": True}]
    stub.BatchRecommend(pb.BatchRecommendRequest(requests=batch), timeout=PATIENCE)
    assert fails(stub.Recommend, pb.RecommendRequest(user_id="nobody")) == "NOT_FOUND"
    broken = channel.unary_unary("/recsys.retriever.v1.RetrieverService/Recommend")
    assert fails(broken, b"\xff") == "INTERNAL"
    held = [HeldCall(channel) for _ in range(2)]
    service.wait_until(lambda status: status.workers[0].calls_in_flight == 2)
    assert watched.wait_for(lambda read: read["retriever_calls_in_flight{worker=0}"] == 2)
    assert fails(stub.Recommend, pb.RecommendRequest(user_id=user)) == "RESOURCE_EXHAUSTED"
    held[0].send()
    held[0].future.result(timeout=PATIENCE)
    held[1].cancel()
    read = watched.wait_for_values(
        Recommend_OK=4,
        Recommend_NOT_FOUND=1,
        Recommend_INTERNAL=1,
        Recommend_RESOURCE_EXHAUSTED=1,
        SimilarItems_OK=1,
        BatchRecommend_OK=1,
        BatchSimilarItems_OK=0,
    )
    # One that never came: what is noticed first, that it ended or that it was cancelled?
    never = [f"retriever_calls_total{{code={code},method=Recommend}}" for code in _NEVER]
    watched.wait_for(lambda read: sum(read.get(key, 0) for key in never) == 1)
    # Not those that were refused, or never came.
    assert read["retriever_call_duration_seconds_count{method=Recommend}"] == 5
    assert read["retriever_call_duration_seconds_sum{method=Recommend}"] > 0
    assert read["retriever_calls_total{code=OK,method=GetStatus}"] > 0
    version = service.status().version
    assert read[f"retriever_version_info{{label=current,version={version}}}"] == 1
    assert read["retriever_workers{state=running}"] == 1
    assert read["retriever_reloads_total{outcome=succeeded}"] == 1
    assert read["retriever_parent_memory_bytes"] > 1 << 20
    assert watched.wait_for(lambda read: read["retriever_worker_memory_bytes{worker=0}"] > 1 << 20)
    # A worker that is killed loses no count, and the next one counts on.
    os.kill(service.worker_pids()[0], signal.SIGKILL)
    watched.wait_for(lambda read: read["retriever_worker_restarts_total{worker=0}"] == 1)
    service.wait_until_all_serve(version)
    again = pb.RecommendRequest(user_id=user)
    service.stub().Recommend(again, timeout=PATIENCE, wait_for_ready=True)
    watched.wait_for_values(Recommend_OK=5, Recommend_NOT_FOUND=1, SimilarItems_OK=1)


def test_reloads_are_counted_by_outcome_and_probes_follow_them_to_the_end(start, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    watched = Watched(start, volume, workers=1, serving=False, drain_seconds=3000)
    assert watched.get("/live") == (200, "ok\n")
    status, reason = watched.wait_for(lambda said: "label" in said[1], lambda: watched.get("/ready"))
    assert status == 503
    assert reason.startswith("no version is served: ")
    watched.wait_for(lambda read: read.get("retriever_label_problem") == 1)
    labels.promote(volume, models.publish(volume, "a", 1).version)
    watched.wait_for(lambda said: said == (200, "ok\n"), lambda: watched.get("/ready"))
    broken = models.publish(volume, "b", 2).version
    path = layout.version_dir(volume, broken) / layout.USER_VECTORS
    path.chmod(0o644)
    path.write_bytes(b"")
    labels.promote(volume, broken)
    read = watched.wait_for(lambda read: read["retriever_failed_versions"] == 1)
    for outcome in ("succeeded", "failed"):
        assert read[f"retriever_reloads_total{{outcome={outcome}}}"] == 1
        assert read[f"retriever_reload_duration_seconds_count{{outcome={outcome}}}"] == 1
    assert read["retriever_label_problem"] == 0
    assert watched.get("/ready")[0] == 200, "what served before still does"
    # It isn't ready any more as soon as it drains, and is watched to its end.
    watched.service.signal(signal.SIGTERM)
    said = watched.wait_for(lambda said: said[0] == 503, lambda: watched.get("/ready"))
    assert said == (503, "SIGTERM: draining\n")
    assert watched.get("/live") == (200, "ok\n")
    watched.service.stub().Recommend(pb.RecommendRequest(user_id=models.USER_IDS[0]), timeout=PATIENCE)
    watched.wait_for_values(Recommend_OK=1)
    watched.service.signal(signal.SIGINT)
    watched.service.wait()
