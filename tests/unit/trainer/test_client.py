"""What a client refuses; a watch ends when nobody answers, and goes on while a run says nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc
from recsys.trainer.v1 import trainer_service_pb2 as pb
from recsys.trainer.v1 import trainer_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting.errors import ArgumentError
from trainer.client import TrainerCallError, TrainerClient

PATIENCE = 30


class Service(pb_grpc.TrainerServiceServicer):
    """Tells of a run when the test says so."""

    def __init__(self):
        self.told, self.gone = threading.Semaphore(0), threading.Semaphore(0)

    def WatchTrainingRun(self, request, context):  # noqa: N802
        context.add_callback(self.gone.release)
        while self.told.acquire(timeout=PATIENCE):
            yield pb.WatchTrainingRunResponse(training_run=pb.TrainingRun(id=request.training_run_id))


@pytest.fixture
def server():
    server = grpc.server(ThreadPoolExecutor(4))
    server.service = Service()
    pb_grpc.add_TrainerServiceServicer_to_server(server.service, server)
    checks = health.HealthServicer()
    checks.set("recsys.trainer.v1.TrainerService", 1)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    server.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield server
    server.service.told.release(8)
    server.stop(None).wait()


def test_a_watch_whose_first_answer_never_comes_ends(server):
    with (
        TrainerClient(server.address, timeout_seconds=0.2) as client,
        pytest.raises(TrainerCallError, match="no answer within") as caught,
    ):
        next(client.watch("a"))
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_watch_of_a_service_that_has_gone_ends(server):
    with TrainerClient(server.address, timeout_seconds=1.0) as client:
        client.is_serving()
        server.stop(None).wait()
        with pytest.raises(TrainerCallError, match="no answer within"):
            next(client.watch("a"))


def test_a_watch_that_was_answered_goes_on_however_long_nothing_comes(server):
    with TrainerClient(server.address, timeout_seconds=PATIENCE) as client:
        watch = client.watch("a")
        server.service.told.release()
        next(watch)
        # What would have ended it has been called off.
        for own in threading.enumerate():
            if isinstance(own, threading.Timer):
                own.join(PATIENCE / 2)
                assert not own.is_alive()
        server.service.told.release()
        assert next(watch).id == "a"
        # One that nobody takes any more is ended.
        watch.close()
        assert server.service.gone.acquire(timeout=PATIENCE)


@pytest.mark.parametrize("value", [None, "Trian", ["x"], pb.GetVersionRequest()], ids=repr)
def test_it_is_asked_by_its_methods_and_their_requests_only(value):
    request = pb.ListVersionsRequest()
    with TrainerClient("127.0.0.1:1") as client:
        with pytest.raises(ArgumentError, match=r"^method is .* one of AppendInteractions, Cancel"):
            client.call(value, request)
        with pytest.raises(ArgumentError, match=r"^request is .* a ListVersionsRequest$"):
            client.call("ListVersions", value)
        if not isinstance(value, str):
            with pytest.raises(ArgumentError, match=r"^run_id is "):
                next(client.watch(value))
    for ask in (
        *(lambda: client.call("ListVersions", request), lambda: next(client.watch("x"))),
        client.is_serving,
    ):
        with pytest.raises(ArgumentError, match=r"^the client is closed: make another$"):
            ask()


def test_it_is_made_with_what_it_takes_only():
    unfit = {"target": "127.0.0.1", "timeout_seconds": 0, "security": None, "timeout": 5}
    for name, value in unfit.items():
        with pytest.raises(ArgumentError) as caught:
            TrainerClient(**{"target": "127.0.0.1:1", name: value})
        assert caught.value.argument == name
