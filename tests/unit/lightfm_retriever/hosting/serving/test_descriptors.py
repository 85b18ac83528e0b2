"""File descriptors are counted, and as many as may be are had."""

import contextlib
import socket
import subprocess
import sys

import pytest

from lightfm_retriever.hosting.serving import descriptors
from tests.shortages import descriptors_left


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_descriptors_are_counted_and_connections_to_a_port_told_from_all_else(family, host, tmp_path):
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"no {host} here")
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(listener).getsockname()[1]
        before = descriptors.opened()
        stack.enter_context((tmp_path / "file").open("w"))
        assert descriptors.opened() == before + 1
        for end in socket.socketpair():
            stack.enter_context(end)
        for count in range(3):
            assert descriptors.connections(port) == count
            ours = stack.enter_context(socket.create_connection((host, port)))
            theirs = stack.enter_context(listener.accept()[0])
        # Nothing was changed about them.
        theirs.sendall(b"x")
        assert ours.recv(2) == b"x"
        with descriptors_left(0):
            # With none left to look with, all are there.
            assert descriptors.opened() == descriptors.limit()
            assert descriptors.connections(port) == 3
    assert descriptors.opened() == before - 1


def test_the_limit_is_raised_to_what_may_be():
    """In a process of its own, since it can't be undone."""
    code = """import resource; from lightfm_retriever.hosting.serving import descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 100))
print(descriptors.limit(), descriptors.raise_limit(), descriptors.limit())"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["64", "100", "100"]
