"""What of a caller's data a run may read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trainer.data.data_roots import DataRoots
from trainer.spec import DataSpec


def allowed(data: DataSpec, roots: DataRoots) -> DataSpec:
    """The same data, its paths resolved; raises OptionError for one outside the roots."""
    changes: dict[str, Any] = {
        name: str(roots.resolve(path, option=f"--{name}"))
        for name in ("interactions", "items", "users")
        if (path := getattr(data, name)) is not None
    }
    if data.database_url is not None:
        changes["database_url"] = roots.resolve_url(data.database_url)
    return replace(data, **changes)
