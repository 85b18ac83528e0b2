"""Which calls pass."""

from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import grpc
import pytest

from lightfm_retriever.hosting.calls import behavior_of
from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.security import access
from lightfm_retriever.hosting.security.settings import SecuritySettings

METHOD = "/recsys.retriever.v1.RetrieverService/Recommend"
HEALTH = "/grpc.health.v1.Health/Watch"
OLD, NEW = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def refusal(behavior, request=None, **shown):
    """Code and message that a call is ended with."""
    context = mock.Mock(auth_context=lambda: shown)
    context.abort_with_status.side_effect = grpc.RpcError
    with pytest.raises(grpc.RpcError):
        behavior(request, context)
    [status] = context.abort_with_status.call_args.args
    return status.code, status.details


@pytest.fixture
def asked(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"\n{OLD}\n  {NEW} \r\n\n")
    guard = access.guard_of(SecuritySettings(token_file=file))

    def ask(*values, method=METHOD):
        metadata = [("user-agent", "x"), *(("authorization", value) for value in values)]
        handler = guard(SimpleNamespace(method=method, invocation_metadata=metadata))
        if handler is None:
            return None
        assert handler.request_streaming  # so that its thread waits for no request
        return refusal(behavior_of(handler))

    return ask


def test_each_of_the_tokens_is_good_and_nothing_else(asked):
    assert [asked(own) for own in (f"Bearer {OLD}", f"bearer {NEW}", f"BEARER  {NEW}")] == [None] * 3
    wrong = [f"Bearer {token}" for token in (f"{OLD}x", OLD[:-1], f"{OLD} {NEW}", "", "\udcff", "é")]
    wrong += [f"Basic {OLD}", OLD, f"Bearer {OLD}".encode()]
    # A second one doesn't help.
    for values in ((), ("Bearer wrong", f"Bearer {OLD}"), *((own,) for own in wrong)):
        code, message = asked(*values)
        assert code == grpc.StatusCode.UNAUTHENTICATED, values
        assert OLD not in message


def test_a_file_with_a_bad_token_is_refused_without_showing_it(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("good\nver y-secret\n")
    with pytest.raises(HostingError, match=f"^--token-file {file}, line 2: a token should") as caught:
        access.guard_of(SecuritySettings(token_file=file))
    assert "secret" not in str(caught.value)


FILES = dict.fromkeys(("cert", "key", "client_ca"), Path("x.pem"))
NAMES = ("a.example", "spiffe://ours/b", "Client C")
[AROUND] = access.arounds(SecuritySettings(**FILES, allowed_clients=NAMES))
ALTERNATIVE, COMMON = "x509_subject_alternative_name", "x509_common_name"


def behavior(method=METHOD):
    return AROUND(method, lambda request, _: request, streams=False)


def test_one_name_of_the_list_is_enough_and_others_are_refused_and_told_which_they_have():
    names = {ALTERNATIVE: [b"other", b"a.example"]}, {ALTERNATIVE: [b"spiffe://ours/b"], COMMON: [b"x"]}
    for shown in (*names, {COMMON: [b"Client C"]}):
        context = mock.Mock(auth_context=lambda shown=shown: shown)
        assert behavior()("answer", context) == "answer"
    for shown, names in (
        ({ALTERNATIVE: [b"b.example", b"x"]}, "b.example, x,"),
        ({COMMON: [b"client c"]}, "client c,"),
        ({COMMON: [b"\xff"]}, "\N{REPLACEMENT CHARACTER},"),
        # Not the subject as a whole.
        ({"x509_subject": [b"a.example"]}, "nobody,"),
        ({ALTERNATIVE: [b"x" * 9000]}, "xxx"),
    ):
        code, message = refusal(behavior(), **shown)
        assert code == grpc.StatusCode.PERMISSION_DENIED
        assert f"names {names}" in message
        assert len(message) < 700


def test_health_checks_need_no_token_and_no_name(asked):
    assert asked(method=HEALTH) is None
    assert behavior(HEALTH)("answer", None) == "answer"
