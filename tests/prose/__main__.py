"""Checks prose: python -m tests.prose [PATH...]

Without a path it checks all texts for users and contributors: README.md, the unreleased part of
CHANGELOG.md, ARCHITECTURE.md, CONTRIBUTING.md, docs, help texts, comments of the protobuf files, and
public docstrings. The exit status is 1 if it finds something.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.prose.checks import findings

ROOT = Path(__file__).parents[2]
EVERYTHING = (
    *("README.md", "CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "tests/README.md"),
    *(
        "docs",
        "docker",
        "protos/recsys",
        "lightfm_retriever",
        "lightfm_workbench",
        "retriever",
        "trainer",
        "tests/documents",
        "tests/prose",
    ),
)
_KINDS = frozenset({".md", ".proto", ".py"})


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files that have prose, in folders too; raises FileNotFoundError."""
    for path in paths:
        if path.is_dir():
            yield from (own for own in sorted(path.rglob("*")) if own.suffix in _KINDS)
        elif path.exists():
            yield path
        else:
            raise FileNotFoundError(f"no such file or folder: {path}")


def main(arguments: list[str]) -> int:
    """Print the findings as FILE:LINE:COLUMN: RULE: MESSAGE."""
    count = checked = 0
    try:
        for file in files([Path(one) for one in arguments] or [ROOT / name for name in EVERYTHING]):
            name = str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else str(file)
            checked += 1
            for found in findings(name, file.read_text("utf-8")):
                count += 1
                print(f"{name}:{found.line}:{found.column}: {found.rule}: {found.message}")
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if count:
        print(f"{count} findings in {checked} files; docs/contributing.md has the rules")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
