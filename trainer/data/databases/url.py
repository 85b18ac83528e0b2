"""Check the addresses of databases, and keep their passwords out of messages."""

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
"""Returns the addresses of a name; raises OSError."""

_KNOWN = (
    "sqlite:///relative/path, sqlite:////absolute/path or postgresql://user:password@host:port/database"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = r"(\[[^\[\],]*\]|[^:\[\],]*)(:\d*)?"
_HOSTS = re.compile(rf"{_HOST}(,{_HOST})*")
_ONE_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(:(?P<port>\d*))?")
_NAME = re.compile(r"[A-Za-z0-9._:%-]*")
# A host that begins so is a Unix socket to libpq: a directory, or an abstract name.
_SOCKET = ("/", "@")
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})|%00|[\0-\x20]")


@dataclass(frozen=True)
class DatabaseUrl:
    """A checked address of a database.

    Attributes:
        scheme: the kind of database.
        text: the whole address, with the password.
        shown: the address for messages, without the password.
        name: the name of the database; for SQLite the name of the file.
        path: the path of the file, for SQLite.
        secrets: the texts that `hide` replaces.
        hosts: for PostgreSQL the hosts, each with its port or ""; empty for libpq's defaults.
        has_login: whether the address has a user and a password, for PostgreSQL.
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
        """Return the message with all passwords replaced by ***."""
        for secret in self.secrets:
            message = message.replace(secret, "***")
        return message


def parse(url: str) -> DatabaseUrl:
    """Parse and check an address.

    An SQLite path is relative after three slashes and absolute after four, as in SQLAlchemy. An address
    of PostgreSQL is a libpq URI with the options of `postgresql_options.ALLOWED` only. Special
    characters of a password must be percent-encoded: otherwise libpq would take the rest of the
    password for a host or a port, and print it.

    Raises:
        OptionError: the address is invalid, or of another kind of database. The message never shows
            user or password.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite":
        return _sqlite(url, rest)
    if separator and scheme in {"postgresql", "postgres"}:
        return _postgresql(rest)
    # A text that isn't a scheme may be a misplaced password.
    shown = f"{scheme}://***" if separator and _SCHEME.fullmatch(scheme) else "***"
    raise OptionError(OPTION, shown, _KNOWN)


def sqlite_url(path: Path) -> str:
    """Return the address of an SQLite file."""
    return f"sqlite:///{quote(str(path.absolute()))}"


def _sqlite(url: str, rest: str) -> DatabaseUrl:
    if not rest.startswith("/") or len(rest) == 1:
        # A text in place of the path could be a user and a password.
        raise OptionError(OPTION, "sqlite://***" if rest.strip("/") else url, _KNOWN)
    if "?" in rest or "#" in rest or "\0" in unquote(rest):
        raise OptionError(OPTION, url, "a path without options; write ? as %3F and # as %23")
    path = Path(unquote(rest[1:]))
    return DatabaseUrl("sqlite", url, url, path.name, path)


def for_caller(url: str) -> str:
    """Return a caller's address of PostgreSQL, such that the host gets no credentials of the trainer.

    Raises:
        OptionError: the address is invalid, names a Unix socket or no host, or lacks user or password.
    """
    parsed = parse(url)
    if not parsed.hosts or not all(host and not host.startswith(_SOCKET) for host, _ in parsed.hosts):
        expected = "an address with the name of a host: callers can't use Unix sockets"
        raise OptionError(OPTION, parsed.shown, expected)
    if not parsed.has_login:
        # Otherwise libpq would use the trainer's PGPASSWORD, password file or certificate.
        expected = "an address with a user and a password: user:password@host"
        raise OptionError(OPTION, parsed.shown, expected)
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
    # Sort the longest first, since one secret may be part of another.
    values = {value for name, value in options.items() if name.endswith("password")}
    secrets = {password, unquote(password), *values, *(quote(value, safe="") for value in values)}
    # By default libpq waits until the network gives up.
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
    """Return names and ports of the hosts before the path; none for libpq's defaults."""
    if not text:
        return [], []
    found = [_ONE_HOST.fullmatch(part) for part in text.split(",")]
    return (
        [unquote(own["host"].strip("[]")) for own in found if own],
        [own["port"] or "" for own in found if own],
    )


def _checked(names: list[str], ports: list[str], shown: str) -> tuple[tuple[str, str], ...]:
    """Return hosts with their ports; raises OptionError for an invalid host or a metadata address."""
    ports = ports or [""]
    if len(ports) == 1:
        ports = ports * len(names)
    if len(ports) != len(names):
        expected = f"an address with as many ports as hosts, {len(names)}"
        raise OptionError(OPTION, shown, expected)
    for name in names:
        if not (name.startswith(_SOCKET) or _NAME.fullmatch(name)) or "," in name:
            expected = "an address with hosts of letters, digits, '.', '_', '-' and ':'"
            raise OptionError(OPTION, shown, expected)
        if is_metadata(name):
            expected = f"the address of a database: {name} is a cloud's metadata address"
            raise OptionError(OPTION, shown, expected)
    return tuple(zip(names, ports, strict=True))


def addresses(name: str) -> list[str]:
    """Look up the addresses of a name with the system's resolver; raises OSError."""
    # Pass bytes: encoding a name in Python may raise other errors than OSError.
    found: list[Any] = socket.getaddrinfo(name.encode(), None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def pinned(url: DatabaseUrl, look_up: LookUp = addresses) -> str:
    """Return the address for libpq, with the IP addresses of the hosts.

    libpq doesn't look up the names again. So a name whose addresses change after this check can't lead
    elsewhere.

    Raises:
        OptionError: a host has a metadata address.
        OSError: no host is found.
    """
    names = [host for host, _ in url.hosts]
    if not any(map(_is_name, names)):
        return url.text
    columns = map(",".join, zip(*_looked_up(url, look_up), strict=True))
    main, _, query = url.text.partition("?")
    # If an option is repeated, libpq uses the last.
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
                expected = f"the address of a database: {host} is {address}, a cloud's metadata address"
                raise OptionError(OPTION, url.shown, expected)
            is_any = True
            yield host, address, port
    if not is_any:
        raise OSError("; ".join(problems))


def _is_name(host: str) -> bool:
    return bool(host) and not host.startswith(_SOCKET)
