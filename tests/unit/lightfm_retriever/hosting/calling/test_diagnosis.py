"""What failures of look-ups and connections mean, and what first bytes do."""

import errno
import os
import socket

from lightfm_retriever.hosting.calling import diagnosis
from lightfm_retriever.hosting.calling.diagnosis import of_connection, of_first_bytes, of_lookup
from lightfm_retriever.hosting.security.settings import PLAIN

SETTINGS = b"\0\0\6\4\0\0\0\0\0\0\3\0\0\0\x64"


def test_a_failed_look_up_or_connection_has_a_cause_and_names_the_place():
    for number, cause, may_pass, text in (
        (socket.EAI_NONAME, "name_not_found", False, "host 'h' doesn't exist: check its name"),
        (socket.EAI_AGAIN, "timed_out", True, "the name servers don't answer a query for host 'h'"),
        (errno.ECONNREFUSED, "refused", False, "connection refused: nobody listens at h:1"),
        (errno.EHOSTUNREACH, "unreachable", False, "h:1 can't be reached: No route to host"),
        (errno.ETIMEDOUT, "timed_out", True, "h:1 doesn't answer: the host is off, or a firewall"),
    ):
        if number < 0:
            problem = of_lookup("h", socket.gaierror(number, "odd"))
        else:
            problem = of_connection("h:1", OSError(number, os.strerror(number)))
        assert (problem.cause, problem.may_pass) == (cause, may_pass)
        assert problem.text.startswith(text)


def test_first_bytes_tell_who_answers():
    for content, cause, said in (
        (b"HTTP/1.1 400 Bad Request\r\n", "not_grpc", "a web server answers there"),
        (b"<!DOCTYPE HTML>\n", "not_grpc", "a web server answers there"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "not_grpc", "it sends 'SSH-2.0-OpenSSH_9.2p1'"),
        (b"\xff\x00\x1b[31m", "not_grpc", "it sends '???[31m'"),
        (b"\n", "not_grpc", "it sends ''"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "tls_wanted", "give ca"),
        (SETTINGS[:5], "not_grpc", ""),
    ):
        problem = of_first_bytes(content, PLAIN)
        assert problem.cause == cause
        assert said in problem.text
    assert of_first_bytes(SETTINGS, PLAIN) is None


def test_a_proxy_is_named_unless_the_host_goes_without():
    for target, more, proxy in (
        ("h.example:1", {}, ""),
        ("h.test:1", {}, "http_proxy"),
        ("h.test:1", {"grpc_proxy": "http://p:1"}, "grpc_proxy"),
        ("h.test:1", {"http_proxy": ""}, ""),
    ):
        environment = {"http_proxy": "http://p:1", "no_proxy": "127.0.0.1, .example", **more}
        assert diagnosis._proxy(target, environment) == proxy


def test_an_address_needs_no_name_server_however_short_the_time():
    assert diagnosis._look_up("127.0.0.1", 1, end=0.0) == [("127.0.0.1", 1)]
