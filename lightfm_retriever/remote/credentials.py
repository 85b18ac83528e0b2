"""Credentials for a store: check that there are some, and read them from a file that may change."""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lightfm_retriever.files.regular_files import read_regular

# The library asks again if less than five minutes are left, so it asks for each request.
_LASTS = timedelta(seconds=30)
_MAX_BYTES = 4 << 20

SETTING = "STORE_CREDENTIALS"
"""An environment variable. With value "instance", ask the metadata address of the machine or pod."""

_INSTANCE = "instance"
# Variables with which the library doesn't ask a metadata address. All variables of a row must be set.
_GIVEN: dict[str, tuple[tuple[str, ...], ...]] = {
    "s3": (
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_SHARED_CREDENTIALS_FILE",),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    ),
    "gs": (
        ("GOOGLE_APPLICATION_CREDENTIALS",),
        ("GOOGLE_SERVICE_ACCOUNT",),
        ("GOOGLE_SERVICE_ACCOUNT_PATH",),
        ("GOOGLE_SERVICE_ACCOUNT_KEY",),
    ),
    "az": (
        ("AZURE_STORAGE_ACCOUNT_KEY",),
        ("AZURE_STORAGE_ACCESS_KEY",),
        ("AZURE_STORAGE_SAS_TOKEN",),
        ("AZURE_STORAGE_SAS_KEY",),
        ("AZURE_STORAGE_TOKEN",),
        ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"),
        ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"),
    ),
}
# The same, if one of them is "1" or "true".
_SWITCHES = {
    "s3": ("AWS_SKIP_SIGNATURE",),
    "gs": ("GOOGLE_SKIP_SIGNATURE",),
    "az": ("AZURE_SKIP_SIGNATURE", "AZURE_USE_AZURE_CLI", "AZURE_STORAGE_USE_EMULATOR"),
}
# The file of `gcloud auth application-default login` in the home directory.
_GOOGLES_FILE = ".config/gcloud/application_default_credentials.json"


def missing_credentials(scheme: str) -> str | None:
    """Return why credentials are missing; None if the environment has some or names a source.

    Without any, the library would ask a cloud's metadata address. Its credentials have the rights of
    the whole machine or pod, so an operator must allow it explicitly.
    """
    given = os.environ
    source = given.get(SETTING, "")
    if source not in ("", _INSTANCE):
        return f"{SETTING} is {source!r}, but should be {_INSTANCE!r} or not set"
    if scheme not in _GIVEN or source == _INSTANCE:
        return None
    if any(all(given.get(name) for name in row) for row in _GIVEN[scheme]):
        return None
    if any(given.get(name, "").lower() in ("1", "true") for name in _SWITCHES[scheme]):
        return None
    if scheme == "gs" and given.get("HOME") and Path(given["HOME"], _GOOGLES_FILE).is_file():
        return None
    ways = "; or ".join(" and ".join(row) for row in _GIVEN[scheme])
    return (
        f"there are no credentials in the environment: set {ways}; or {SETTING}={_INSTANCE} to ask "
        "this machine's metadata address for those of its role"
    )


def shared_credentials() -> Callable[[], dict[str, Any]] | None:
    """Return a function that reads the credentials in the file of AWS_SHARED_CREDENTIALS_FILE.

    The section is AWS_PROFILE, or "default". None if the variable isn't set: the library itself reads
    the other variables, such as AWS_ACCESS_KEY_ID.
    """
    if not (path := os.environ.get("AWS_SHARED_CREDENTIALS_FILE")):
        return None
    profile = os.environ.get("AWS_PROFILE") or "default"
    return lambda: _read(Path(path), profile)


def _read(path: Path, profile: str) -> dict[str, Any]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_regular(path, max_bytes=_MAX_BYTES).decode())
        section = parser[profile]
        credentials: dict[str, Any] = {
            "access_key_id": section["aws_access_key_id"],
            "secret_access_key": section["aws_secret_access_key"],
        }
    except KeyError as error:
        raise ValueError(f"{path}: section [{profile}] or its key {error} is missing") from error
    except configparser.Error as error:
        # The parser's message quotes the line, which may contain a secret.
        raise ValueError(f"{path}: isn't a file of credentials") from error
    if token := section.get("aws_session_token"):
        credentials["token"] = token
    credentials["expires_at"] = datetime.now(UTC) + _LASTS
    return credentials
