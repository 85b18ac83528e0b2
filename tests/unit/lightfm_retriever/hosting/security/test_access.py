"""Which calls pass."""

from __future__ import annotations

from typing import NamedTuple

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from lightfm_retriever.hosting.calls import behavior_of
from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.security import access, tokens
from lightfm_retriever.hosting.security.settings import SecuritySettings

METHOD = "/recsys.retriever.v1.RetrieverService/Recommend"
HEALTH = ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch")
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
OLD, NEW = "0123456789abcdef" * 4, "fedcba9876543210" * 4


class Details(NamedTuple):
    """What gRPC tells of a call before its handler is chosen."""

    method: str
    invocation_metadata: list[tuple[str, str]]


class Context:
    """As much of a call as is looked at."""

    def __init__(self, **shown):
        self._shown = shown
        self.status = None

    def auth_context(self):
        return self._shown

    def abort_with_status(self, status):
        self.status = status
        raise AssertionError("ended")


def refusal(context, call):
    """The code, message and reason that a call ends with."""
    with pytest.raises(AssertionError, match="ended"):
        call()
    status = context.status
    info = error_details_pb2.ErrorInfo()
    [(_, packed)] = status.trailing_metadata
    message = rpc_status.status_pb2.Status.FromString(packed)
    assert message.details[0].Unpack(info)
    return status.code, status.details, info.reason


@pytest.fixture
def guard(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"\n{OLD}\n  {NEW} \r\n\n")
    return access.TokenGuard(tokens.watch(file))


def asked(guard, *values, method=METHOD):
    metadata = [("user-agent", "x"), *(("authorization", value) for value in values)]
    handler = guard(Details(method, metadata))
    if handler is None:
        return None
    assert handler.request_streaming  # so that its thread waits for no request
    context = Context()
    return refusal(context, lambda: behavior_of(handler)(iter(()), context))


@pytest.mark.parametrize("token", [f"Bearer {OLD}", f"bearer {NEW}", f"BEARER  {NEW}"])
def test_each_of_the_tokens_is_good(guard, token):
    assert asked(guard, token) is None


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {OLD}x",
        f"Bearer {OLD[:-1]}",
        f"Bearer {OLD} {NEW}",
        f"Basic {OLD}",
        OLD,
        "Bearer",
        "Bearer ",
        "",
        "Bearer \udcff",
        "Bearer é",
        f"Bearer {OLD}".encode(),
    ],
)
def test_anything_else_is_not(guard, value):
    code, message, reason = asked(guard, value)
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_WRONG")
    assert OLD not in message


def test_a_second_one_does_not_help(guard):
    assert asked(guard, "Bearer wrong", f"Bearer {OLD}") is not None


@pytest.mark.parametrize("method", [METHOD, REFLECTION, "/nowhere/at/all"])
def test_none_is_not(guard, method):
    code, message, reason = asked(guard, method=method)
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    assert "authorization: Bearer" in message


@pytest.mark.parametrize("method", HEALTH)
def test_health_checks_need_none(guard, method):
    assert asked(guard, method=method) is None


def test_a_file_without_a_token_is_refused(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(" \n\n")
    with pytest.raises(HostingError, match=f"^--token-file {file} is empty"):
        access.guards(SecuritySettings(token_file=file))


def test_a_bad_token_is_not_told(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("good\nver y-secret\n")
    with pytest.raises(HostingError, match="line 2") as caught:
        tokens.watch(file)
    assert "secret" not in str(caught.value)


def test_nothing_is_put_around_calls_unless_asked_for():
    assert access.guards(SecuritySettings()) == ()
    assert access.arounds(SecuritySettings()) == ()


NAMES = access.NamesAround(["a.example", "spiffe://ours/b", "Client C"])


def called(context, *, method=METHOD):
    return NAMES(method, lambda request, _: request, streams=False)("answer", context)


@pytest.mark.parametrize(
    "shown",
    [
        {"x509_subject_alternative_name": [b"other", b"a.example"]},
        {"x509_subject_alternative_name": [b"spiffe://ours/b"], "x509_common_name": [b"x"]},
        {"x509_common_name": [b"Client C"]},
    ],
)
def test_one_name_of_the_list_is_enough(shown):
    assert called(Context(**shown)) == "answer"


@pytest.mark.parametrize(
    ("shown", "names"),
    [
        ({"x509_subject_alternative_name": [b"b.example", b"x"]}, "b.example, x,"),
        ({"x509_common_name": [b"client c"]}, "client c,"),
        ({"x509_common_name": [b"\xff"]}, "\N{REPLACEMENT CHARACTER},"),
        # Not the subject as a whole.
        ({"x509_subject": [b"a.example"]}, "nobody,"),
        ({}, "nobody,"),
    ],
)
def test_others_are_refused_and_told_which_they_have(shown, names):
    context = Context(**shown)
    code, message, reason = refusal(context, lambda: called(context))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "CLIENT_NOT_ALLOWED")
    assert f"names {names}" in message


def test_endless_names_are_cut():
    context = Context(x509_common_name=[b"x" * 9000])
    assert len(refusal(context, lambda: called(context))[1]) < 700


def test_health_checks_need_no_name():
    assert called(Context(), method=HEALTH[0]) == "answer"


def test_reflection_needs_one():
    context = Context()
    assert refusal(context, lambda: called(context, method=REFLECTION))[2] == "CLIENT_NOT_ALLOWED"
