"""Runs a minimal gRPC server in Python, which answers every call with the same bytes.

Start it by `python -m tests.benchmarks.echo_server ADDRESS HEX THREADS`. Several can share a port. It
prints "ready", and ends when its standard input ends.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc


def main(address: str, reply: str, threads: str) -> None:
    content = bytes.fromhex(reply)
    # Don't parse requests.
    handler = grpc.unary_unary_rpc_method_handler(lambda *_: content)
    methods = dict.fromkeys(("Recommend", "SimilarItems", "BatchRecommend"), handler)
    server = grpc.server(
        ThreadPoolExecutor(int(threads)),
        handlers=[
            grpc.method_handlers_generic_handler("recsys.retriever.v1.RetrieverService", methods)
        ],
        options=[("grpc.so_reuseport", 1)],
    )
    server.add_insecure_port(address)
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
    server.stop(grace=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
