"""Resolve the paths in requests, within the directories that an operator allows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainer.data.databases import url as database_url
from trainer.errors import OptionError


class DataRootError(OptionError):
    """A path that doesn't exist, or lies outside the allowed directories."""


class DataRoots:
    """The allowed directories; everything below them is allowed too."""

    def __init__(self, roots: Sequence[Path]) -> None:
        """Allow these directories; an empty list allows no path."""
        self._roots = [root.resolve() for root in roots]

    def resolve(self, path: str, *, option: str = "--interactions") -> Path:
        """Return the file or folder that a path names, without symbolic links and "..".

        Args:
            path: absolute, or relative to the first of the allowed directories.
            option: the flag that an error names.

        Raises:
            DataRootError: the path is empty, leads out of the allowed directories, or doesn't name a
                file or folder; or a link below the folder leads out.
        """
        if not path or "\0" in path:
            raise DataRootError(option, path, f"a path of a file or folder {self._allowed()}")
        try:
            resolved = Path(*self._roots[:1], path).resolve()
            # Check this first: an error must not reveal which files exist outside.
            if not self._contain(resolved):
                raise DataRootError(option, path, self._allowed())
            if not resolved.exists():
                raise DataRootError(option, path, f"an existing path: {resolved} doesn't exist")
            if not (resolved.is_file() or resolved.is_dir()):
                raise DataRootError(option, path, "a file or a folder")
            for link in _links(resolved):
                if not self._contain(link.resolve()):
                    raise DataRootError(option, path, f"{self._allowed()}, but {link} leads elsewhere")
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataRootError(option, path, f"{self._allowed()} ({reason})") from error
        return resolved

    def resolve_url(self, url: str) -> str:
        """Return the address of a database that a caller may use; `resolve` checks an SQLite path.

        Raises:
            OptionError: the address can't be used by a caller, or `resolve` refuses the path.
        """
        parsed = database_url.parse(url)
        if parsed.path is None:
            return database_url.for_caller(url)
        return database_url.sqlite_url(self.resolve(str(parsed.path), option=database_url.OPTION))

    def _contain(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in self._roots)

    def _allowed(self) -> str:
        if not self._roots:
            return "left out: no directory is allowed, see --data-root"
        return f"in one of the allowed directories: {', '.join(map(str, self._roots))}"


def _links(folder: Path) -> Iterator[Path]:
    """Yield the symbolic links below a folder; none for a file."""
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(parent, name)
            if path.is_symlink():
                yield path
