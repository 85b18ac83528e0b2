"""Makes a text of the program, such as a flag's help, safe for a page."""

from __future__ import annotations

import re

# Code that is already marked, and flags, which get their marks here.
_CODE = re.compile(r"(`[^`]+`|(?<![\w`-])--[a-z][\w-]*)")
_SPECIAL = re.compile(r"([\\*_\[\]|{}<>&#~^])")


def plain(text: str) -> str:
    """Write Markdown that shows a text as it is, on one line, with flags as code."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(
        code(part.strip("`")) if place % 2 else _escaped(part) for place, part in enumerate(parts)
    )


def code(text: str) -> str:
    """Mark a text as code."""
    return f"`{text}`"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", text)
