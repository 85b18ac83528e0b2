"""Logs as a process writes them."""

import json
import subprocess
import sys

import pytest

BEGIN = """
import logging, os, sys, threading, warnings
from lightfm_retriever.hosting.observing import logs, request_ids, spans
from lightfm_retriever.hosting.observing.logs import LogSettings, configure
log = logging.getLogger("retriever.somewhere")
print(os.getpid(), flush=True)
"""


def run(code):
    """The lines that a program writes to standard error, and its process id."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code], capture_output=True, text=True, check=False
    )
    # By newlines alone, since other characters end no line of a log.
    *lines, rest = done.stderr.split("\n")
    assert rest == ""
    return lines, int(done.stdout)


def test_people_get_each_event_once_and_nothing_that_is_said_can_look_like_one():
    (first, forged, within, failed, *trace), pid = run(r"""
configure("worker 3", LogSettings())
configure("parent", LogSettings())
log.info("%d lines", 7)
logging.getLogger("x").debug("not this")
forged = "\n2026-01-01T00:00:00+0000 INFO parent [1] all is well\x1b[2J\r"
log.info("user %s", forged)
request_ids.take([("x-request-id", "a b")])
log.info("within")
try:
    raise ValueError(forged)
except ValueError:
    log.exception("failed")
""")
    time, level, said = first.split(" ", 2)
    assert time[10] == "T"
    assert (level, said) == ("INFO", f"parent [{pid}] 7 lines")
    assert r"user \n2026" in forged
    assert within.endswith('within request_id="a b"')
    assert failed.endswith('failed request_id="a b"')
    assert all(line.startswith("  ") for line in trace)
    assert "ValueError: " in "".join(trace)
    assert "\x1b" not in "".join([forged, *trace])


def test_a_json_line_has_all_fields_and_no_others():
    lines, pid = run(r"""
configure("worker 0", LogSettings(format="json", level="warning"))
log.info("less than asked for")
log.warning("a %s", "\"quoted\"\nU+2028 \u2028 and a byte \udcff")
logs.say_version(lambda: "v1")
class Recorder:
    def ids(self): return "a" * 32, "b" * 16
spans.record_with(Recorder())
request_ids.take([("x-request-id", "mine")])
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
log.error("%s", {name.split(".")[0] for name in sys.modules} & {"grpc", "opentelemetry", "google"})
""")
    plain, failed, loaded = map(json.loads, lines)
    time = plain.pop("time")
    assert len(time) == len("2026-11-24T04:35:00.123Z")
    assert time[10] + time[-1] == "TZ"
    known = {"level": "WARNING", "logger": "retriever.somewhere", "role": "worker 0", "pid": pid}
    assert plain == {**known, "message": 'a "quoted"\nU+2028 \u2028 and a byte \\udcff'}
    assert failed.pop("time") >= time
    error = failed.pop("error")
    assert error.startswith("Traceback")
    assert error.endswith("ZeroDivisionError: division by zero")
    assert failed == {
        **known,
        "level": "ERROR",
        "message": "failed",
        "version": "v1",
        "request_id": "mine",
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
    }
    # Logging loads none of these.
    assert loaded["message"] == "set()"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise RuntimeError('gone')", "unexpected error: stopping"),
        (
            "t = threading.Thread(target=lambda: 1 / 0, name='beat'); t.start(); t.join()",
            "unexpected error in thread beat",
        ),
        ("warnings.warn('old')", "UserWarning: old"),
    ],
)
def test_what_python_prints_by_itself_is_json_too(code, message):
    [line], _ = run(f"configure('parent', LogSettings(format='json'))\n{code}")
    assert message in json.loads(line)["message"]
