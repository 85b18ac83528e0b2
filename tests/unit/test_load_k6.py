"""The load tools' own arithmetic; tests/load has them at work."""

from __future__ import annotations

import argparse
import struct
import sys

import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication.reader import open_publication
from tests import retrievable
from tests.load import h2load, k6, k6_results, k6_run, target

H2LOAD = """
finished in 7.69s, 2602.11 req/s, 700.11KB/s
requests: 20000 total, 20000 started, 20000 done, 19990 succeeded, 4 failed, 6 errored, 0 timeout
status codes: 19990 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 5.26MB (5510032) total, 1.12MB (1170032) headers (space savings 63.46%), 2.80MB (2940000) data
                     min         max         mean         sd        +/- sd
time for request:      832us     43.86ms      5.34ms      3.65ms    75.52%
time for connect:      109us      2.20ms      1.12ms       601us    56.25%
"""


def latency(count, median, missed=None):
    values = {
        "min": 0.1,
        "med": median,
        "p(90)": 2 * median,
        "p(99)": 3 * median,
        "max": 9,
        "count": count,
    }
    return values if missed is None else {**values, "thresholds": {"p(99)<5": missed}}


def summary(*, missed=False, failed=0):
    """As k6 writes it after ten seconds."""
    return {
        "metrics": {
            "calls": {"count": 110, "rate": 11.0},
            "calls{kind:recommend}": {"count": 90, "rate": 9.0, "thresholds": {"count>=0": False}},
            "calls{kind:status}": {"count": 20, "rate": 2.0},
            "calls{kind:session}": {"count": 0, "rate": 0},
            "failed_calls": {"count": failed, "rate": 0, "thresholds": {"count==0": failed > 0}},
            "failed_calls{kind:recommend}": {"count": failed, "rate": 0},
            "refused_calls{kind:recommend}": {"count": 3, "rate": 0.3},
            "grpc_req_duration": latency(111, 2.0, missed),
            "grpc_req_duration{kind:recommend}": latency(90, 1.0),
            "grpc_req_duration{kind:session}": latency(0, 0),
            "grpc_req_duration{kind:status}": latency(20, 4.0),
            "grpc_req_duration{scenario:after}": latency(50, 1.5),
            "checks": {"passes": 109, "fails": 1, "value": 0.99, "thresholds": {"rate==1": True}},
        }
    }


def test_a_row_for_each_kind_that_was_called_then_for_all():
    rows = {row.calls: row for row in k6_results.read(summary(failed=2)).rows}
    assert list(rows) == ["Recommend", "GetStatus", "all, after the spike", "all"]
    recommend = k6_results.Row("Recommend", 90, pytest.approx(9.0), 1.0, 2.0, 3.0, 9.0, 3, 2)
    assert rows["Recommend"] == recommend
    # Setup's own call isn't one of the load.
    assert rows["all"].count == 110
    assert rows["all, after the spike"].count == 50
    assert rows["all, after the spike"].failed is None


def test_workers_count_what_is_neither_failed_nor_a_status():
    assert k6_results.read(summary(failed=2)).counted_calls == 110 - 20 - 2


def test_missed_thresholds_say_what_was_wanted_and_what_it_was():
    assert k6_results.read(summary(missed=True, failed=2)).missed == [
        "checks: rate==1 was wanted, it was 0.99",
        "failed_calls: count==0 was wanted, it was 2",
        "grpc_req_duration: p(99)<5 was wanted, it was 6",
    ]


def test_nothing_was_measured():
    results = k6_results.read({"metrics": {"calls": {"count": 0, "rate": 0}}})
    assert (results.rows, results.missed, results.dropped) == ([], [], 0)


def status(*workers):
    fields = ("index", "pid", "calls", "refused_calls", "restarts")
    return pb.GetStatusResponse(
        workers=[pb.WorkerStatus(**dict(zip(fields, worker, strict=True))) for worker in workers]
    )


def test_what_workers_did_meanwhile():
    before = status((0, 10, 100, 5, 2), (1, 11, 50, 0, 0))
    after = status((0, 10, 160, 6, 2), (1, 12, 30, 1, 1))
    first, second = k6_results.workers(before, after)
    assert (first.calls, first.refused, first.restarts) == (60, 1, 0)
    # Another process, which began to count anew.
    assert (second.calls, second.refused, second.restarts) == (30, 1, 1)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("30s", 30), ("1.5m", 90), ("2h", 7200), ("24h", 86400)]
)
def test_durations(text, seconds):
    assert k6.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "0", "-5s", "1d", "nan", "inf", "25h", "0.5s", "5 minutes"])
def test_durations_that_arent(text):
    with pytest.raises(argparse.ArgumentTypeError, match="should be 1s to 24h"):
        k6.duration(text)


@pytest.mark.parametrize("flag", ["--rate", "--connections", "--workers"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", ""])
def test_counts_that_arent(flag, value, capsys):
    with pytest.raises(SystemExit):
        k6.main(["steady", flag, value])
    assert "should be a whole number above 0" in capsys.readouterr().err


def test_every_scenario_has_a_script_and_what_it_reads():
    for scenario, own in k6_run.DEFAULTS.items():
        assert (k6_run.SCRIPTS / f"{scenario}.js").is_file()
        assert own.keys() == {"duration_seconds", "rate", "connections", "max_p99_ms"}
    scripts = {path.stem for path in k6_run.SCRIPTS.glob("*.js")}
    assert scripts == {*k6_run.DEFAULTS, "lib"}


def test_no_k6(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")
    assert k6.main(["smoke"]) == 1
    assert "k6 isn't installed" in capsys.readouterr().err


def test_no_h2load(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert h2load.main([]) == 1
    assert capsys.readouterr().err == "error: h2load isn't installed: apt-get install nghttp2-client\n"


def test_a_framed_request_is_its_length_and_its_bytes():
    request = pb.RecommendRequest(user_id="用户" * 50)
    frame = h2load.framed(request)
    compressed, length = struct.unpack(">?I", frame[:5])
    assert not compressed
    assert length == len(frame) - 5 == request.ByteSize()
    assert pb.RecommendRequest.FromString(frame[5:]) == request


def test_what_h2load_prints():
    assert h2load.parse(H2LOAD) == h2load.Raw(2602.11, 19990, 10, "5.34ms", "43.86ms")


def test_what_h2load_prints_when_it_gives_up():
    with pytest.raises(target.LoadError, match="isn't understood: 'Maximum"):
        h2load.parse("Maximum retries")


def test_ids_that_both_versions_have(tmp_path):
    first = retrievable.publish(tmp_path, seed=1, items=40, users=12)
    second = retrievable.publish(tmp_path, seed=2, items=20, users=6)
    unasked = None
    known = target.known_of(unasked, tmp_path, [first, second])
    smaller = open_publication(tmp_path, second)
    assert sorted(known.items) == sorted(smaller.items.external_id(row) for row in range(20))
    assert sorted(known.users) == sorted(smaller.users.external_id(row) for row in range(6))
    assert known.filter is None


def test_another_version_to_publish(tmp_path):
    first = retrievable.publish(tmp_path, seed=1)
    with pytest.raises(target.LoadError, match=f"has no version but {first}"):
        target.other_version(tmp_path, first)
    second = retrievable.publish(tmp_path, seed=2)
    assert target.other_version(tmp_path, first) == second
    assert target.other_version(tmp_path, second) == first
