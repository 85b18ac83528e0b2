"""Nearest-neighbour indexes: building one, and asking it as the retriever will.

A backend is one file here and one in the retriever, and a line in each registry.
"""

from __future__ import annotations

from collections.abc import Callable

from trainer.errors import OptionError
from trainer.index.annoy import AnnoyBackend
from trainer.index.exact import ExactBackend
from trainer.index.protocol import Backend

BACKENDS: dict[str, Callable[..., Backend]] = {"annoy": AnnoyBackend, "exact": ExactBackend}


def make_backend(name: str, *, trees: int) -> Backend:
    """The backend of that name with its build options; OptionError when there is none."""
    if name not in BACKENDS:
        raise OptionError("--backend", name, f"one of {', '.join(BACKENDS)}")
    return AnnoyBackend(trees=trees) if name == "annoy" else BACKENDS[name]()
