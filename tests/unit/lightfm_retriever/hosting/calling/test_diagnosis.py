"""What failures of look-ups and connections mean, and what first bytes do."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from lightfm_retriever.hosting.calling import diagnosis
from lightfm_retriever.hosting.calling.diagnosis import _proxy
from lightfm_retriever.hosting.calling.symptoms import of_connection, of_first_bytes, of_lookup
from lightfm_retriever.hosting.security.settings import PLAIN

SETTINGS = b"\0\0\6\4\0\0\0\0\0\0\3\0\0\0\x64"


def test_a_name_that_is_not_found_is_told_from_name_servers_that_are_away():
    with pytest.raises(socket.gaierror) as raised:
        # It asks no name server.
        socket.getaddrinfo("nobody", 1, flags=socket.AI_NUMERICHOST)
    problem = of_lookup("nobody", raised.value)
    assert (problem.cause, problem.may_pass) == ("name_not_found", False)
    assert problem.text == "the host 'nobody' isn't found: check its name"
    problem = of_lookup("nobody", socket.gaierror(socket.EAI_AGAIN, "try again"))
    assert (problem.cause, problem.may_pass) == ("timed_out", True)


@pytest.mark.parametrize(
    ("number", "cause", "may_pass"),
    [
        (errno.ECONNREFUSED, "refused", False),
        (errno.EHOSTUNREACH, "unreachable", False),
        (errno.ENETUNREACH, "unreachable", False),
        (errno.ETIMEDOUT, "timed_out", True),
    ],
)
def test_a_failed_connection_has_a_cause_and_names_the_place(number, cause, may_pass):
    problem = of_connection("h:1", OSError(number, os.strerror(number)))
    assert (problem.cause, problem.may_pass) == (cause, may_pass)
    assert "h:1" in problem.text
    assert "[Errno" not in problem.text


@pytest.mark.parametrize(
    ("content", "cause", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "not_grpc", "a web server answers there"),
        (b"<!DOCTYPE HTML>\n", "not_grpc", "a web server answers there"),
        (b"-ERR unknown command 'PRI'\r\n", "not_grpc", "it says \"-ERR unknown command 'PRI'\""),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "not_grpc", "it says 'SSH-2.0-OpenSSH_9.2p1'"),
        (b"\xff\x00\x1b[31m", "not_grpc", "it says '???[31m'"),
        (b"\n", "not_grpc", "it says ''"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "tls_wanted", "give ca"),
        (SETTINGS[:5], "not_grpc", ""),
    ],
)
def test_first_bytes_tell_who_answers(content, cause, said):
    problem = of_first_bytes(content, PLAIN)
    assert problem.cause == cause
    assert said in problem.text


def test_http_2_is_no_problem():
    assert of_first_bytes(SETTINGS, PLAIN) is None


def test_a_proxy_is_named_unless_the_host_goes_without():
    assert _proxy("h.example:1", {}) == ""
    environment = {"http_proxy": "http://p:1", "no_proxy": "127.0.0.1, .example"}
    assert _proxy("h.example:1", environment) == ""
    assert _proxy("h.test:1", environment) == "http_proxy"
    assert _proxy("h.test:1", {**environment, "grpc_proxy": "http://p:1"}) == "grpc_proxy"


def test_an_address_needs_no_name_server_however_short_the_time():
    assert diagnosis._look_up("127.0.0.1", 1, end=0.0) == [(socket.AF_INET, ("127.0.0.1", 1))]
