import os
import re
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from lightfm_retriever.remote.credentials import missing_credentials, shared_credentials

FILE = """
[default]
aws_access_key_id = key
aws_secret_access_key = se%cret

[other]
aws_access_key_id = another
aws_secret_access_key = secret
aws_session_token = token
"""


def among(variables, call, *arguments):
    with mock.patch.dict(os.environ, variables, clear=True):
        return call(*arguments)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "credentials").write_text(FILE)
    return tmp_path / "credentials"


def giver(path, **variables):
    return among({"AWS_SHARED_CREDENTIALS_FILE": str(path), **variables}, shared_credentials)


def test_the_profile_says_which_section(path):
    give = giver(path)
    found = give()
    assert (found["access_key_id"], found["secret_access_key"]) == ("key", "se%cret")
    assert "token" not in found
    # The library asks anew when less is left, so at each request.
    assert timedelta(0) < found["expires_at"] - datetime.now(UTC) < timedelta(minutes=5)
    found = giver(path, AWS_PROFILE="other")()
    assert (found["access_key_id"], found["token"]) == ("another", "token")
    # They are read again whenever they are asked for.
    path.write_text(FILE.replace("= key", "= replaced"))
    assert give()["access_key_id"] == "replaced"


def test_what_is_missing_is_named_with_the_file(path):
    for content, said in (
        ("[other]", r"section \[default\] or its key .* is missing"),
        ("[default]\naws_access_key_id = x", "section .* key 'aws_secret_access_key' is missing"),
        # It may be a secret, which isn't quoted.
        ("topsecret without a section", "isn't a file of credentials"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=f"{path}: {said}") as refused:
            giver(path)()
        assert "topsecret" not in str(refused.value)


def test_without_credentials_the_settings_are_named():
    for variables, said in (
        ({}, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or .* or STORE_CREDENTIALS=instance"),
        (
            {"STORE_CREDENTIALS": "Instance"},
            "^STORE_CREDENTIALS is 'Instance', but should be 'instance' or not set",
        ),
    ):
        assert re.search(said, among(variables, missing_credentials, "s3"))
