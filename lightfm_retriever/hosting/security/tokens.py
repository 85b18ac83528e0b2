"""Bearer tokens that callers may send: read from a file, and compared."""

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
    """The tokens that are good now, as SHA-256 digests, which are of equal length."""

    digests: tuple[bytes, ...]

    def allow(self, token: str) -> bool:
        """Whether one is good, in a time that doesn't tell how much of it is right."""
        given = sha256(token.encode("utf-8", "surrogateescape")).digest()
        found = False
        for digest in self.digests:
            # Not any(): which one it is takes no part either.
            found |= hmac.compare_digest(digest, given)
        return found

    def describe(self) -> str:
        """How many."""
        return f"{len(self.digests)} token{'s' if len(self.digests) > 1 else ''}"

    def warning(self) -> None:
        """Tokens don't expire."""


def watch(path: Path) -> Reloading[Tokens]:
    """The tokens in a file. Raises HostingError when they can't be used."""
    source = WatchedFile("--token-file", path)

    def parse(contents: Sequence[bytes]) -> Tokens:
        return Tokens(tuple(sha256(token.encode()).digest() for token in _parse(source, *contents)))

    return Reloading([source], parse)


def read_first(path: Path) -> str:
    """The token that a client sends. Raises HostingError."""
    source = WatchedFile("--client-token-file", path, once=True)
    return _parse(source, source.read())[0]


def is_token(text: str) -> bool:
    """Whether text can be sent as a token."""
    return text.isascii() and text.isprintable() and " " not in text and text != ""


def _parse(source: WatchedFile, content: bytes) -> list[str]:
    tokens = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        token = line.decode("utf-8", "replace").strip()
        if token and not is_token(token):
            # The line itself is a secret.
            raise HostingError(
                f"{source}, line {number}: a token should be printable ASCII without spaces"
            )
        if token:
            tokens.append(token)
    if not tokens:
        raise HostingError(f"{source} is empty: write a token into it, such as `openssl rand -hex 32`")
    return tokens
