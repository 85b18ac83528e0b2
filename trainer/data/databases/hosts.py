"""Looking up the hosts of a database once, so that none leads to a metadata address."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

from trainer.data.databases import postgresql_options
from trainer.data.databases.metadata_addresses import is_metadata
from trainer.data.databases.url import OPTION, DatabaseUrl
from trainer.errors import OptionError

LookUp = Callable[[str], list[str]]
"""The addresses of a name; raises OSError."""


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
    return bool(host) and not host.startswith(("/", "@"))
