"""Addresses of databases, which may hold a password that nobody is to see."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote

from trainer.errors import OptionError

OPTION = "--database-url"
_KNOWN = (
    "sqlite:///relative/path, sqlite:////absolute/path or postgresql://user:password@host:port/database"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = r"(\[[^\[\]]*\]|[^:\[\]]*)(:\d*)?"
_HOSTS = re.compile(rf"{_HOST}(,{_HOST})*")
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})|%00|[\0-\x20]")


@dataclass(frozen=True)
class DatabaseUrl:
    """A checked address.

    Attributes:
        scheme: which kind of database.
        text: the whole of it, with the password.
        shown: what messages may show.
        name: of the database; of the file for SQLite.
        path: of the file for SQLite.
        secrets: what `hide` replaces.
    """

    scheme: Literal["sqlite", "postgresql"]
    text: str = field(repr=False)
    shown: str
    name: str
    path: Path | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def hide(self, message: str) -> str:
        """The message, without any password."""
        for secret in self.secrets:
            message = message.replace(secret, "***")
        return message


def parse(url: str) -> DatabaseUrl:
    """Check an address.

    The path of SQLite is relative after three slashes and absolute after four, as with SQLAlchemy. An
    address of PostgreSQL is one of libpq's, in which a special character of a password has to be
    percent-encoded. (libpq takes the rest of such a password for a host or a port, and prints it.)

    Raises:
        OptionError: another kind of database, or no valid address; never shows user or password.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite":
        return _sqlite(url, rest)
    if separator and scheme in {"postgresql", "postgres"}:
        return _postgresql(url, rest)
    # What isn't a scheme may be a password in the wrong place.
    shown = f"{scheme}://***" if separator and _SCHEME.fullmatch(scheme) else "***"
    raise OptionError(OPTION, shown, _KNOWN)


def sqlite_url(path: Path) -> str:
    """The address of a file."""
    return f"sqlite:///{quote(str(path.absolute()))}"


def _sqlite(url: str, rest: str) -> DatabaseUrl:
    if not rest.startswith("/") or len(rest) == 1:
        # What is there in place of a path could be a user and a password.
        raise OptionError(OPTION, "sqlite://***" if rest.strip("/") else url, _KNOWN)
    if "?" in rest or "#" in rest or "\0" in unquote(rest):
        raise OptionError(OPTION, url, "a path without options; write ? as %3F and # as %23")
    path = Path(unquote(rest[1:]))
    return DatabaseUrl("sqlite", url, url, path.name, path)


def _postgresql(url: str, rest: str) -> DatabaseUrl:
    main, _, query = rest.partition("?")
    authority, _, database = main.partition("/")
    user_info, _, hosts = authority.rpartition("@")
    if (
        "@" in user_info + database + query
        or "#" in rest
        or _BAD_ESCAPE.search(rest)
        or not _HOSTS.fullmatch(hosts)
    ):
        expected = f"{_KNOWN}; write special characters of a password as %XX, such as @ as %40"
        raise OptionError(OPTION, "postgresql://***", expected)
    user, colon, password = user_info.partition(":")
    options = parse_qsl(query, keep_blank_values=True)
    secrets = {password, unquote(password)}
    secrets.update(value for key, value in options if key.endswith("password"))
    shown_user = f"{user}{colon and ':***'}@" if user_info else ""
    name = unquote(database) or "postgresql"
    shown = f"postgresql://{shown_user}{hosts}{'/' if database else ''}{database}"
    if "connect_timeout" not in dict(options):
        # libpq's own default is to wait for as long as the network takes to give up.
        url = f"{url}{'&' if '?' in url else '?'}connect_timeout=10"
    # The longest first, in case one is a part of another.
    hidden = tuple(sorted(secrets - {""}, key=len, reverse=True))
    return DatabaseUrl("postgresql", url, shown, name, None, hidden)
