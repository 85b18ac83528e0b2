"""A listed version, the same whether a volume or a service was asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from trainer.versions.catalogue import PublishedVersion


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """One version.

    Attributes:
        name: the version.
        labels: that name it.
        problem: why its manifest can't be read, so that nothing below is known; empty when it can.
        created_at: when it was published, RFC 3339 in UTC.
        items, users: how many it has.
        metrics: offline metrics by name.
        recall_at_10: by the index's name.

    Both are in the order of their names: a message keeps no other.
    """

    name: str
    labels: list[str]
    problem: str = ""
    created_at: str | None = None
    items: int | None = None
    users: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    recall_at_10: dict[str, float] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """As JSON has it."""
        content = asdict(self)
        return {"version": content.pop("name"), **content}


def row_of(published: PublishedVersion) -> VersionRow:
    """The row of a version of a volume."""
    manifest = published.manifest
    if manifest is None:
        return VersionRow(name=published.name, labels=published.labels, problem=published.problem)
    return VersionRow(
        name=published.name,
        labels=published.labels,
        created_at=time_text(published.created_at),
        items=manifest.items,
        users=manifest.users,
        metrics=dict(sorted(manifest.metrics.items())),
        recall_at_10={name: index.recall_at_10 for name, index in sorted(manifest.indexes.items())},
    )


def time_text(time: datetime) -> str:
    """Say a time in UTC as RFC 3339 does."""
    return time.isoformat().replace("+00:00", "Z")
