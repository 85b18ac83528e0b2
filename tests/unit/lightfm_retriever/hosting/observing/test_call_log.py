"""Request ids and access lines of calls, as far as gRPC has no part in them."""

import contextvars
from contextlib import suppress
from types import SimpleNamespace

import grpc
import pytest

from lightfm_retriever.hosting.observing import request_ids
from lightfm_retriever.hosting.observing.call_log import CallLog

NOT_FOUND = {"code": grpc.StatusCode.NOT_FOUND}
ENDS = [({}, "UNKNOWN"), (NOT_FOUND, "NOT_FOUND"), ({"active": False}, "CANCELLED")]
METHOD = "/package.Calls/Ask"
# As long as may be.
MINE = ("x-request-id", f"{'mine':<128}")


def ask(*metadata, behavior=lambda *_: "text", method=METHOD, streams=False, access=True, **how):
    """What the caller gets at the end of a call, and the lines of the log."""
    lines, trailing = [], []
    context = SimpleNamespace(
        invocation_metadata=lambda: metadata,
        code=lambda: how.get("code"),
        is_active=lambda: how.get("active", True),
        peer=lambda: "ipv4:127.0.0.1:1",
        trailing_metadata=lambda: trailing,
        set_trailing_metadata=lambda own: trailing.__setitem__(slice(None), own),
    )
    log = CallLog(
        SimpleNamespace(add=lines.append) if access else None, lambda own: {"results": len(own)}
    )
    answer = log(method, behavior, streams=streams)

    def call():
        return [*answer("request", context)] if streams else answer("request", context)

    with suppress(ZeroDivisionError):
        contextvars.copy_context().run(call)
    return dict(trailing), lines


def test_the_callers_id_is_current_and_comes_back():
    told, [line] = ask(MINE, behavior=lambda *_: request_ids.current() + "!")
    assert told == {"x-request-id": MINE[1]}
    assert line.pop("milliseconds") >= 0
    known = {"method": METHOD, "code": "OK", "request_id": MINE[1], "peer": "ipv4:127.0.0.1:1"}
    assert line == {**known, "results": 129}
    assert request_ids.current() == ""


@pytest.mark.parametrize("given", ["", "x" * 129, "two\nlines", "é"])
def test_an_id_that_could_be_harmful_is_replaced_by_another_each_time(given):
    (told, [line]), (other, _) = ask(("x-request-id", given)), ask()
    assert told == {"x-request-id": line["request_id"]} != other
    assert line["request_id"] != given


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("how", "code"), ENDS)
def test_a_call_without_a_response_gets_its_id_too_beside_what_it_has(streams, how, code):
    def behavior(_, context):
        context.set_trailing_metadata((("details-bin", b"x"),))
        raise ZeroDivisionError

    told, [line] = ask(MINE, behavior=behavior, streams=streams, method="/" + 999 * "x", **how)
    assert told == {"details-bin": b"x", "x-request-id": MINE[1]}
    assert (line["code"], line["request_id"], len(line["method"])) == (code, MINE[1], 200)
    assert "results" not in line


def test_a_stream_has_a_line_at_its_end():
    _, [line] = ask(behavior=lambda *_: iter("text"), streams=True)
    assert line["code"] == "OK"
    # Whose caller left, though it may not notice.
    _, [line] = ask(behavior=lambda *_: iter("text"), streams=True, active=False)
    assert line["code"] == "CANCELLED"


def test_ids_come_back_where_they_matter_and_without_an_access_log_too():
    # Not from health checks.
    assert ask(MINE, method="/grpc.health.v1.Health/Check") == ({}, [])
    assert ask(access=False) == ({}, [])
    assert ask(MINE, access=False) == ({"x-request-id": MINE[1]}, [])
    told, _ = ask(behavior=lambda *_: 1 / 0, access=False)
    assert len(told["x-request-id"]) == 16
