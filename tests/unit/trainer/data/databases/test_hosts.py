from urllib.parse import parse_qsl

import pytest

from trainer.data.databases import hosts
from trainer.data.databases import url as database_url
from trainer.errors import OptionError

KNOWN = {
    "one": ["10.0.0.1"],
    "both": ["10.0.0.2", "2001:db8::2"],
    "cloud": ["10.0.0.3", "169.254.169.254"],
    "::1": ["::1"],
}
BOTH = "10.0.0.2,2001:db8::2,10.0.0.1"


def look_up(name):
    if name not in KNOWN:
        raise OSError(-2, "Name or service not known")
    return KNOWN[name]


def last_options(url):
    text = hosts.pinned(database_url.parse(url), look_up)
    options = dict(parse_qsl(text.partition("?")[2], keep_blank_values=True))
    return options["host"], options["hostaddr"], options["port"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://one/d", ("one", "10.0.0.1", "")),
        ("postgresql://one:5433/d", ("one", "10.0.0.1", "5433")),
        ("postgresql://both:1,one/d", ("both,both,one", BOTH, "1,1,")),
        ("postgresql://?host=both,one&port=7", ("both,both,one", BOTH, "7,7,7")),
        ("postgresql://[::1]/d", ("::1", "::1", "")),
        # One that isn't found keeps nobody from the other, nor does a socket.
        ("postgresql://none,one/d", ("one", "10.0.0.1", "")),
        ("postgresql://%2Frun,one/d", ("/run,one", ",10.0.0.1", ",")),
        ("postgresql://none,%2Frun,/d", ("/run,", ",", ",")),
    ],
)
def test_libpq_gets_the_addresses_that_were_found(url, expected):
    assert last_options(url) == expected


def test_a_name_that_leads_to_a_metadata_address_is_refused():
    with pytest.raises(OptionError, match=r"but should be of a database: cloud is 169\.254\.169\.254"):
        last_options("postgresql://one,cloud/d")


def test_hosts_that_are_not_found_are_named():
    with pytest.raises(
        OSError, match="host none can't be found: Name or service not known; host other"
    ):
        last_options("postgresql://ann:secret@none,other/d")


@pytest.mark.parametrize("url", ["postgresql:///d", "postgresql://?host=/run", "postgresql://%2Frun/d"])
def test_without_a_name_nothing_is_looked_up(url):
    parsed = database_url.parse(url)
    assert hosts.pinned(parsed, look_up) == parsed.text


def test_the_systems_own_look_up_gives_addresses():
    assert hosts.addresses("127.0.0.1") == ["127.0.0.1"]
    with pytest.raises(OSError, match=r"not known|too long"):
        hosts.addresses("x" * 300)
