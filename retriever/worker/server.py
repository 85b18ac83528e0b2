"""The gRPC server of one worker: the calls that it answers, and how many at a time."""

from __future__ import annotations

import msgspec
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting import message_sizes
from lightfm_retriever.hosting.addresses import joined
from lightfm_retriever.hosting.calls import Calls
from lightfm_retriever.hosting.process import pss_bytes
from lightfm_retriever.hosting.security import credentials
from lightfm_retriever.hosting.serving import descriptors
from lightfm_retriever.hosting.serving.lanes import Observe, UnaryLane
from lightfm_retriever.hosting.serving.server import HostedServer, probes
from retriever.answering.questions import MAX_REQUEST_BYTES
from retriever.config import Config
from retriever.control import Load
from retriever.worker.service import SERVICE_NAME, RetrieverServicer

# Streams of one connection for other things than calls, such as health checks.
_OTHER_STREAMS = 64


class Server(HostedServer):
    """A server that doesn't listen until `listen` is called."""

    def __init__(
        self, config: Config, servicer: RetrieverServicer, *, calls: Calls, observe: Observe
    ) -> None:
        self._config = config
        self._unary = UnaryLane(
            "call",
            limit=config.max_calls,
            threads=config.threads,
            is_quick=servicer.is_quick,
            observe=observe,
        )
        options = [("grpc.so_reuseport", 1), *message_sizes.received(MAX_REQUEST_BYTES)]
        if age := config.max_connection_age_seconds:
            options += [
                ("grpc.max_connection_age_ms", int(age * 1000)),
                ("grpc.max_connection_age_grace_ms", int(config.grace_seconds * 1000)),
            ]
        super().__init__(
            SERVICE_NAME,
            {SERVICE_NAME: self._unary, f"/{SERVICE_NAME}/GetStatus": probes("status", observe)},
            calls=calls,
            observe=observe,
            # More than the calls: a client that sends too many calls gets RESOURCE_EXHAUSTED.
            streams=config.max_calls + _OTHER_STREAMS,
            options=options,
        )
        pb_grpc.add_RetrieverServiceServicer_to_server(servicer, self.grpc)

    def listen(self) -> None:
        """Bind the port and take calls.

        Raises:
            RuntimeError: the port can't be bound.
            HostingError: certificates can't be used.
        """
        address = joined(self._config.host, self._config.port)
        credentials.add_port(self.grpc, address, self._config.hosting.security)
        self.start()

    def load(self, measured: Load) -> Load:
        """Return the counts of calls, together with the measurements of the process."""
        calls = self._unary
        in_flight = calls.in_flight
        return msgspec.structs.replace(
            measured, calls=calls.accepted - in_flight, refused=calls.refused, in_flight=in_flight
        )

    def measure(self) -> Load:
        """Measure the memory and file descriptors of the process. Takes some milliseconds."""
        return Load(
            pss_bytes=pss_bytes(),
            open_fds=descriptors.opened(),
            max_fds=descriptors.limit(),
            connections=descriptors.connections(self._config.port),
        )
