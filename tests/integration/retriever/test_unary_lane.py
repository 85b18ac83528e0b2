"""The lane that takes calls over from gRPC, on a real server: grpcio promises nothing of it."""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import pytest

from lightfm_retriever.hosting.serving.admission import Admission
from lightfm_retriever.hosting.serving.lanes import UnaryLane

METHOD = "/package.Calls/Ask"
PATIENCE = 20


class Server:
    """Answers with the name of the thread; "fail", "deny", "wait" and "bad" do what they say."""

    def __init__(self):
        self.release = threading.Event()
        self.waiting = queue.SimpleQueue()
        self.observed = queue.SimpleQueue()
        self.lane = UnaryLane(
            "lane",
            limit=6,
            threads=1,
            is_quick=lambda request: request != b"wait",
            observe=lambda method, code, _: self.observed.put((method, code)),
        )
        handler = grpc.unary_unary_rpc_method_handler(
            self._answer, request_deserializer=self._parse, response_serializer=str.encode
        )
        self.server = grpc.server(
            ThreadPoolExecutor(1, thread_name_prefix="spare"),
            handlers=[grpc.method_handlers_generic_handler("package.Calls", {"Ask": handler})],
            interceptors=[Admission({"package.Calls": self.lane})],
        )
        self.target = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    @staticmethod
    def _parse(data):
        if data == b"bad":
            raise ValueError(data)
        return data

    def _answer(self, request, context):
        if request == b"fail":
            raise RuntimeError
        if request == b"deny":
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "denied")
        if request == b"wait":
            self.waiting.put(context)
            self.release.wait(PATIENCE)
        return threading.current_thread().name


@pytest.fixture
def server():
    server = Server()
    yield server
    server.release.set()
    # Whatever became of the calls, they have ended.
    assert server.lane.wait_until_empty(PATIENCE)
    server.server.stop(grace=None).wait()
    server.lane.shutdown()


@pytest.fixture
def ask(server):
    with grpc.insecure_channel(server.target) as channel:
        method = channel.unary_unary(METHOD, response_deserializer=bytes.decode)
        ask = partial(method, timeout=PATIENCE)
        ask.future = partial(method.future, timeout=PATIENCE)
        yield ask


def code(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments, **{"timeout": PATIENCE, **options})
    return error.value.code()


def test_what_is_quick_is_answered_where_calls_are_taken_while_the_lane_answers_the_rest(server, ask):
    slow = ask.future(b"wait")
    server.waiting.get(timeout=PATIENCE)
    [quick] = {ask(b"quick") for _ in range(10)}
    assert not quick.startswith(("lane", "spare"))
    assert not slow.done()
    server.release.set()
    assert slow.result().startswith("lane")
    assert (server.lane.accepted, server.lane.refused) == (11, 0)


def test_a_call_that_nobody_waits_for_any_more_is_told_so_and_ends(server, ask):
    first = ask.future(b"wait")
    server.waiting.get(timeout=PATIENCE)
    second = ask.future(b"wait", timeout=0.05)
    assert second.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    server.release.set()
    assert first.result()
    assert not server.waiting.get(timeout=PATIENCE).is_active()


def test_what_fails_or_has_no_request_fails_alone_and_has_ended(server, ask):
    with grpc.insecure_channel(server.target) as channel:
        for _ in range(10):
            assert code(ask, b"fail") is grpc.StatusCode.UNKNOWN
            assert code(ask, b"bad") is grpc.StatusCode.INTERNAL
            assert code(channel.stream_unary(METHOD), iter(())) is grpc.StatusCode.UNIMPLEMENTED


def test_who_sends_no_request_takes_no_thread_and_has_ended_when_they_leave(server, ask):
    requests = queue.SimpleQueue()
    with grpc.insecure_channel(server.target) as channel:
        silent = [
            channel.stream_unary(METHOD).future(iter(requests.get, None), timeout=PATIENCE)
            for _ in range(5)
        ]
        while server.lane.in_flight < 5:
            ask(b"quick")
        # The only thread is free, and so is gRPC's own.
        server.release.set()
        assert ask(b"wait").startswith("lane")
        for call in silent:
            call.cancel()
            requests.put(None)
        assert server.lane.wait_until_empty(PATIENCE)
    assert ask(b"quick")


def test_each_call_is_told_of_with_how_it_ended_the_last_one_while_the_server_stops(server, ask):
    ask(b"quick")
    assert code(ask, b"deny") is grpc.StatusCode.PERMISSION_DENIED
    call = ask.future(b"wait")
    left = threading.Event()
    server.waiting.get(timeout=PATIENCE).add_callback(left.set)
    call.cancel()
    assert left.wait(PATIENCE)
    last = ask.future(b"wait")
    while server.lane.in_flight < 2:
        pass
    stopped = server.server.stop(grace=PATIENCE)
    server.release.set()
    assert last.result()
    assert stopped.wait(PATIENCE)
    codes = grpc.StatusCode
    for expected in (codes.OK, codes.PERMISSION_DENIED, codes.CANCELLED, codes.OK):
        assert server.observed.get(timeout=PATIENCE) == (METHOD, expected)


def lacks(*_):
    """As where memory lacks."""
    raise MemoryError


def test_a_call_that_no_thread_can_be_given_is_told_to_ask_again_also_if_it_waited(
    server, ask, monkeypatch
):
    with monkeypatch.context() as patch:
        # Its threads have begun by now.
        patch.setattr(ThreadPoolExecutor, "submit", lacks)
        assert code(ask, b"wait") is grpc.StatusCode.UNAVAILABLE
        assert server.observed.get(timeout=PATIENCE) == (METHOD, grpc.StatusCode.UNAVAILABLE)
        server.lane.hold()
        calls = [ask.future(b"wait") for _ in range(3)]
        while server.lane.in_flight < len(calls):
            pass
        server.lane.release()
        assert [call.code() for call in calls] == [grpc.StatusCode.UNAVAILABLE] * len(calls)


@pytest.mark.parametrize("request_", [b"quick", b"wait"])
def test_a_call_whose_answering_breaks_down_ends_and_is_counted_once(
    server, ask, request_, monkeypatch
):
    """On gRPC's own thread it would end that thread, and on another one be waited for for ever."""
    submit = UnaryLane.submit
    monkeypatch.setattr(
        UnaryLane, "submit", lambda lane, _, *arguments: submit(lane, lacks, *arguments)
    )
    assert code(ask, request_) is grpc.StatusCode.UNAVAILABLE
    assert server.lane.wait_until_empty(PATIENCE)
    monkeypatch.undo()
    assert ask(b"quick")
    observed = [server.observed.get(timeout=PATIENCE)[1] for _ in range(2)]
    assert observed == [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK]
    assert server.observed.empty()
