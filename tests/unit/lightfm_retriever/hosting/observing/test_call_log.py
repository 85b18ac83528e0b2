"""Request ids and access lines of calls to a real server."""

import contextlib
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from lightfm_retriever.hosting.calls import Calls, refusing_handler
from lightfm_retriever.hosting.observing import request_ids
from lightfm_retriever.hosting.observing.call_log import CallLog
from lightfm_retriever.hosting.serving.admission import Admission

PATIENCE = 30
METHOD = "/package.Calls/Ask"
MINE = (("x-request-id", "mine"),)
NOBODY = (("authorization", "nobody"),)


class Lines(queue.SimpleQueue):
    """Stands for the access log; a line comes a little after its call's answer."""

    add = queue.SimpleQueue.put


class Server:
    """Answers with the current request id, once or twice; "fail" and "abort" do what they say."""

    def __init__(self, *, access=True):
        self.lines = Lines()
        log = CallLog(self.lines if access else None, lambda response: {"results": len(response)})
        kinds = {
            "Ask": grpc.unary_unary_rpc_method_handler(self._answer),
            "Many": grpc.unary_stream_rpc_method_handler(self._stream),
        }
        services = ("package.Calls", "grpc.health.v1.Health")
        calls = Calls(guards=(self._guard,), arounds=(log,), of_refusals=(log,))
        self.server = grpc.server(
            ThreadPoolExecutor(1),
            handlers=[grpc.method_handlers_generic_handler(service, kinds) for service in services],
            interceptors=[Admission({}, calls=calls)],
        )
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.server.start()

    @staticmethod
    def _guard(details):
        if NOBODY[0] not in [*details.invocation_metadata]:
            return None
        return refusing_handler(lambda context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "no"))

    def _answer(self, request, context):
        if request == b"fail":
            raise RuntimeError(request_ids.current())
        if request == b"abort":
            context.set_trailing_metadata((("details-bin", b"x"),))
            context.abort(grpc.StatusCode.NOT_FOUND, "nobody")
        return request_ids.current().encode()

    def _stream(self, request, context):
        left = threading.Event()
        context.add_callback(left.set)
        yield request_ids.current().encode()
        if request == b"wait":
            left.wait(PATIENCE)
        yield self._answer(request, context)

    def ask(self, request=b"", *, method=METHOD, metadata=()):
        """The response, or the code of a failure, and the metadata that came after it."""
        call = self.channel.unary_unary(method)
        try:
            response, ended = call.with_call(request, timeout=PATIENCE, metadata=metadata)
        except grpc.RpcError as error:
            return error.code().name, dict(error.trailing_metadata())
        return response.decode(), dict(ended.trailing_metadata())

    def many(self, request):
        return self.channel.unary_stream("/package.Calls/Many")(
            request, timeout=PATIENCE, metadata=MINE
        )

    def line(self):
        return self.lines.get(timeout=PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.server.stop(grace=None).wait()


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


def test_the_callers_id_is_current_and_comes_back(server):
    assert server.ask(metadata=MINE) == ("mine", {"x-request-id": "mine"})
    line = server.line()
    assert line.pop("milliseconds") >= 0
    assert line.pop("peer").startswith("ipv4:127.0.0.1:")
    assert line == {"method": METHOD, "code": "OK", "request_id": "mine", "results": 4}
    # The next call on the thread has one of its own.
    made, metadata = server.ask()
    assert made != "mine"
    assert metadata == {"x-request-id": made}
    assert server.line()["request_id"] == made


@pytest.mark.parametrize(
    ("request_", "metadata", "method", "code", "others"),
    [
        (b"abort", (), METHOD, "NOT_FOUND", {"details-bin": b"x"}),
        (b"fail", (), METHOD, "UNKNOWN", {}),
        (b"", NOBODY, "/" + 999 * "x", "UNAUTHENTICATED", {}),
    ],
    ids=["aborted", "failed", "refused"],
)
def test_a_call_without_a_response_gets_its_id_too(server, request_, metadata, method, code, others):
    answer = server.ask(request_, metadata=(*MINE, *metadata), method=method)
    assert answer == (code, {**others, "x-request-id": "mine"})
    line = server.line()
    assert (line["code"], line["request_id"], line["method"]) == (code, "mine", method[:200])
    assert "results" not in line


@pytest.mark.parametrize(
    ("request_", "code"), [(b"", "OK"), (b"abort", "NOT_FOUND"), (b"wait", "CANCELLED")]
)
def test_a_stream_has_a_line_at_its_end(server, request_, code):
    responses = server.many(request_)
    assert next(responses) == b"mine"
    if request_ == b"wait":
        assert server.lines.empty()
        responses.cancel()
    with contextlib.suppress(grpc.RpcError):
        assert [*responses] == [b"mine"]
    assert responses.code().name == code
    line = server.line()
    assert (line["method"], line["code"], line["request_id"]) == ("/package.Calls/Many", code, "mine")


def test_health_checks_have_neither_line_nor_id(server):
    assert server.ask(method="/grpc.health.v1.Health/Ask") == ("", {})
    server.ask()
    assert server.line()["method"] == METHOD


def test_without_an_access_log_ids_come_back_where_they_matter():
    with Server(access=False) as server:
        made, metadata = server.ask()
        assert (len(made), metadata) == (16, {})
        assert server.ask(metadata=MINE) == ("mine", {"x-request-id": "mine"})
        assert len(server.ask(b"abort")[1]["x-request-id"]) == 16
