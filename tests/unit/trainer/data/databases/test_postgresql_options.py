import re

import pytest

from trainer.data.databases import postgresql_options
from trainer.data.databases.postgresql_options import BadOptionError


def test_what_is_allowed_is_decoded_as_libpq_does_it():
    query = "password=a+b%20c&sslmode=verify-full&%75ser=ann&options=-c%20a%3Db&sslrootcert=system"
    options = postgresql_options.parse(query, {"host": "h"})
    named = {"password": "a+b c", "sslmode": "verify-full", "user": "ann", "options": "-c a=b"}
    assert options == {**named, "sslrootcert": "system"}
    assert postgresql_options.parse(postgresql_options.encode(options), {}) == options
    assert postgresql_options.parse("", {}) == {}


FILES = {
    "sslrootcert=/ca": "PGSSLROOTCERT",
    "sslrootcert=system2": "PGSSLROOTCERT",
    "sslcert=/c": "PGSSLCERT",
    "sslkey=/k": "PGSSLKEY",
    "sslmode=require&sslcrl=/c": "PGSSLCRL",
    "sslcrldir=/c": "PGSSLCRLDIR",
    "%70assfile=/p": "PGPASSFILE",
}
OTHERS = """
sslkeylogfile=/etc/x %73slkeylogfile=/etc/x sslmode=require&sslkeylogfile=/etc/x service=x
hostaddr=127.0.0.1 gsslib=x gssdelegation=1 krbsrvname=x oauth_issuer=https://x replication=database
requirepeer=x servicefile=x
"""
SECRETS = "s3cret=x SSLKEYLOGFILE=/x SSLMODE=require s3cret =s3cret & scram_client_key=x"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        # What names a file belongs into the environment.
        *((query, f"set {name} in the trainer's environment") for query, name in FILES.items()),
        *((query, r"without \w+; the options are application_name, ") for query in OTHERS.split()),
        # What may be a piece of a password isn't shown.
        *((query, None) for query in SECRETS.split()),
        # Nothing is there twice.
        ("sslmode=require&sslmode=disable", "with one sslmode only"),
        ("sslmode=require&%73slmode=require", "with one sslmode only"),
        ("host=b", "with one host only"),
    ],
)
def test_other_options_are_refused_without_their_values(query, reason):
    with pytest.raises(BadOptionError, match=reason) as caught:
        postgresql_options.parse(query, {"host": "a"})
    assert not re.search("s3cret|/etc", str(caught.value))
