"""Check for missing packages before gRPC is imported, and name the extra to install."""

from __future__ import annotations

from lightfm_retriever.hosting import extras

if (_missing := extras.first_missing(extras.ASKED_WITH)) is not None:
    raise ModuleNotFoundError(
        extras.problem(ModuleNotFoundError(name=_missing), "retriever", "the client"), name=_missing
    )
