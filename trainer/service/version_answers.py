"""Versions, and what differs between two, as messages."""

from __future__ import annotations

import json
from datetime import datetime

from recsys.trainer.v1 import trainer_service_pb2 as pb

from trainer.service.messages import timestamp
from trainer.versions import catalogue, diff


def diff_message(found: diff.VersionDiff) -> pb.DiffVersionsResponse:
    def text(value: object) -> str | None:
        # As JSON writes it, which any caller can read; a text stays as it is.
        return value if value is None or isinstance(value, str) else json.dumps(value)

    def settings(changes: list[diff.ValueChange]) -> list[pb.SettingChange]:
        return [
            pb.SettingChange(name=own.name, before=text(own.before), after=text(own.after))
            for own in changes
        ]

    def ids(changes: diff.IdChanges) -> pb.IdChanges:
        return pb.IdChanges(
            before=changes.before,
            after=changes.after,
            added=changes.new,
            lost=changes.lost,
            added_ids=changes.new_ids,
            lost_ids=changes.lost_ids,
        )

    overlap = found.overlap
    return pb.DiffVersionsResponse(
        overlap=None
        if overlap is None
        else pb.Overlap(users=overlap.users, mean=overlap.mean, median=overlap.median, min=overlap.min),
        items=ids(found.items),
        users=ids(found.users),
        metrics=[
            pb.MetricChange(name=own.name, before=own.before, after=own.after)  # type: ignore[arg-type]
            for own in found.metrics
        ],
        hyperparameters=settings(found.hyperparameters),
        indexes=settings(found.indexes),
        attributes=settings(found.attributes),
    )


def version_message(version: catalogue.PublishedVersion) -> pb.Version:
    facts = version.manifest
    if facts is None:
        # A path in it may be no Unicode.
        problem = version.problem.encode("utf-8", "replace").decode()
        return pb.Version(name=version.name, labels=version.labels, problem=problem)
    return pb.Version(
        name=version.name,
        created_at=timestamp(datetime.fromisoformat(facts.created_at).timestamp()),
        labels=version.labels,
        items=facts.items,
        users=facts.users,
        metrics=facts.metrics,
        recall_at_10={name: index.recall_at_10 for name, index in facts.indexes.items()},
    )
