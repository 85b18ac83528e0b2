"""What an address of PostgreSQL may carry beside a host, a user and a database."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

# Of libpq's options those that name no file, run no program, send nobody's tickets, and reach no host
# but the database's: libpq gets new ones with each release.
ALLOWED = (
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "gssencmode",
    "host",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "require_auth",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
)
CALLERS = {
    "gssencmode": "disable",
    "require_auth": "scram-sha-256,md5,password",
    "sslcertmode": "disable",
}
"""Of a caller's address, so that its own password alone opens a database, and no host gets another."""

# What else an operator may want, and where it belongs.
_VARIABLES = {
    "passfile": "PGPASSFILE",
    "sslcert": "PGSSLCERT",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
}
# May be shown: other names could be a piece of a password.
_KNOWN = (
    "gssdelegation",
    "gsslib",
    "hostaddr",
    "krbsrvname",
    "oauth_issuer",
    "replication",
    "requirepeer",
    "service",
    "servicefile",
    "sslkeylogfile",
)


class BadOptionError(ValueError):
    """Options that can't be used; the text says what an address should be."""


def parse(query: str, given: Mapping[str, str]) -> dict[str, str]:
    """The options after an address's "?", decoded as libpq does it.

    Args:
        query: NAME=VALUE with "&" between, percent-encoded.
        given: what the address says before its "?", by option.

    Raises:
        BadOptionError: an option isn't allowed, or is there twice; never shows a value.
    """
    found: dict[str, str] = {}
    for part in query.split("&") if query else []:
        name, equals, value = part.partition("=")
        # libpq decodes names too, but takes no "+" for a space.
        name, value = unquote(name), unquote(value)
        if not equals:
            raise BadOptionError("with options of the form NAME=VALUE")
        if name in _VARIABLES and (name, value) != ("sslrootcert", "system"):
            variable = _VARIABLES[name]
            raise BadOptionError(
                f"without {name}, which names a file: set {variable} in the trainer's environment"
            )
        if name not in ALLOWED:
            shown = name if name in _KNOWN else "other options"
            raise BadOptionError(f"without {shown}; the options are {', '.join(ALLOWED)}")
        if name in found or given.get(name):
            raise BadOptionError(f"with one {name} only")
        found[name] = value
    return found


def encode(options: Mapping[str, str]) -> str:
    """Inverse of `parse`."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
