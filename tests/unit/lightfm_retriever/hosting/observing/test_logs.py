"""Logs as a process writes them."""

from __future__ import annotations

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
    """What a program writes to standard error, and its process id."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code], capture_output=True, text=True, check=False
    )
    return done.stderr, int(done.stdout)


def lines_of(code):
    errors, pid = run(code)
    # By newlines alone, since other characters end no line of a log.
    *lines, rest = errors.split("\n")
    assert rest == ""
    return [json.loads(line) for line in lines], pid


def test_an_event_is_logged_once_with_time_level_role_and_pid():
    errors, pid = run("""
configure("worker 3", LogSettings())
configure("parent", LogSettings())
log.info("%d lines", 7)
logging.getLogger("x").debug("not this")
""")
    [line] = errors.splitlines()
    time, level, said = line.split(" ", 2)
    assert time[10] == "T"
    assert (level, said) == ("INFO", f"parent [{pid}] 7 lines")


def test_nothing_that_is_said_can_look_like_a_line_of_the_log():
    errors, _ = run(r"""
configure("parent", LogSettings())
forged = "\n2026-01-01T00:00:00+0000 INFO parent [1] all is well\x1b[2J\r"
log.info("user %s", forged)
try:
    raise ValueError(forged)
except ValueError:
    log.exception("failed")
""")
    assert sum(not line.startswith(" ") for line in errors.splitlines()) == 2
    assert r"user \n2026" in errors
    assert "\x1b" not in errors
    assert "ValueError: " in errors


def test_the_console_tells_the_request_id_where_there_is_one():
    errors, _ = run("""
configure("trainer", LogSettings())
log.info("before")
request_ids.take([("x-request-id", "a b")])
log.info("within")
""")
    before, within = errors.splitlines()
    assert before.endswith("before")
    assert within.endswith('within request_id="a b"')


def test_a_json_line_has_all_fields_and_no_others():
    lines, pid = lines_of(r"""
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
""")
    plain, failed = lines
    time = plain.pop("time")
    assert len(time) == len("2026-11-24T04:35:00.123Z")
    assert time[10] + time[-1] == "TZ"
    known = {"level": "WARNING", "logger": "retriever.somewhere", "role": "worker 0", "pid": pid}
    assert plain == {**known, "message": '"quoted"\nU+2028 \u2028 and a byte \\udcff'.join(["a ", ""])}
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
    [line], _ = lines_of(f"configure('parent', LogSettings(format='json'))\n{code}")
    assert message in line["message"]


def test_a_process_that_logs_loads_neither_grpc_nor_opentelemetry():
    errors, _ = run("""
configure("parent", LogSettings(format="json"))
log.warning("%s", {name.split(".")[0] for name in sys.modules} & {"grpc", "opentelemetry", "google"})
""")
    assert json.loads(errors)["message"] == "set()"
