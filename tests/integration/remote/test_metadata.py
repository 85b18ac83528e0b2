"""Whether a store's library asks a metadata address: one of the tests' own, on 127.0.0.1."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lightfm_retriever.remote.errors import StoreError
from lightfm_retriever.remote.location import parse_location
from lightfm_retriever.remote.store import Store
from trainer.spark.exchange import Exchange

# Nobody listens there.
_NOWHERE = "http://127.0.0.1:9"
_ENDPOINTS = ("AWS_ENDPOINT_URL", "GOOGLE_BASE_URL", "AZURE_STORAGE_ENDPOINT", "AZURE_AUTHORITY_HOST")
_KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
_PRINCIPAL = {"AZURE_CLIENT_ID": "a", "AZURE_TENANT_ID": "b"}
_CONTAINER = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "{metadata}/pod",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{folder}/token",
}
# Credentials of each kind, and what looks like some.
_ENOUGH = [
    ("s3", _KEYS),
    ("s3", {"AWS_WEB_IDENTITY_TOKEN_FILE": "{folder}/none", "AWS_ROLE_ARN": "role"}),
    ("s3", {"AWS_SHARED_CREDENTIALS_FILE": "{folder}/credentials"}),
    ("s3", {"AWS_SKIP_SIGNATURE": "true"}),
    ("gs", {"GOOGLE_SERVICE_ACCOUNT": "{folder}/account.json"}),
    ("gs", {"GOOGLE_SERVICE_ACCOUNT_PATH": "{folder}/account.json"}),
    ("gs", {"GOOGLE_SERVICE_ACCOUNT_KEY": "{account}"}),
    ("gs", {"GOOGLE_APPLICATION_CREDENTIALS": "{folder}/none"}),
    ("gs", {"GOOGLE_SKIP_SIGNATURE": "true"}),
    ("gs", {"HOME": "{folder}/home"}),
    ("az", {"AZURE_STORAGE_ACCOUNT_KEY": "a2V5"}),
    ("az", {"AZURE_STORAGE_ACCESS_KEY": "a2V5"}),
    ("az", {"AZURE_STORAGE_SAS_TOKEN": "a=b"}),
    ("az", {"AZURE_STORAGE_SAS_KEY": "none"}),
    ("az", {"AZURE_STORAGE_TOKEN": "token"}),
    ("az", {**_PRINCIPAL, "AZURE_CLIENT_SECRET": "c"}),
    ("az", {**_PRINCIPAL, "AZURE_FEDERATED_TOKEN_FILE": "{folder}/account.json"}),
    ("az", {"AZURE_SKIP_SIGNATURE": "true"}),
    ("az", {"AZURE_USE_AZURE_CLI": "true"}),
]
_TOO_LITTLE = [
    *((scheme, {}) for scheme in ("s3", "gs", "az")),
    ("s3", {"AWS_ACCESS_KEY_ID": "key"}),
    ("s3", dict.fromkeys(_KEYS, "")),
    ("s3", {"AWS_WEB_IDENTITY_TOKEN_FILE": "{folder}/none"}),
    ("s3", {"AWS_PROFILE": "default", "AWS_SKIP_SIGNATURE": "false"}),
    ("gs", {"GOOGLE_SKIP_SIGNATURE": "0"}),
    ("az", _PRINCIPAL),
    ("az", {"AZURE_STORAGE_USE_EMULATOR": "false"}),
    ("s3", _CONTAINER),
]


@pytest.fixture
def metadata(tmp_path, monkeypatch):
    """What was asked for on a machine whose metadata address is ours and that has nothing else."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        """Knows nobody."""

        def answer(self):
            asked.append(self.path)
            self.send_error(404)

        do_GET = do_PUT = do_POST = answer  # noqa: N815 - the library's names

        def log_message(self, *_):
            pass

    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "GCE_", "STORE_", "IDENTITY_")):
            monkeypatch.delenv(name)
    (tmp_path / "empty").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"127.0.0.1:{server.server_port}"
        given = {
            **dict.fromkeys(("HOME", "PATH"), str(tmp_path / "empty")),
            **dict.fromkeys(("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"), address),
            **dict.fromkeys(_ENDPOINTS, _NOWHERE),
            "AWS_METADATA_ENDPOINT": f"http://{address}",
            "IDENTITY_ENDPOINT": f"http://{address}/identity",
            "IDENTITY_HEADER": "header",
            "AWS_ALLOW_HTTP": "true",
            "AZURE_STORAGE_ACCOUNT_NAME": "account",
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield asked
        server.shutdown()
        thread.join()


@pytest.fixture
def set_to(metadata, tmp_path, monkeypatch):
    """Sets variables, in which {folder}, {account} and {metadata} are replaced."""
    facts = dict.fromkeys(("private_key", "private_key_id", "client_email"), "")
    account = json.dumps({**facts, "disable_oauth": True, "gcs_base_url": _NOWHERE})
    (tmp_path / "account.json").write_text(account)
    (tmp_path / "token").write_text("token")
    keys = "[default]\naws_access_key_id = key\naws_secret_access_key = secret"
    (tmp_path / "credentials").write_text(keys)
    of_google = tmp_path / "home/.config/gcloud/application_default_credentials.json"
    of_google.parent.mkdir(parents=True)
    # Of a kind that the library doesn't know, so that it asks nobody for a token.
    of_google.write_text("{}")

    def set_variables(variables):
        for name, value in variables.items():
            made = value.replace("{folder}", str(tmp_path)).replace("{account}", account)
            monkeypatch.setenv(name, made.replace("{metadata}", os.environ["AWS_METADATA_ENDPOINT"]))

    return set_variables


def ask(scheme, *, patience_seconds=0.05):
    """What goes wrong: there is no store."""
    with pytest.raises(StoreError) as caught:
        Store(parse_location(f"{scheme}://bucket/prefix"), patience_seconds=patience_seconds).facts("x")
    return caught.value.reason


@pytest.mark.parametrize(("scheme", "variables"), _ENOUGH)
def test_with_credentials_the_metadata_address_is_not_asked(metadata, set_to, scheme, variables):
    set_to(variables)
    assert "there are no credentials" not in ask(scheme)
    assert metadata == []


@pytest.mark.parametrize(("scheme", "variables"), _TOO_LITTLE)
def test_without_credentials_nobody_is_asked(metadata, set_to, scheme, variables):
    set_to(variables)
    assert "there are no credentials in the environment" in ask(scheme)
    with pytest.raises(ValueError, match="there are no credentials in the environment"):
        Exchange(f"{scheme}://bucket/prefix").remove()
    assert metadata == []


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_who_says_so_gets_the_credentials_of_the_machine(metadata, set_to, scheme):
    set_to({"STORE_CREDENTIALS": "instance"})
    assert "there are no credentials" not in ask(scheme, patience_seconds=20)
    assert metadata
