"""The directories that a request may name files in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainer.data.databases import url as database_url
from trainer.errors import OptionError


class DataRootError(OptionError):
    """A path that isn't in the allowed directories, or isn't there."""


class DataRoots:
    """Directories that are allowed, with everything below them."""

    def __init__(self, roots: Sequence[Path]) -> None:
        """Allow these; none at all allows no path."""
        self._roots = [root.resolve() for root in roots]

    def resolve(self, path: str, *, option: str = "--interactions") -> Path:
        """The file or folder that a path names, without symbolic links and "..".

        Args:
            path: absolute, or relative to the first of the allowed directories.
            option: what an error names.

        Raises:
            DataRootError: the path is empty, leads out of the allowed directories, or names nothing or
                neither a file nor a folder; or a link below the folder leads out.
        """
        if not path or "\0" in path:
            raise DataRootError(option, path, f"a path of a file or folder {self._allowed()}")
        try:
            resolved = Path(*self._roots[:1], path).resolve()
            # Before looking for it: what lies outside is nobody's business.
            if not self._contain(resolved):
                raise DataRootError(option, path, self._allowed())
            if not resolved.exists():
                raise DataRootError(option, path, f"there: {resolved} doesn't exist")
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
        """The address of a database for a caller, with the path of an SQLite file from `resolve`.

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
    """The symbolic links below a folder; none for a file."""
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(parent, name)
            if path.is_symlink():
                yield path
