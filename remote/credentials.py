"""Credentials for S3 from a file that may change while a service runs."""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# The library asks anew when less than five minutes are left, so for each request.
_LASTS = timedelta(seconds=30)


def shared_credentials(
    environment: Mapping[str, str] | None = None,
) -> Callable[[], dict[str, Any]] | None:
    """What gives the credentials in the file that AWS_SHARED_CREDENTIALS_FILE names.

    The section is AWS_PROFILE, or "default". None when the variable isn't set: the library reads the
    other variables (AWS_ACCESS_KEY_ID and its like) and asks where it runs by itself.
    """
    given = os.environ if environment is None else environment
    if not (path := given.get("AWS_SHARED_CREDENTIALS_FILE")):
        return None
    profile = given.get("AWS_PROFILE") or "default"
    return lambda: _read(Path(path), profile)


def _read(path: Path, profile: str) -> dict[str, Any]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text("utf-8"))
        section = parser[profile]
        credentials: dict[str, Any] = {
            "access_key_id": section["aws_access_key_id"],
            "secret_access_key": section["aws_secret_access_key"],
        }
    except KeyError as error:
        raise ValueError(f"{path}: section [{profile}] or its key {error} is missing") from error
    except configparser.Error as error:
        # Its message quotes the line, which may be a secret.
        raise ValueError(f"{path}: isn't a file of credentials ({type(error).__name__})") from error
    if token := section.get("aws_session_token"):
        credentials["token"] = token
    credentials["expires_at"] = datetime.now(UTC) + _LASTS
    return credentials
