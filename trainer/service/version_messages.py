"""Converts versions, and the differences between two versions, to messages and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.publication.manifest import Scalar
from trainer.service.messages import fields_of, sendable, timestamp, value_of, values_of
from trainer.versions.catalogue import PublishedVersion, VersionRow, time_text
from trainer.versions.diff import IdChanges, Overlap, ValueChange, VersionDiff

# Earlier releases sent truth values in this form.
_OLD_WORDS = {"True": True, "False": False}
_SETTINGS = ("hyperparameters", "indexes", "attributes", "model")


def version_message(version: PublishedVersion) -> pb.Version:
    """Convert a version to a message."""
    facts = version.manifest
    if facts is None:
        return pb.Version(name=version.name, labels=version.labels, problem=sendable(version.problem))
    return pb.Version(
        name=version.name,
        created_at=timestamp(datetime.fromisoformat(facts.created_at).timestamp()),
        labels=version.labels,
        items=facts.items,
        users=facts.users,
        metrics=facts.metrics,
        recall_at_10={name: index.recall_at_10 for name, index in facts.indexes.items()},
        model_family=facts.family,
        model_kind=facts.kind,
        errors={} if facts.evaluation is None else facts.evaluation.errors,
        test="" if facts.evaluation is None else facts.evaluation.test,
    )


def row_of(message: pb.Version) -> VersionRow:
    """Convert a message to the version's row in a list."""
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
        model_family=message.model_family,
        # A trainer of an older release publishes vectors only, and doesn't say so.
        model_kind=message.model_kind or "vectors",
        errors=dict(sorted(message.errors.items())),
        test=message.test,
    )


def diff_message(found: VersionDiff) -> pb.DiffVersionsResponse:
    """Convert the differences between two versions to a response."""
    own = fields_of(found, pb.DiffVersionsResponse.DESCRIPTOR)
    for kind in ("items", "users"):
        ids: IdChanges = getattr(found, kind)
        own[kind] |= {"added": ids.new, "added_ids": ids.new_ids}
    for kind in _SETTINGS:
        for change in own[kind]:
            change |= {end: _text(change[end]) for end in ("before", "after")}
    return pb.DiffVersionsResponse(**own)


def diff_of(message: pb.DiffVersionsResponse, before: str, after: str) -> VersionDiff:
    """Convert a response to the differences between two versions."""
    overlap = None
    if message.HasField("overlap"):
        values = values_of(Overlap, message.overlap)
        overlap = Overlap(**{**values, "min": int(values["min"])})
    settings: dict[str, Any] = {kind: _settings(getattr(message, kind)) for kind in _SETTINGS}
    return VersionDiff(
        before=before,
        after=after,
        overlap=overlap,
        items=_ids(message.items),
        users=_ids(message.users),
        metrics=[
            ValueChange(own.name, value_of(own, "before"), value_of(own, "after"))
            for own in message.metrics
        ],
        metrics_problem=message.metrics_problem,
        **settings,
    )


def _ids(message: pb.IdChanges) -> IdChanges:
    values = values_of(IdChanges, message)
    return IdChanges(**values, new=message.added, new_ids=[*message.added_ids])


def _settings(messages: Iterable[pb.SettingChange]) -> list[ValueChange]:
    return [
        ValueChange(own.name, *(_value(value_of(own, end)) for end in ("before", "after")))
        for own in messages
    ]


def _text(value: object) -> str | None:
    """Return a value as JSON, which any caller can read; a text stays as it is."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _value(text: str | None) -> Scalar:
    """Return the value of a text: the inverse of `_text`."""
    if text is None or text in _OLD_WORDS:
        return None if text is None else _OLD_WORDS[text]
    try:
        value = json.loads(text)
    except ValueError:
        return text
    # A setting is never a list or an object, so "[1]" is a text.
    return value if isinstance(value, bool | int | float) else text
