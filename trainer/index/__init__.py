"""Build nearest-neighbour indexes, measure them, and choose their settings.

A backend has one file here and one in the retriever, and a line in each registry; see
docs/explanation/recall-and-tuning.md.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable, Sequence
from typing import Any, cast

from lightfm_retriever.hosting import words
from trainer.errors import BackendMissingError, OptionError
from trainer.index.protocol import Backend

# Name: module and class. They are imported on demand, since all but Annoy are optional extras.
BACKENDS = {
    "annoy": ("trainer.index.annoy", "AnnoyBackend"),
    "exact": ("trainer.index.exact", "ExactBackend"),
    "faiss": ("trainer.index.faiss", "FaissBackend"),
    "nmslib": ("trainer.index.nmslib", "NmslibBackend"),
}
NAMES = tuple(BACKENDS)
AUTO = "auto"
# NMSLIB isn't part of auto, since every worker would hold a copy of its index.
_AUTO = ("exact", "annoy", "faiss")


def make_backends(names: str, *, trees: int | None = None) -> list[Backend]:
    """Make the backends to choose among, from names separated by commas.

    "auto" means all installed backends whose indexes processes share. `trees` is the number of trees of
    an Annoy index; None to choose it by recall.

    Raises:
        OptionError: a backend is unknown, or `trees` is set without Annoy.
        BackendMissingError: a named backend isn't installed.
    """
    wanted: dict[str, bool] = {}
    for name in (name.strip() for name in names.split(",")):
        if name == AUTO:
            wanted = {**dict.fromkeys(_AUTO, False), **wanted}
        elif name in BACKENDS:
            wanted[name] = True
        else:
            known = (AUTO, *NAMES)
            hint = words.meant(name, known)
            raise OptionError("--backend", name, f"among {', '.join(known)}" + f"; {hint}" * bool(hint))
    if trees is not None and "annoy" not in wanted:
        raise OptionError("--trees", trees, "left out: it is for --backend annoy")
    backends = []
    for name, by_name in wanted.items():
        try:
            backends.append(_make(name, {"trees": trees} if name == "annoy" else {}))
        except BackendMissingError:
            if by_name:
                raise
    return backends


def stand_ins(backends: Sequence[Backend]) -> list[Backend]:
    """Return the backends to try if none of `backends` reaches the target.

    These are the installed backends of "auto" that weren't tried yet, without exact search, which is
    always available.
    """
    tried = {"exact", *(backend.name for backend in backends)}
    return installed(name for name in _AUTO if name not in tried)


def installed(names: Iterable[str] = NAMES) -> list[Backend]:
    """Return those of the named backends that are installed, in the given order."""
    backends = []
    for name in names:
        with contextlib.suppress(BackendMissingError):
            backends.append(_make(name, {}))
    return backends


def distributions(backends: Sequence[Backend]) -> list[str]:
    """Return the packages whose versions matter for indexes of these backends."""
    return [backend.distribution for backend in backends if backend.distribution is not None]


def _make(name: str, options: dict[str, Any]) -> Backend:
    module, of = BACKENDS[name]
    try:
        return cast("Backend", getattr(importlib.import_module(module), of)(**options))
    except ModuleNotFoundError as error:
        raise BackendMissingError(name, str(error.name)) from error
