"""Which calls pass."""

from types import SimpleNamespace

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


class EndedError(Exception):
    """A call was ended with a status."""


class Context:
    """As much of a call as is looked at."""

    def __init__(self, **shown):
        self.auth_context = lambda: shown

    def abort_with_status(self, status):
        raise EndedError(status)


def refusal(call):
    """The code, message and reason that a call ends with."""
    with pytest.raises(EndedError) as ended:
        call()
    [status] = ended.value.args
    [(_, packed)] = status.trailing_metadata
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.status_pb2.Status.FromString(packed).details[0].Unpack(info)
    return status.code, status.details, info.reason


@pytest.fixture
def guard(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"\n{OLD}\n  {NEW} \r\n\n")
    return access.token_guard(tokens.watch(file))


def asked(guard, *values, method=METHOD):
    metadata = [("user-agent", "x"), *(("authorization", value) for value in values)]
    handler = guard(SimpleNamespace(method=method, invocation_metadata=metadata))
    if handler is None:
        return None
    assert handler.request_streaming  # so that its thread waits for no request
    return refusal(lambda: behavior_of(handler)(iter(()), Context()))


@pytest.mark.parametrize("token", [f"Bearer {OLD}", f"bearer {NEW}", f"BEARER  {NEW}"])
def test_each_of_the_tokens_is_good(guard, token):
    assert asked(guard, token) is None


@pytest.mark.parametrize(
    "values",
    [
        *((f"Bearer {token}",) for token in (f"{OLD}x", OLD[:-1], f"{OLD} {NEW}", "", "\udcff", "é")),
        *((value,) for value in (f"Basic {OLD}", OLD, "Bearer", "", f"Bearer {OLD}".encode())),
        # A second one doesn't help.
        ("Bearer wrong", f"Bearer {OLD}"),
    ],
)
def test_anything_else_is_not(guard, values):
    code, message, reason = asked(guard, *values)
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_WRONG")
    assert OLD not in message


@pytest.mark.parametrize("method", [METHOD, REFLECTION, "/nowhere/at/all"])
def test_none_is_not(guard, method):
    code, message, reason = asked(guard, method=method)
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    assert "authorization: Bearer" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (" \n\n", "--token-file {} is empty"),
        ("good\nver y-secret\n", "--token-file {}, line 2: a token should be"),
    ],
)
def test_a_file_without_a_token_or_with_a_bad_one_is_refused(tmp_path, content, message):
    file = tmp_path / "tokens"
    file.write_text(content)
    with pytest.raises(HostingError, match=f"^{message.format(file)}") as caught:
        access.guards(SecuritySettings(token_file=file))
    assert "secret" not in str(caught.value)


def test_nothing_is_put_around_calls_unless_asked_for():
    assert access.guards(SecuritySettings()) == ()
    assert access.arounds(SecuritySettings()) == ()


NAMES = access.names_around(["a.example", "spiffe://ours/b", "Client C"])


def called(*, method=METHOD, **shown):
    shown = {name.replace("names", "x509_subject_alternative_name"): own for name, own in shown.items()}
    return NAMES(method, lambda request, _: request, streams=False)("answer", Context(**shown))


@pytest.mark.parametrize(
    "shown",
    [
        {"names": [b"other", b"a.example"]},
        {"names": [b"spiffe://ours/b"], "x509_common_name": [b"x"]},
        {"x509_common_name": [b"Client C"]},
    ],
)
def test_one_name_of_the_list_is_enough(shown):
    assert called(**shown) == "answer"


@pytest.mark.parametrize(
    ("shown", "names"),
    [
        ({"names": [b"b.example", b"x"]}, "b.example, x,"),
        ({"x509_common_name": [b"client c"]}, "client c,"),
        ({"x509_common_name": [b"\xff"]}, "\N{REPLACEMENT CHARACTER},"),
        # Not the subject as a whole.
        ({"x509_subject": [b"a.example"]}, "nobody,"),
        ({"method": REFLECTION}, "nobody,"),
        ({"names": [b"x" * 9000]}, "xxx"),
    ],
)
def test_others_are_refused_and_told_which_they_have(shown, names):
    code, message, reason = refusal(lambda: called(**shown))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "CLIENT_NOT_ALLOWED")
    assert f"names {names}" in message
    assert len(message) < 700


@pytest.mark.parametrize("method", HEALTH)
def test_health_checks_need_no_token_and_no_name(guard, method):
    assert asked(guard, method=method) is None
    assert called(method=method) == "answer"
