import pytest

from trainer.data.databases import postgresql_options
from trainer.data.databases.postgresql_options import BadOptionError


def test_what_is_allowed_is_decoded_as_libpq_does_it():
    query = "password=a+b%20c&sslmode=verify-full&%75ser=ann&options=-c%20a%3Db&sslrootcert=system"
    options = postgresql_options.parse(query, {"host": "h"})
    assert options == {
        "password": "a+b c",
        "sslmode": "verify-full",
        "user": "ann",
        "options": "-c a=b",
        "sslrootcert": "system",
    }
    assert postgresql_options.parse(postgresql_options.encode(options), {}) == options
    assert postgresql_options.parse("", {}) == {}


@pytest.mark.parametrize(
    ("query", "variable"),
    [
        ("sslrootcert=/ca", "PGSSLROOTCERT"),
        ("sslrootcert=system2", "PGSSLROOTCERT"),
        ("sslcert=/c", "PGSSLCERT"),
        ("sslkey=/k", "PGSSLKEY"),
        ("sslmode=require&sslcrl=/c", "PGSSLCRL"),
        ("sslcrldir=/c", "PGSSLCRLDIR"),
        ("%70assfile=/p", "PGPASSFILE"),
    ],
)
def test_an_option_that_names_a_file_is_one_of_the_environment(query, variable):
    with pytest.raises(BadOptionError, match=f"set {variable} in the trainer's environment"):
        postgresql_options.parse(query, {})


@pytest.mark.parametrize(
    "query",
    [
        "sslkeylogfile=/etc/x",
        "%73slkeylogfile=/etc/x",
        "sslmode=require&sslkeylogfile=/etc/x",
        "service=x",
        "hostaddr=127.0.0.1",
        "gsslib=x",
        "gssdelegation=1",
        "krbsrvname=x",
        "oauth_issuer=https://x",
        "replication=database",
        "requirepeer=x",
        "servicefile=x",
    ],
)
def test_any_other_option_of_libpq_is_refused_by_its_name(query):
    with pytest.raises(
        BadOptionError, match=r"without \w+; the options are application_name, "
    ) as caught:
        postgresql_options.parse(query, {})
    assert "/etc" not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    ["s3cret=x", "SSLKEYLOGFILE=/x", "SSLMODE=require", "s3cret", "=s3cret", "&", "scram_client_key=x"],
)
def test_what_may_be_a_piece_of_a_password_is_not_shown(query):
    with pytest.raises(BadOptionError) as caught:
        postgresql_options.parse(query, {})
    assert "s3cret" not in str(caught.value)


def test_nothing_is_there_twice():
    for query in ("sslmode=require&sslmode=disable", "sslmode=require&%73slmode=require", "host=b"):
        with pytest.raises(BadOptionError, match=r"with one (sslmode|host) only"):
            postgresql_options.parse(query, {"host": "a"})
