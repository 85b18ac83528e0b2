"""Servers that look like a retriever from outside."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting.security.credentials import add_port
from lightfm_retriever.hosting.security.settings import SecuritySettings

SERVICE = pb.DESCRIPTOR.services_by_name["RetrieverService"]
PLAIN = SecuritySettings()


@contextlib.contextmanager
def answering(on_call=lambda *_: None, *, states=None, security=PLAIN):
    """One whose calls are answered as version "v" unless `on_call` aborts them; its "host:port"."""

    def handler(method):
        def answer(request, context):
            on_call(request, context)
            return getattr(pb, method.output_type.name)(version="v").SerializeToString()

        parse = getattr(pb, method.input_type.name).FromString
        return grpc.unary_unary_rpc_method_handler(answer, request_deserializer=parse)

    handlers = {method.name: handler(method) for method in SERVICE.methods}
    calls = grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)
    server = grpc.server(ThreadPoolExecutor(4), handlers=[calls])
    if states is None:
        states = health.HealthServicer()
        states.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(states, server)
    port = add_port(server, "127.0.0.1:0", security)
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()
