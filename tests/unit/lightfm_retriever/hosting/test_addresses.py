"""Which texts are addresses of a service, and what is said of the others."""

import pytest

from lightfm_retriever.hosting.addresses import AddressError, parse, parse_one


def test_addresses_are_taken_apart_and_who_listens_may_take_a_free_port():
    for text, expected in (
        ("127.0.0.1:1", [("127.0.0.1", 1)]),
        ("[::1]:65535", [("::1", 65535)]),
        ("my_host-0.svc.example.:00080", [("my_host-0.svc.example.", 80)]),
        ("dns:///retriever.recsys.svc:50051", [("retriever.recsys.svc", 50051)]),
        ("dns:localhost:5", [("localhost", 5)]),
        ("ipv4:127.0.0.1:1,127.0.0.2:2", [("127.0.0.1", 1), ("127.0.0.2", 2)]),
        ("ipv6:[::1]:1,[::2]:2", [("::1", 1), ("::2", 2)]),
    ):
        assert parse(text) == expected
    assert parse_one("127.0.0.1:0", least=0) == ("127.0.0.1", 0)


def test_other_texts_are_refused_with_the_right_form():
    for text, hint in (
        ("", ""),
        ("localhost", "the port is missing"),
        ("localhost:", "the port is missing"),
        ("[::1]", "the port is missing"),
        (":50051", "the host is missing"),
        ("localhost:65536", "'65536' isn't a valid port"),
        ("localhost:٣", "'٣' isn't a valid port"),
        ("http://localhost:50051", "leave out 'http://': gRPC has no such addresses"),
        ("localhost:50051/path", "leave out '/path'"),
        ("::1", "write an IPv6 address in brackets"),
        ("2001:db8:0:0:0:0:0:1:50051", "write an IPv6 address in brackets"),
        ("[::g]:1", "'[::g]' isn't a valid host"),
        ("local host:1", "it contains a space"),
        ("localhost:1\n", "it contains a space"),
        ("unix:/run/retriever.sock", "the services listen on TCP ports only"),
        ("127.0.0.256:1", "'127.0.0.256' isn't an IPv4 address, which has four numbers in 0..255"),
        ("a..b:1", "'a..b' isn't a valid host"),
        ("\udcff:1", r"'\udcff' isn't a valid host"),
    ):
        for least in (1, 0):
            with pytest.raises(AddressError) as raised:
                parse_one(text, least=least)
            assert raised.value.hint == hint
            assert f"should be HOST:PORT with a port in {least}..65535, such as" in str(raised.value)
            assert str(raised.value).endswith(hint)


def test_a_client_is_told_of_its_own_forms_too_without_words_of_the_language():
    for text, hint in (
        ("localhost:0", "'0' isn't a valid port"),
        ("dns:///localhost", "the port is missing"),
        ("ipv4:127.0.0.1:1,", ""),
        *((value, "") for value in (None, 50051, b"localhost:1", ("localhost", 1))),
    ):
        with pytest.raises(AddressError, match=r"should be HOST:PORT with") as raised:
            parse(text)
        assert raised.value.hint == hint
        assert "None" not in str(raised.value)
        assert isinstance(text, str) or str(raised.value).startswith("target is ")
