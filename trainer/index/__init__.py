"""Nearest-neighbour indexes: building them, measuring them, and choosing the settings.

A backend is one file here and one in the retriever, and a line in each registry; see
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

# Name: module and class, imported when asked for since all but Annoy are optional extras.
BACKENDS = {
    "annoy": ("trainer.index.annoy", "AnnoyBackend"),
    "exact": ("trainer.index.exact", "ExactBackend"),
    "faiss": ("trainer.index.faiss", "FaissBackend"),
    "nmslib": ("trainer.index.nmslib", "NmslibBackend"),
}
NAMES = tuple(BACKENDS)
AUTO = "auto"
# Of NMSLIB every worker would hold a copy, so it isn't chosen unasked.
_AUTO = ("exact", "annoy", "faiss")


def make_backends(names: str, *, trees: int | None = None) -> list[Backend]:
    """Make the backends to choose among, of names with commas between.

    "auto" stands for those that are installed and whose indexes processes share. `trees` are those of
    an Annoy index; None to choose by recall.

    Raises:
        OptionError: there is no such backend, or none has trees.
        BackendMissingError: a backend that was named isn't installed.
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
    """Those that may be tried where none of `backends` finds enough, which takes as long as they do.

    Installed ones whose indexes processes share, as in "auto", but for those that were tried already.
    Exact search is none of them: it is always at hand.
    """
    tried = {"exact", *(backend.name for backend in backends)}
    return installed(name for name in _AUTO if name not in tried)


def installed(names: Iterable[str] = NAMES) -> list[Backend]:
    """Those of some backends that are installed, in that order: all of them, by their names."""
    backends = []
    for name in names:
        with contextlib.suppress(BackendMissingError):
            backends.append(_make(name, {}))
    return backends


def distributions(backends: Sequence[Backend]) -> list[str]:
    """The packages whose versions matter to indexes of these backends."""
    return [backend.distribution for backend in backends if backend.distribution is not None]


def _make(name: str, options: dict[str, Any]) -> Backend:
    module, of = BACKENDS[name]
    try:
        return cast("Backend", getattr(importlib.import_module(module), of)(**options))
    except ModuleNotFoundError as error:
        raise BackendMissingError(name, str(error.name)) from error
