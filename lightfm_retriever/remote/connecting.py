"""Connect to object stores: options, the check for TLS, and short texts of errors."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightfm_retriever.remote.credentials import missing_credentials, shared_credentials
from lightfm_retriever.remote.errors import StoreError
from lightfm_retriever.remote.location import Location, StoreUrl

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_MAX_REASON = 300
_URL = re.compile(r"https?://\S+")
# Durations and numbers of attempts, which differ each time.
_ATTEMPTS = re.compile(
    r"Generic \w+ error: |Error performing .{1,300}? in [0-9.]+\w+(, [^-]{1,200})? - "
)
_CODE = re.compile(r"<Code>([A-Za-z0-9]+)</Code>")


def require_library() -> None:
    """Raise StoreError if the optional library isn't installed."""
    if importlib.util.find_spec("obstore") is None:
        raise StoreError("obstore", "this package is missing: pip install 'lightfm-retriever[store]'")


def connect(location: Location, patience_seconds: float) -> ObjectStore:
    """Open a store. Its calls are retried for `patience_seconds`. Raises StoreError."""
    require_library()
    from obstore import exceptions, store

    try:
        if isinstance(location, Path):
            return store.LocalStore(location.absolute())
        _check_http(location)
        if (problem := missing_credentials(location.scheme)) is not None:
            raise StoreError(str(location), problem)
        provider: Callable[[], Any] | None = shared_credentials() if location.scheme == "s3" else None
        # The library's types are for one kind of store each; these options are for all.
        options: dict[str, Any] = {} if provider is None else {"credential_provider": provider}
        return store.from_url(
            str(location),
            client_options={
                # With explicit options the library doesn't read this one from the environment.
                "allow_http": _allows_http(),
                "connect_timeout": timedelta(seconds=patience_seconds / 4),
                # The time between two pieces of an answer, to give up a store that hangs.
                "read_timeout": timedelta(seconds=patience_seconds / 2),
                "timeout": timedelta(seconds=max(120.0, patience_seconds)),
            },
            retry_config={
                "max_retries": 3,
                "retry_timeout": timedelta(seconds=patience_seconds),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=2),
                    "base": 2,
                },
            },
            **options,
        )
    except (exceptions.BaseError, OSError, ValueError) as error:
        raise StoreError(str(location), reason_of(error)) from error


def _allows_http() -> bool:
    return any(
        os.environ.get(f"{cloud}_ALLOW_HTTP", "").lower() in ("1", "true") for cloud in ("AWS", "AZURE")
    )


def _check_http(location: StoreUrl) -> None:
    """Raise StoreError for an endpoint without TLS that isn't allowed: the library's is unclear."""
    if location.scheme != "s3" or _allows_http():
        return
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        if (endpoint := os.environ.get(name, "")).startswith("http://"):
            raise StoreError(
                str(location),
                f"{name} is {endpoint}, which has no TLS: set AWS_ALLOW_HTTP=true to allow that",
            )


def reason_of(error: Exception) -> str:
    """Return the library's message in one line, always the same text for the same problem."""
    # The rest repeats the message as a data structure.
    text = str(error).partition("Debug source:")[0]
    if (code := _CODE.search(text)) is not None:
        return f"the store answers {code.group(1)}"
    line = " ".join(_ATTEMPTS.sub("", _URL.sub("the store", text)).split())
    return line if len(line) <= _MAX_REASON else line[: _MAX_REASON - 3] + "..."
