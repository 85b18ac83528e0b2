"""Check the options in the address of a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

# The options of libpq that are safe: they name no file, run no program, send no Kerberos ticket, and
# reach no other host. A list of allowed options is needed, since each release of libpq adds some.
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
"""Options forced on the address of a caller: only its own password may open a database."""

# Further options that an operator may need, and the variable to set instead.
_VARIABLES = {
    "passfile": "PGPASSFILE",
    "sslcert": "PGSSLCERT",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
}
# Errors may show these names. Unknown names could be part of a password.
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
    """An address has options that can't be used; the text says how it should be."""


def parse(query: str, given: Mapping[str, str]) -> dict[str, str]:
    """Parse the options after the "?" of an address, decoded as by libpq.

    Args:
        query: NAME=VALUE pairs, separated by "&", percent-encoded.
        given: the values before the "?", by option.

    Raises:
        BadOptionError: an option isn't allowed, or is repeated. The text never shows a value.
    """
    found: dict[str, str] = {}
    for part in query.split("&") if query else []:
        name, equals, value = part.partition("=")
        # libpq also decodes names, and doesn't read "+" as a space.
        name, value = unquote(name), unquote(value)
        if not equals:
            raise BadOptionError("an address with options of the form NAME=VALUE")
        if name in _VARIABLES and (name, value) != ("sslrootcert", "system"):
            variable = _VARIABLES[name]
            raise BadOptionError(
                f"an address without {name}, which names a file: set {variable} in the "
                "trainer's environment"
            )
        if name not in ALLOWED:
            shown = name if name in _KNOWN else "other options"
            raise BadOptionError(f"an address without {shown}; the options are {', '.join(ALLOWED)}")
        if name in found or given.get(name):
            raise BadOptionError(f"an address with one {name} only")
        found[name] = value
    return found


def encode(options: Mapping[str, str]) -> str:
    """Encode options for an address; the inverse of `parse`."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
