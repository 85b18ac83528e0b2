"""Write the command that trains on files as they are."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from lightfm_retriever.hosting.options import Declared, declared
from trainer.data.files import layout
from trainer.data.files.file_form import FileForm, FileKind

PROGRAM = "lightfm-trainer"
UNKNOWN = "INTERACTIONS"
"""Stands for a file of interactions that isn't known."""


def arguments_of(paths: Mapping[FileKind, Path], form: FileForm) -> list[str]:
    """Return the program, the command and its flags, without defaults."""
    made = [PROGRAM, "train"]
    for kind in ("interactions", "items", "users"):
        if kind in paths or kind == "interactions":
            made += [f"--{kind}", str(paths.get(kind, UNKNOWN))]
    for one in declared(FileForm).values():
        if (text := _text(one, getattr(form, one.name))) is not None:
            made += [one.flag, text] if text else [one.flag]
    return [*made, "--volume", "volume"]


def shown(arguments: list[str]) -> str:
    """Quote a command for a shell."""
    return shlex.join(arguments)


def _text(one: Declared, value: Any) -> str | None:
    """Return the text after a flag, "" for a switch, and None for a default."""
    if one.default is not MISSING and value == one.default:
        return None
    if isinstance(value, bool):
        return ""
    if isinstance(value, dict):
        return layout.written([f"{name}={column}" for name, column in value.items()])
    if isinstance(value, list):
        return layout.written(value)
    return layout.shown_separator(value) if one.name.endswith("separator") else str(value)
