"""Text of the program's own, such as a flag's help, made safe to stand in a page."""

from __future__ import annotations

import re

# Code that is marked already, and flags, which are marked here.
_CODE = re.compile(r"(`[^`]+`|(?<![\w`-])--[a-z][\w-]*)")
_SPECIAL = re.compile(r"([\\*_\[\]|{}<>&#~^])")


def plain(text: str) -> str:
    """The text as Markdown that shows it as it is, on one line, with flags as code."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(
        code(part.strip("`")) if place % 2 else _escaped(part) for place, part in enumerate(parts)
    )


def code(text: str) -> str:
    """The text as code."""
    return f"`{text}`"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", text)
