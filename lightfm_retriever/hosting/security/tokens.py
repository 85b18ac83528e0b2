"""Read bearer tokens from a file and compare them."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.security.watched_files import Reloading, WatchedFile


@dataclass(frozen=True)
class Tokens:
    """The valid tokens, as SHA-256 digests, which have equal length."""

    digests: tuple[bytes, ...]

    def allow(self, token: str) -> bool:
        """Return whether a token is valid. The time doesn't reveal how much of it is right."""
        given = sha256(token.encode("utf-8", "surrogateescape")).digest()
        found = False
        for digest in self.digests:
            # Not any(): the time must not reveal which token matches either.
            found |= hmac.compare_digest(digest, given)
        return found

    def describe(self) -> str:
        """Say how many tokens there are."""
        return f"{len(self.digests)} token{'s' if len(self.digests) > 1 else ''}"

    def warning(self) -> None:
        """Return no warning: tokens don't expire."""


def watch(path: Path) -> Reloading[Tokens]:
    """Read and watch the tokens in a file. Raises HostingError if they can't be used."""
    source = WatchedFile("--token-file", path)

    def parse(contents: Sequence[bytes]) -> Tokens:
        return Tokens(tuple(sha256(token.encode()).digest() for token in _parse(source, *contents)))

    return Reloading([source], parse)


def read_first(path: Path) -> str:
    """Read the token that a client sends. Raises HostingError."""
    source = WatchedFile("--client-token-file", path, once=True)
    return _parse(source, source.read())[0]


def is_token(text: str) -> bool:
    """Return whether a text can be sent as a token."""
    return text.isascii() and text.isprintable() and " " not in text and text != ""


def _parse(source: WatchedFile, content: bytes) -> list[str]:
    tokens = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        token = line.decode("utf-8", "replace").strip()
        if token and not is_token(token):
            # Don't show the line: it is a secret.
            raise HostingError(
                f"{source}, line {number}: a token should be printable ASCII without spaces"
            )
        if token:
            tokens.append(token)
    if not tokens:
        raise HostingError(
            f"{source} is empty: write a token into it, for instance with `openssl rand -hex 32`"
        )
    return tokens
