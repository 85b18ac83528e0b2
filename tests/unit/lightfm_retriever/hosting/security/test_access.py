"""Which calls pass."""

from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest

from lightfm_retriever.hosting.calls import behavior_of
from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.security import access
from lightfm_retriever.hosting.security.settings import SecuritySettings

METHOD = "/recsys.retriever.v1.RetrieverService/Recommend"
HEALTH = "/grpc.health.v1.Health/Watch"
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
    with pytest.raises(EndedError) as ended:
        call()
    [status] = ended.value.args
    return status.code, status.details


@pytest.fixture
def asked(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"\n{OLD}\n  {NEW} \r\n\n")
    [guard] = access.guards(SecuritySettings(token_file=file))

    def ask(*values, method=METHOD):
        metadata = [("user-agent", "x"), *(("authorization", value) for value in values)]
        handler = guard(SimpleNamespace(method=method, invocation_metadata=metadata))
        if handler is None:
            return None
        assert handler.request_streaming  # so that its thread waits for no request
        return refusal(lambda: behavior_of(handler)(iter(()), Context()))

    return ask


@pytest.mark.parametrize("token", [f"Bearer {OLD}", f"bearer {NEW}", f"BEARER  {NEW}"])
def test_each_of_the_tokens_is_good(asked, token):
    assert asked(token) is None


@pytest.mark.parametrize(
    "values",
    [
        *((f"Bearer {token}",) for token in (f"{OLD}x", OLD[:-1], f"{OLD} {NEW}", "", "\udcff", "é")),
        *((value,) for value in (f"Basic {OLD}", OLD, f"Bearer {OLD}".encode())),
        # A second one doesn't help.
        ("Bearer wrong", f"Bearer {OLD}"),
    ],
)
def test_anything_else_is_not(asked, values):
    code, message = asked(*values)
    assert code == grpc.StatusCode.UNAUTHENTICATED
    assert OLD not in message
    assert asked()[0] == grpc.StatusCode.UNAUTHENTICATED


def test_a_file_with_a_bad_token_is_refused_without_showing_it(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("good\nver y-secret\n")
    with pytest.raises(HostingError, match=f"^--token-file {file}, line 2: a token should") as caught:
        access.guards(SecuritySettings(token_file=file))
    assert "secret" not in str(caught.value)


FILES = dict.fromkeys(("cert", "key", "client_ca"), Path("x.pem"))
NAMES = ("a.example", "spiffe://ours/b", "Client C")
[AROUND] = access.arounds(SecuritySettings(**FILES, allowed_clients=NAMES))


def called(*, method=METHOD, **shown):
    shown = {name.replace("names", "x509_subject_alternative_name"): own for name, own in shown.items()}
    return AROUND(method, lambda request, _: request, streams=False)("answer", Context(**shown))


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
        ({"names": [b"x" * 9000]}, "xxx"),
    ],
)
def test_others_are_refused_and_told_which_they_have(shown, names):
    code, message = refusal(lambda: called(**shown))
    assert code == grpc.StatusCode.PERMISSION_DENIED
    assert f"names {names}" in message
    assert len(message) < 700


def test_health_checks_need_no_token_and_no_name(asked):
    assert asked(method=HEALTH) is None
    assert called(method=HEALTH) == "answer"
