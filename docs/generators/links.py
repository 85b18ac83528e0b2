"""Links of pages, which are written for the repository, made to fit the site.

A link to another page of the site leads there. A link to any other file of the repository leads to a
copy of it, as text. What doesn't exist stays as it is, for MkDocs to complain of.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = "docs"
INCLUDED = {
    "contributing.md": "CONTRIBUTING.md",
    "contributing/architecture.md": "ARCHITECTURE.md",
    "contributing/tests.md": "tests/README.md",
    "contributing/changelog.md": "CHANGELOG.md",
    "how-to/containers.md": "docker/README.md",
    "reference/publication-format.md": "lightfm_retriever/publication/README.md",
}
"""Pages of the site that stand elsewhere in the repository, by their place on the site.

A page of docs at the same place comes before them.
"""

# The site begins with a page of its own.
_PLACES = {"README.md": "index.md", **{source: place for place, source in INCLUDED.items()}}
_FENCE = re.compile(r"(^ *(?P<fence>```+|~~~+).*?^ *(?P=fence) *$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<text>!?\[(?:[^\[\]]|\[[^\[\]]*\])*\])\((?P<target>[^()\s]+)\)")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|/")


def source_of(place: str) -> str:
    """Where a page of the site stands in the repository."""
    own = f"{DOCS}/{place}"
    return INCLUDED.get(place, own) if not (ROOT / own).exists() else own


def mended(text: str, place: str, add_copy: Callable[[str], str]) -> str:
    """The text of the page at a place on the site, with links that fit the site.

    `add_copy` adds a copy of a file of the repository to the site, and returns its place.
    """

    def mend(found: re.Match[str]) -> str:
        shown, target = found["text"], found["target"]
        if _ELSEWHERE.match(target):
            return found[0]
        path, hash_, anchor = target.partition("#")
        there = os.path.normpath(Path(source_of(place)).parent / path)
        if (to := place_of(there)) is None:
            if (ROOT / there).is_dir():
                return shown[1:-1]
            if not (ROOT / there).is_file():
                return found[0]
            to = add_copy(there)
        return f"{shown}({os.path.relpath(to, Path(place).parent)}{hash_}{anchor})"

    return "".join(
        part if part.lstrip().startswith(("```", "~~~")) else _LINK.sub(mend, part)
        for part in _parts(text)
    )


def _parts(text: str) -> list[str]:
    """The text, cut where fenced code begins and ends."""
    parts, end = [], 0
    for fenced in _FENCE.finditer(text):
        parts += [text[end : fenced.start()], fenced[0]]
        end = fenced.end()
    return [*parts, text[end:]]


def place_of(source: str) -> str | None:
    """The place on the site of a file of the repository, or of a folder's page; None if it has none."""
    if (ROOT / source).is_dir():
        for name in ("README.md", "index.md"):
            if (ROOT / source / name).exists():
                return place_of(f"{source}/{name}")
        return None
    if source in _PLACES:
        return _PLACES[source]
    path = Path(source)
    if path.parts[0] != DOCS or path.suffix in (".py", ""):
        return None
    # A notebook becomes a page.
    place = path.relative_to(DOCS)
    return str(place.with_suffix(".md") if place.suffix == ".ipynb" else place)
