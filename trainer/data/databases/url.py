"""Addresses of databases, which may hold a password that nobody is to see."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote

from trainer.data.databases import postgresql_options
from trainer.data.databases.metadata_addresses import is_metadata
from trainer.data.databases.postgresql_options import BadOptionError
from trainer.errors import OptionError

OPTION = "--database-url"
LookUp = Callable[[str], list[str]]
"""The addresses of a name; raises OSError."""

_KNOWN = (
    "sqlite:///relative/path, sqlite:////absolute/path or postgresql://user:password@host:port/database"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = r"(\[[^\[\],]*\]|[^:\[\],]*)(:\d*)?"
_HOSTS = re.compile(rf"{_HOST}(,{_HOST})*")
_ONE_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(:(?P<port>\d*))?")
_NAME = re.compile(r"[A-Za-z0-9._:%-]*")
# What libpq takes for a Unix socket: a directory, or an abstract name.
_SOCKET = ("/", "@")
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
        hosts: of PostgreSQL, each with its port or ""; none for libpq's own defaults.
        has_login: whether PostgreSQL's user and password are in it.
    """

    scheme: Literal["sqlite", "postgresql"]
    text: str = field(repr=False)
    shown: str
    name: str
    path: Path | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    hosts: tuple[tuple[str, str], ...] = ()
    has_login: bool = False

    def hide(self, message: str) -> str:
        """The message, without any password."""
        for secret in self.secrets:
            message = message.replace(secret, "***")
        return message


def parse(url: str) -> DatabaseUrl:
    """Check an address.

    The path of SQLite is relative after three slashes and absolute after four, as with SQLAlchemy. An
    address of PostgreSQL is one of libpq's, with the options of `postgresql_options.ALLOWED` only. A
    special character of a password has to be percent-encoded. (libpq takes the rest of such a password
    for a host or a port, and prints it.)

    Raises:
        OptionError: another kind of database, or no valid address; never shows user or password.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite":
        return _sqlite(url, rest)
    if separator and scheme in {"postgresql", "postgres"}:
        return _postgresql(rest)
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


def for_caller(url: str) -> str:
    """A caller's address of PostgreSQL, which shows the host nothing of the trainer's own.

    Raises:
        OptionError: it can't be used, names a Unix socket or no host, or has no user or no password.
    """
    parsed = parse(url)
    if not parsed.hosts or not all(host and not host.startswith(_SOCKET) for host, _ in parsed.hosts):
        raise OptionError(OPTION, parsed.shown, "with the name of a host: callers reach no Unix socket")
    if not parsed.has_login:
        # Else libpq would take the trainer's own: PGPASSWORD, a password file or a certificate.
        raise OptionError(OPTION, parsed.shown, "with a user and a password: user:password@host")
    main, _, query = parsed.text.partition("?")
    options = postgresql_options.parse(query, {}) | postgresql_options.CALLERS
    return f"{main}?{postgresql_options.encode(options)}"


def _postgresql(rest: str) -> DatabaseUrl:
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
    names, ports = _hosts(hosts)
    given = {"user": user, "password": password, "host": hosts, "dbname": database}
    try:
        options = postgresql_options.parse(query, {**given, "port": "".join(ports)})
    except BadOptionError as error:
        raise OptionError(OPTION, "postgresql://***", str(error)) from None
    if "host" in options:
        names = options["host"].split(",")
    if "port" in options:
        ports = options["port"].split(",")
    shown_user = f"{user}{colon and ':***'}@" if user_info else ""
    shown = f"postgresql://{shown_user}{hosts}{'/' if database else ''}{database}"
    # The longest first, in case one is a part of another.
    values = {value for name, value in options.items() if name.endswith("password")}
    secrets = {password, unquote(password), *values, *(quote(value, safe="") for value in values)}
    # libpq's own default is to wait for as long as the network takes to give up.
    text = postgresql_options.encode({"connect_timeout": "10"} | options)
    return DatabaseUrl(
        scheme="postgresql",
        text=f"postgresql://{main}?{text}",
        shown=shown,
        name=unquote(database) or options.get("dbname") or "postgresql",
        secrets=tuple(sorted(secrets - {""}, key=len, reverse=True)),
        hosts=_checked(names, ports, shown),
        has_login=bool((user or options.get("user")) and (password or options.get("password"))),
    )


def _hosts(text: str) -> tuple[list[str], list[str]]:
    """Names and ports of the hosts before an address's path; none for libpq's own."""
    if not text:
        return [], []
    found = [_ONE_HOST.fullmatch(part) for part in text.split(",")]
    return (
        [unquote(own["host"].strip("[]")) for own in found if own],
        [own["port"] or "" for own in found if own],
    )


def _checked(names: list[str], ports: list[str], shown: str) -> tuple[tuple[str, str], ...]:
    """Hosts with their ports; raises OptionError for a host where no database can be."""
    ports = ports or [""]
    if len(ports) == 1:
        ports = ports * len(names)
    if len(ports) != len(names):
        raise OptionError(OPTION, shown, f"with as many ports as hosts, {len(names)}")
    for name in names:
        if not (name.startswith(_SOCKET) or _NAME.fullmatch(name)) or "," in name:
            raise OptionError(OPTION, shown, "with hosts of letters, digits, '.', '_', '-' and ':'")
        if is_metadata(name):
            raise OptionError(OPTION, shown, f"of a database: {name} is a cloud's metadata address")
    return tuple(zip(names, ports, strict=True))


def addresses(name: str) -> list[str]:
    """The addresses of a name, as the system knows them; raises OSError."""
    # As bytes: Python's own coding of names has errors that aren't OSError.
    found: list[Any] = socket.getaddrinfo(name.encode(), None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def pinned(url: DatabaseUrl, look_up: LookUp = addresses) -> str:
    """The address for libpq, with the hosts' own addresses.

    libpq asks for no name again, so a name whose addresses change between two questions leads nowhere
    else than was checked here.

    Raises:
        OptionError: a host has a metadata address.
        OSError: no host is found.
    """
    names = [host for host, _ in url.hosts]
    if not any(map(_is_name, names)):
        return url.text
    columns = map(",".join, zip(*_looked_up(url, look_up), strict=True))
    main, _, query = url.text.partition("?")
    # Of an option that is there twice libpq takes the last.
    last = dict(zip(("host", "hostaddr", "port"), columns, strict=True))
    return f"{main}?{query}&{postgresql_options.encode(last)}"


def _looked_up(url: DatabaseUrl, look_up: LookUp) -> Iterator[tuple[str, str, str]]:
    problems, is_any = [], False
    for host, port in url.hosts:
        try:
            own = look_up(host) if _is_name(host) else [""]
        except OSError as error:
            problems.append(f"host {host} can't be found: {error.strerror or error}")
            continue
        for address in own:
            if is_metadata(address):
                expected = f"of a database: {host} is {address}, a cloud's metadata address"
                raise OptionError(OPTION, url.shown, expected)
            is_any = True
            yield host, address, port
    if not is_any:
        raise OSError("; ".join(problems))


def _is_name(host: str) -> bool:
    return bool(host) and not host.startswith(_SOCKET)
