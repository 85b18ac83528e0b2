from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.hosting.addresses import joined
from retriever.config import Config, parse_address
from retriever.errors import StartError

VERSION = "20261124T043500Z-3fa9c1"


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("127.0.0.1:50051", ("127.0.0.1", 50051)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
        ("[::]:1", ("::", 1)),
        ("example.org:080", ("example.org", 80)),
    ],
)
def test_an_address_is_parsed(address, parsed):
    assert parse_address(address) == parsed


@pytest.mark.parametrize(
    "address",
    ["", ":", "50051", "host", "host:", ":50051", "[]:1"]
    + [f"host:{port}" for port in ("-1", "65536", "1.5", " 1", "x", "١", "+1", "1_0", "1\n")],
)
def test_what_is_no_address_is_shown(address):
    with pytest.raises(StartError, match=r"should be HOST:PORT with a port in 0\.\.65535") as caught:
        parse_address(address)
    assert repr(address) in str(caught.value)


@given(st.ip_addresses().map(str) | st.just("localhost"), st.integers(0, 65535))
def test_an_address_comes_back(host, port):
    assert parse_address(joined(host, port)) == (host, port)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("workers", [1, 256], [0, -1, 257]),
        ("threads", [1, 256], [0, -1, 257]),
        ("max_calls", [1, 4096], [0, -1, 4097]),
        (
            "max_connection_age_seconds",
            [0, 0.5, 86400],
            [-0.1, 86401, float("nan"), float("inf")],
        ),
        ("heartbeat_seconds", [2, 3600], [0, 1.9, 3601, float("nan"), float("inf")]),
        ("prepare_seconds", [1, 86400], [0, 0.9, 86401, float("nan"), float("inf")]),
        ("poll_seconds", [0.01, 1, 3600], [0, 0.001, -1, 3601, float("nan"), float("inf")]),
        ("drain_seconds", [0, 3600], [-0.1, 3601, float("nan"), float("inf")]),
        ("grace_seconds", [0, 3600], [-0.1, 3601, float("nan"), float("inf")]),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_flag(name, good, bad):
    for value in good:
        assert getattr(Config(volume=Path("volume"), **{name: value}), name) == value
    for value in bad:
        with pytest.raises(
            StartError, match=f"--{name.replace('_', '-')} is {value}, but should be in"
        ):
            Config(volume=Path("volume"), **{name: value})


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("label", ["", "Current", "1st", "x" * 65, "current\n"], "should be 1 to 64 of a-z"),
        (
            "pin",
            ["", "current", "../20261124T043500Z-3fa9c1", "x" * 1000],
            "such as 20261124T043500Z-3fa9c1",
        ),
    ],
)
def test_a_name_that_is_none_is_named_with_its_flag(name, values, expected):
    for value in values:
        with pytest.raises(StartError, match=f"--{name} is .*{expected}"):
            Config(volume=Path("volume"), **{name: value})


def test_the_defaults_are_valid_and_a_version_may_be_pinned():
    config = Config(volume=Path("volume"), pin=VERSION)
    assert (config.host, config.port, config.label, config.pin) == (
        *("127.0.0.1", 50051, "current", VERSION),
    )
