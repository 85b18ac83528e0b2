"""The location of a volume: a folder, or a prefix in a bucket of an object store."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path

SCHEMES = ("s3", "gs", "az")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
# Characters that every store keeps unchanged, even in a URL.
_PART = re.compile(r"[A-Za-z0-9_.=-]+")


@dataclass(frozen=True)
class StoreUrl:
    """A prefix in a bucket. `prefix` has no slash at its ends; it is empty for the whole bucket."""

    scheme: str
    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (f"{self.scheme}://{self.bucket}", self.prefix) if part)

    @property
    def name(self) -> str:
        """A name for the cache folder of this volume."""
        return "-".join([self.bucket, *(part for part in self.prefix.split("/") if part)])


Location = Path | StoreUrl
"""A volume in a folder, or in an object store."""


def parse_location(text: str) -> Location:
    """Parse the path of a folder, or "s3://BUCKET/PREFIX", "gs://...", "az://...".

    Raises:
        ArgumentTypeError: the scheme is unknown, or bucket or prefix is invalid.
    """
    if (found := _SCHEME.match(text)) is None:
        return Path(text)
    scheme = found.group(1).lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise ArgumentTypeError(f"{scheme}:// isn't known; give a folder or one of {known}")
    bucket, _, rest = text[found.end() :].partition("/")
    if not _BUCKET.fullmatch(bucket):
        # For instance, it contains a user and a password, which don't belong on a command line.
        raise ArgumentTypeError(
            "should name a bucket of letters, digits, '.', '_' and '-' after the scheme; credentials "
            "come from the environment"
        )
    parts = rest.strip("/").split("/") if rest.strip("/") else []
    for part in parts:
        if not _PART.fullmatch(part) or part in (".", ".."):
            raise ArgumentTypeError(
                f"{part!r} can't be part of a prefix: give letters, digits, '.', '_', '=' and '-'"
            )
    return StoreUrl(scheme, bucket, "/".join(parts))
