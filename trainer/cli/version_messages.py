"""What a service tells of versions, as the values that a volume's own commands print."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC

from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.publication.manifest import Scalar
from trainer.versions.diff import IdChanges, Overlap, ValueChange, VersionDiff
from trainer.versions.rows import VersionRow, time_text

# What releases before this one sent for a truth value.
_OLD_WORDS = {"True": True, "False": False}


def row_of(message: pb.Version) -> VersionRow:
    """The row of a version."""
    if message.problem:
        return VersionRow(name=message.name, labels=[*message.labels], problem=message.problem)
    return VersionRow(
        name=message.name,
        labels=[*message.labels],
        created_at=time_text(message.created_at.ToDatetime(tzinfo=UTC)),
        items=message.items,
        users=message.users,
        metrics=dict(sorted(message.metrics.items())),
        recall_at_10=dict(sorted(message.recall_at_10.items())),
    )


def diff_of(message: pb.DiffVersionsResponse, before: str, after: str) -> VersionDiff:
    """The comparison of two versions."""
    overlap = message.overlap
    return VersionDiff(
        before=before,
        after=after,
        overlap=Overlap(
            users=overlap.users, mean=overlap.mean, median=overlap.median, min=int(overlap.min)
        )
        if message.HasField("overlap")
        else None,
        items=_ids(message.items),
        users=_ids(message.users),
        metrics=[
            ValueChange(
                own.name,
                own.before if own.HasField("before") else None,
                own.after if own.HasField("after") else None,
            )
            for own in message.metrics
        ],
        hyperparameters=_settings(message.hyperparameters),
        indexes=_settings(message.indexes),
        attributes=_settings(message.attributes),
    )


def _ids(message: pb.IdChanges) -> IdChanges:
    return IdChanges(
        before=message.before,
        after=message.after,
        new=message.added,
        lost=message.lost,
        new_ids=[*message.added_ids],
        lost_ids=[*message.lost_ids],
    )


def _settings(messages: Iterable[pb.SettingChange]) -> list[ValueChange]:
    return [
        ValueChange(
            own.name,
            _value(own.before) if own.HasField("before") else None,
            _value(own.after) if own.HasField("after") else None,
        )
        for own in messages
    ]


def _value(text: str) -> Scalar:
    """A setting, which is sent as text."""
    if text in _OLD_WORDS:
        return _OLD_WORDS[text]
    try:
        value = json.loads(text)
    except ValueError:
        return text
    # A text such as "[1]" means nothing but itself.
    return value if isinstance(value, bool | int | float) else text
