"""Logs as a process writes them."""

import json
import re
import subprocess
import sys

BEGIN = """
import logging, os, sys, threading, warnings
from lightfm_retriever.hosting.observing import logs, request_ids, spans
from lightfm_retriever.hosting.observing.logs import LogSettings, configure
log = logging.getLogger("retriever.somewhere")
print(os.getpid(), flush=True)
"""


def run(code):
    command = [sys.executable, "-c", BEGIN + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # By newlines alone, since other characters end no line of a log.
    *lines, rest = done.stderr.split("\n")
    assert rest == ""
    return lines, int(done.stdout)


def test_people_get_each_event_once_and_nothing_that_is_said_can_look_like_one():
    (first, forged, within, _, *trace), pid = run(r"""
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
    assert first.split(" ", 1)[1] == f"INFO parent [{pid}] 7 lines"
    assert r"user \n2026" in forged
    assert within.endswith('within request_id="a b"')
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
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)
    known = {"level": "WARNING", "logger": "retriever.somewhere", "role": "worker 0", "pid": pid}
    assert plain == {**known, "message": 'a "quoted"\nU+2028 \u2028 and a byte \\udcff'}
    assert failed.pop("time") >= time
    assert failed.pop("error").endswith("ZeroDivisionError: division by zero")
    ids = {"request_id": "mine", "trace_id": "a" * 32, "span_id": "b" * 16}
    assert failed == {**known, "level": "ERROR", "message": "failed", "version": "v1", **ids}
    # Logging loads none of these.
    assert loaded["message"] == "set()"


def test_what_python_prints_by_itself_is_json_too():
    for code, message in (
        ("raise RuntimeError('gone')", "unexpected error: stopping"),
        ("threading.Thread(target=lambda: 1 / 0, name='a').start()", "unexpected error in thread a"),
        ("warnings.warn('old')", "UserWarning: old"),
    ):
        [line], _ = run(f"configure('parent', LogSettings(format='json'))\n{code}")
        assert message in json.loads(line)["message"]
