import re
from pathlib import Path
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.databases import url as database_url
from trainer.errors import OptionError

PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=6)


@pytest.mark.parametrize("path", ["data/events.db", "/data/events.db", "a b?.db", "東京.db"])
def test_a_path_of_sqlite_is_relative_after_three_slashes_and_absolute_after_four(path):
    for written in (path.replace(" ", "%20").replace("?", "%3F"), quote(path)):
        parsed = database_url.parse(f"sqlite:///{written}")
        assert (parsed.scheme, parsed.path, parsed.name) == ("sqlite", Path(path), Path(path).name)
    assert database_url.parse(database_url.sqlite_url(Path(path))).path == Path(path).absolute()


def test_an_address_of_postgresql_is_shown_without_password_and_options():
    parsed = database_url.parse("postgresql://ann:s3%40cret@db.example:5433/shop?sslmode=require")
    assert parsed.shown == "postgresql://ann:***@db.example:5433/shop"
    assert (parsed.name, parsed.path) == ("shop", None)
    assert parsed.text == (
        "postgresql://ann:s3%40cret@db.example:5433/shop?connect_timeout=10&sslmode=require"
    )
    assert parsed.hide("s3%40cret or s3@cret for ann") == "*** or *** for ann"
    assert "s3" not in repr(parsed)
    assert database_url.parse("postgresql://h?password=a+b").hide("<a+b>") == "<***>"


H3 = "postgresql://h1:1,[::1],h2/d"


@pytest.mark.parametrize(
    ("url", "shown", "text_end", "hosts"),
    [
        ("postgresql://", "postgresql://", "?connect_timeout=10", ()),
        ("postgres://h/d", "postgresql://h/d", "?connect_timeout=10", (("h", ""),)),
        (H3 + "?connect_timeout=3", H3, "?connect_timeout=3", (("h1", "1"), ("::1", ""), ("h2", ""))),
        ("postgresql://h?password=secret", "postgresql://h", "=10&password=secret", (("h", ""),)),
        # Hosts are those that libpq sees.
        ("postgresql:///d", "postgresql:///d", "", ()),
        ("postgresql://h1,h2/d?port=7", "postgresql://h1,h2/d", "", (("h1", "7"), ("h2", "7"))),
        ("postgresql://?host=h1,/run&port=1,2", "postgresql://", "", (("h1", "1"), ("/run", "2"))),
        ("postgresql://%2Frun%2Fp/d", "postgresql://%2Frun%2Fp/d", "", (("/run/p", ""),)),
    ],
)
def test_other_addresses_of_postgresql(url, shown, text_end, hosts):
    parsed = database_url.parse(url)
    assert (parsed.shown, parsed.hosts) == (shown, hosts)
    assert parsed.text.endswith(text_end)


@given(PASSWORDS)
def test_a_password_that_is_escaped_is_never_shown(password):
    escaped = quote(password, safe="")
    for url in (f"postgresql://ann:{escaped}@h/d", f"postgresql://h/d?password={escaped}"):
        parsed = database_url.parse(url)
        assert password not in parsed.shown
        assert password not in repr(parsed)
        hidden = parsed.hide(f"<{escaped}> and <{password}>")
        assert password not in hidden
        assert "***" in hidden


@given(st.sampled_from(["postgresql", "mysql", "sqlite", "Postgresql"]), PASSWORDS)
def test_a_password_is_not_in_the_error_of_an_address_that_is_wrong(scheme, password):
    try:
        shown = database_url.parse(f"{scheme}://ann:{password}@host:5432/shop").shown
    except OptionError as error:
        shown = str(error)
    assert f":{password}" not in shown


UNESCAPED = [f"postgresql://ann:s3{own}cret@host/shop" for own in ("@", "/", "?", "#", "%", "%00", " ")]
UNKNOWN = """
postgresql://ann:12/cret@host/shop postgresql://ann:s3cret postgresql://host/shop?password=s3@cret
mysql://ann:s3cret@host/shop ann:s3cret@postgresql://host/shop s3cret
"""


