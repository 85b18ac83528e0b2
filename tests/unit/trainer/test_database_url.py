from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer import database_url
from trainer.errors import OptionError

PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=6)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///data/events.db", "data/events.db"),
        ("sqlite:////data/events.db", "/data/events.db"),
        ("sqlite:///a%20b%3F.db", "a b?.db"),
        ("sqlite:///東京.db", "東京.db"),
    ],
)
def test_a_path_of_sqlite_is_relative_after_three_slashes_and_absolute_after_four(url, path):
    parsed = database_url.parse(url)
    assert (parsed.scheme, parsed.path, parsed.name) == ("sqlite", Path(path), Path(path).name)
    again = database_url.parse(database_url.sqlite_url(Path(path)))
    assert again.path == Path(path).absolute()


def test_an_address_of_postgresql_is_shown_without_password_and_options():
    parsed = database_url.parse("postgresql://ann:s3%40cret@db.example:5433/shop?sslmode=require")
    assert parsed.shown == "postgresql://ann:***@db.example:5433/shop"
    assert (parsed.name, parsed.path) == ("shop", None)
    assert parsed.text == (
        "postgresql://ann:s3%40cret@db.example:5433/shop?sslmode=require&connect_timeout=10"
    )
    assert parsed.hide("s3%40cret or s3@cret for ann") == "*** or *** for ann"
    assert "s3" not in repr(parsed)


@pytest.mark.parametrize(
    ("url", "shown", "text_end"),
    [
        ("postgresql://", "postgresql://", "?connect_timeout=10"),
        ("postgres://h/d", "postgresql://h/d", "?connect_timeout=10"),
        ("postgresql://ann@[::1]:5432/d", "postgresql://ann@[::1]:5432/d", "?connect_timeout=10"),
        ("postgresql://h1:1,h2/d?connect_timeout=3", "postgresql://h1:1,h2/d", "?connect_timeout=3"),
        ("postgresql://h?password=secret", "postgresql://h", "&connect_timeout=10"),
    ],
)
def test_other_addresses_of_postgresql(url, shown, text_end):
    parsed = database_url.parse(url)
    assert parsed.shown == shown
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
    url = f"{scheme}://ann:{password}@host:5432/shop"
    try:
        shown = database_url.parse(url).shown
    except OptionError as error:
        shown = str(error)
    assert f":{password}" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3@cret@host/shop",
        "postgresql://ann:s3/cret@host/shop",
        "postgresql://ann:12/cret@host/shop",
        "postgresql://ann:s3?cret@host/shop",
        "postgresql://ann:s3#cret@host/shop",
        "postgresql://ann:s3%cret@host/shop",
        "postgresql://ann:s3%00cret@host/shop",
        "postgresql://ann:s3 cret@host/shop",
        "postgresql://ann:s3cret",
        "postgresql://host/shop?password=s3@cret",
        "mysql://ann:s3cret@host/shop",
        "ann:s3cret@postgresql://host/shop",
        "host=h user=ann password=s3cret",
        "s3cret",
        "",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_it(url):
    with pytest.raises(OptionError) as caught:
        database_url.parse(url)
    assert "cret" not in str(caught.value)
    assert "--database-url is " in str(caught.value)
    assert "sqlite:///relative/path" in str(caught.value)
    assert "postgresql://user:password@host:port/database" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite://data.db", "sqlite:///a?mode=rw", "sqlite:///a%00b"]
)
def test_an_address_of_sqlite_that_has_no_plain_path_is_refused(url):
    with pytest.raises(OptionError, match="--database-url is 'sqlite://"):
        database_url.parse(url)
