"""Imported by the Python clients before gRPC is: names the extra where packages are missing."""

from __future__ import annotations

from lightfm_retriever.hosting import extras

if (_missing := extras.first_missing(extras.ASKED_WITH)) is not None:
    raise ModuleNotFoundError(
        extras.problem(ModuleNotFoundError(name=_missing), "retriever", "the client"), name=_missing
    )