@pytest.mark.parametrize("url", [*UNESCAPED, *UNKNOWN.split(), "host=h user=ann password=s3cret", ""])
def test_an_address_that_cannot_be_used_is_refused_without_showing_it(url):
    forms = ".*sqlite:///relative/path.*postgresql://user:password@host:port/database"
    with pytest.raises(OptionError, match=f"--database-url is {forms}") as caught:
        database_url.parse(url)
    assert "cret" not in str(caught.value)


# No plain path, files, and hosts where no database can be.
REFUSED = """
sqlite:// sqlite:/// sqlite://data.db sqlite:///a?mode=rw sqlite:///a%00b
postgres://h/d?sslmode=require&%73slkeylogfile=/etc/x postgresql://h/d?host=other
postgresql://h:1/d?port=2 postgresql://ann:s3cret@h/d?user=ann
postgresql://h/d?dbname=e postgresql://h1,h2/d?port=1,2,3 postgresql://h1%2Ch2/d
postgresql://h1%20sslkeylogfile=x/d postgresql://169.254.169.254:80/d postgresql://2852039166/d
postgresql://[fd00:ec2::254]/d postgresql://h,metadata.google.internal/d
postgresql://?host=169.254.170.2 postgresql://169.254.169.25%34/d
"""


@pytest.mark.parametrize("url", REFUSED.split())
def test_what_reaches_files_or_hosts_that_are_no_database_is_refused(url):
    scheme = "sqlite" if url.startswith("sqlite") else "postgresql"
    with pytest.raises(OptionError, match=f"--database-url is '{scheme}://") as caught:
        database_url.parse(url)
    assert not re.search("s3cret|/etc", str(caught.value))


def test_a_callers_address_shows_nothing_of_the_trainers_own():
    url = database_url.for_caller("postgresql://ann:s3cret@h:1/d?sslcertmode=allow&sslmode=require")
    assert url == (
        "postgresql://ann:s3cret@h:1/d?connect_timeout=10&sslcertmode=disable&sslmode=require"
        "&gssencmode=disable&require_auth=scram-sha-256%2Cmd5%2Cpassword"
    )
    assert database_url.for_caller(url) == url
    assert database_url.for_caller("postgresql://?host=h&user=ann&password=x&dbname=d")


SOCKETS = "@/d @/d?host=/run @/d?host= @h,/d @%2Frun/d @h,%40abstract/d"
WITHOUT_LOGIN = "h/d ann@h/d ann:@h/d :x@h/d"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        *((f"ann:s3cret{own}", "callers can't use Unix sockets") for own in SOCKETS.split()),
        *((own, "with a user and a password") for own in WITHOUT_LOGIN.split()),
    ],
)
def test_a_caller_reaches_no_unix_socket_and_says_user_and_password(url, reason):
    database_url.parse(f"postgresql://{url}")
    with pytest.raises(OptionError, match=reason) as caught:
        database_url.for_caller(f"postgresql://{url}")
    assert "s3cret" not in str(caught.value)


# ---- looking hosts up once, so that none leads to a metadata address

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
    text = database_url.pinned(database_url.parse(url), look_up)
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


def test_hosts_that_are_not_found_or_lead_to_a_metadata_address_are_named():
    assert database_url.addresses("127.0.0.1") == ["127.0.0.1"]
    with pytest.raises(OSError, match=r"not known|too long"):
        database_url.addresses("x" * 300)
    with pytest.raises(
        OptionError, match=r"but should be the address of a database: cloud is 169\.254\.169\.254"
    ):
        last_options("postgresql://one,cloud/d")
    with pytest.raises(OSError, match="host none can't be found: Name or service not known; host oth"):
        last_options("postgresql://ann:secret@none,other/d")
    # Without a name nothing is looked up.
    for url in ("postgresql:///d", "postgresql://?host=/run", "postgresql://%2Frun/d"):
        parsed = database_url.parse(url)
        assert database_url.pinned(parsed, look_up) == parsed.text
