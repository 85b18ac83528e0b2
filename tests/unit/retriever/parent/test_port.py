import socket
from contextlib import ExitStack, closing
from functools import partial

import pytest

from retriever.errors import StartError
from retriever.parent.port import reserve


@pytest.fixture
def reserved():
    """Reserves ports, and gives them back at the end."""
    with ExitStack() as stack:
        yield lambda host, port: stack.enter_context(closing(reserve(host, port)))


def test_port_0_is_a_free_one_that_is_held_and_that_all_workers_may_listen_on(reserved):
    # The host becomes a number, so that every worker binds the same.
    port = reserved("localhost", 0)
    assert port.host in ("127.0.0.1", "::1")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((port.host, port.port), timeout=5)
    refused = rf"--listen localhost:{port.port}: Address already in use"
    with pytest.raises(StartError, match=refused):
        reserve("localhost", port.port)
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    listen = partial(socket.create_server, (port.host, port.port), family=family, reuse_port=True)
    with listen(), listen():
        socket.create_connection((port.host, port.port), timeout=5).close()


# The second one spells the same address in another way.
@pytest.mark.parametrize("host", ["127.0.0.1", "127.1"])
def test_a_port_is_held_by_one_of_two_that_ask_for_it_by_number(reserved, host):
    number = reserve("127.0.0.1", 0)
    number.close()
    reserved("127.0.0.1", number.port)
    with pytest.raises(StartError, match=rf"--listen {host}:\d+: another retriever uses this port"):
        reserve(host, number.port)


@pytest.mark.parametrize("reuse", [socket.SO_KEEPALIVE, socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_a_port_on_which_anyone_listens_is_refused(reuse):
    """With SO_REUSEPORT the kernel would share connections with a service that was forgotten."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, reuse, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(StartError, match="Address already in use"):
            reserve("127.0.0.1", other.getsockname()[1])


def test_a_port_that_lingers_from_old_connections_is_taken(reserved):
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as server:
        number = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", number), timeout=5)
        accepted, _ = server.accept()
    # Who closes first, as a worker that drains, keeps the port in TIME_WAIT.
    accepted.close()
    assert client.recv(1) == b""
    client.close()
    # Nor does one linger that was given back, or refused.
    for _ in range(2):
        reserve("127.0.0.1", number).close()
    with socket.create_server(("127.0.0.1", number)), pytest.raises(StartError):
        reserve("127.0.0.1", number)
    assert reserved("127.0.0.1", number).port == number


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 300, "256.1.1.1", "192.0.2.1"])
def test_a_host_that_is_not_here_is_an_error_that_names_it(host):
    with pytest.raises(StartError, match=f"--listen {host}:50999: "):
        reserve(host, 50999)
