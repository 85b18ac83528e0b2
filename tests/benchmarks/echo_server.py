"""The least that a gRPC server in Python can do: a process that answers the same bytes to every call.

Started as `python -m tests.benchmarks.echo_server ADDRESS HEX THREADS`; any number of them share a
port. Says "ready", and ends with its standard input.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc


class Echo(grpc.GenericRpcHandler):
    """Answers every method with the same reply, and parses no request."""

    def __init__(self, reply: bytes) -> None:
        self._handler = grpc.unary_unary_rpc_method_handler(lambda *_: reply)

    def service(
        self,
        handler_call_details: grpc.HandlerCallDetails,  # noqa: ARG002 - the same for all
    ) -> grpc.RpcMethodHandler:
        return self._handler


def main(arguments: list[str]) -> None:
    address, reply, threads = arguments
    server = grpc.server(
        ThreadPoolExecutor(int(threads)),
        handlers=[Echo(bytes.fromhex(reply))],
        options=[("grpc.so_reuseport", 1)],
    )
    server.add_insecure_port(address)
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
    server.stop(grace=None)


if __name__ == "__main__":
    main(sys.argv[1:])
