"""Adapts links, which are written for the repository, to the site.

A link to another page of the site leads to that page. A link to any other file of the repository leads
to a copy of the file, as text. MkDocs complains of a link to a missing file, so it stays as it is.
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
"""Pages of the site from other folders of the repository, by their place on the site.

A page in docs with the same place has priority.
"""

# Links to the README lead to the site's own home page.
_PLACES = {"README.md": "index.md", **{source: place for place, source in INCLUDED.items()}}
_FENCE = re.compile(r"(^ *(?P<fence>```+|~~~+).*?^ *(?P=fence) *$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<text>!?\[(?:[^\[\]]|\[[^\[\]]*\])*\])\((?P<target>[^()\s]+)\)")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|/")


def source_of(place: str) -> str:
    """Return the file in the repository of a page of the site."""
    own = f"{DOCS}/{place}"
    return INCLUDED.get(place, own) if not (ROOT / own).exists() else own


def mended(text: str, place: str, add_copy: Callable[[str], str]) -> str:
    """Return the text of the page at a place on the site, with links that fit the site.

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
    """Cut a text at the ends of fenced code."""
    parts, end = [], 0
    for fenced in _FENCE.finditer(text):
        parts += [text[end : fenced.start()], fenced[0]]
        end = fenced.end()
    return [*parts, text[end:]]


def place_of(source: str) -> str | None:
    """Return the place on the site of a file, or of a folder's page; None if it has none."""
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
