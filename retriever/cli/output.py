"""Prints the answers of the command-line client, for people."""

from __future__ import annotations

import time
from typing import Any, Literal

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting import tables
from retriever.answer_words import ShortReason
from retriever.cli.fleet import Fleet
from retriever.client import Answer, Explanation, ScoredItem

# A narrower terminal breaks the lines, since a shortened address would be useless.
_FLEET_COLUMNS = 160

_SHORT_REASONS: dict[str, str] = {
    ShortReason.CATALOGUE: "the catalogue has no more items",
    ShortReason.EXCLUSIONS: "all others are excluded",
    ShortReason.FILTER: "no more items match the filter",
    ShortReason.PAGE_LIMIT: "pages end here",
    ShortReason.NO_EVIDENCE: "no seen item speaks for any other item",
}


def print_answer(answer: Answer, *, attributes: list[str], explain: bool) -> None:
    """Print a table of the results, and a line about the search."""
    table = tables.table("score", "item_id", "title", *attributes, *(["because of"] if explain else []))
    for item in answer.items:
        table.add_row(
            f"{item.score:.4f}",
            item.item_id,
            item.title,
            *(_value(item, name) for name in attributes),
            *([_reasons(item.explanation)] if explain else []),
        )
    tables.show(table)
    looked_at = f"{answer.candidates:,} candidates, {answer.filtered:,} filtered"
    print(f"version {answer.version}, {answer.source} by {answer.method}: {looked_at}")
    if answer.short_reason:
        why = _SHORT_REASONS.get(answer.short_reason, answer.short_reason)
        print(f"fewer than asked for: {why}")
    if answer.unknown_ids:
        print(f"unknown: {', '.join(answer.unknown_ids)}")
    for value in answer.unknown_filter_values:
        meant = f"; did you mean {' or '.join(map(repr, value.near))}?" if value.near else ""
        print(f"no item has {value.value!r} in {value.attribute}{meant}")
    for empty in answer.empty_filter_ranges:
        run = ", since no item has a number there"
        if empty.least is not None and empty.greatest is not None:
            run = f", whose numbers run from {empty.least:.10g} to {empty.greatest:.10g}"
        print(f"no item is in the range of {empty.attribute}{run}")
    if answer.next_page_token:
        print(f"next page: --page-token {answer.next_page_token}")


def print_status(status: pb.GetStatusResponse) -> None:
    """Print the status of each worker."""
    print(f"version {status.version or 'none'}")
    if status.served_problem:
        print(f"        {status.served_problem}")
    # Older services don't send it.
    if status.software_version:
        print(f"release {status.software_version} of the retriever")
    if status.label:
        print(f"label   {status.label!r} names {status.label_target or 'nothing that can be read'}")
    else:
        print(f"pinned  to {status.label_target}")
    if status.label_problem:
        print(f"        {status.label_problem}")
    if status.not_serving_reason and status.not_serving_reason != status.label_problem:
        print(f"waits   {status.not_serving_reason}")
    if status.HasField("last_reload"):
        last = status.last_reload
        outcome = "succeeded" if last.succeeded else f"failed: {last.reason}"
        print(f"reload  of {last.version} took {last.duration_seconds:.3f} s and {outcome}")
    for failed in status.failed_versions:
        print(f"failed  {failed.version}{' for now' * failed.retried}: {failed.reason}")
    for index in status.indexes:
        # The worst first, since it is what the target is compared with.
        recalls = sorted(index.recall_at_10.items(), key=lambda own: (own[1], own[0]))
        told = ", ".join(f"{name} {recall:.4f}" for name, recall in recalls)
        target = f" (target {index.target_recall:g})" if index.target_recall else ""
        print(f"index   {index.name!r}, {index.backend}: recall@10{target} {told}")
    table = tables.table(
        "worker", "pid", "state", "version", "serves it for", "up for", "restarts",
        "calls", "refused", "in flight", "PSS",
    )  # fmt: skip
    for worker in status.workers:
        state = pb.WorkerState.Name(worker.state).removeprefix("WORKER_STATE_").lower()
        table.add_row(
            str(worker.index),
            str(worker.pid),
            state,
            worker.version or "none",
            _age(worker, "serving_since"),
            _age(worker, "started_at"),
            str(worker.restarts),
            f"{worker.calls:,}",
            f"{worker.refused_calls:,}",
            str(worker.calls_in_flight),
            f"{worker.pss_bytes / 1e6:.1f} MB",
        )
    tables.show(table)


def print_fleet(fleet: Fleet) -> None:
    """Print whether all serve the same version, and a line for each retriever."""
    print(fleet.summary)
    table = tables.table("address", "state", "version", "workers", "label", "names", "last reload")
    table.add_column("problem", overflow="fold", min_width=30)
    for member in fleet.members:
        status = member.status
        if status is None:
            facts = ["-"] * 5
        else:
            running = sum(member.versions.values())
            facts = [
                " and ".join(sorted(member.versions)) or "none",
                f"{running} of {len(status.workers)}",
                status.label or "pinned",
                status.label_target or "nothing that can be read",
                _last_reload(status),
            ]
        table.add_row(member.address, member.state, *facts, "\n".join(member.problems))
    tables.show(table, at_least=_FLEET_COLUMNS)


def fleet_content(fleet: Fleet) -> dict[str, Any]:
    """Return the status of a fleet, and of each retriever, as JSON has it."""
    return {
        "same_version": fleet.version is not None,
        "version": fleet.version,
        "retrievers": [
            {
                "address": member.address,
                "state": member.state,
                "versions": member.versions,
                "problems": member.problems,
                "status": None if member.status is None else content(member.status),
            }
            for member in fleet.members
        ],
    }


def content(message: Message) -> dict[str, Any]:
    """Convert a message to JSON for scripts: every field by its name, null if it is unset.

    Protobuf's own JSON form leaves out fields that are 0, and writes 64-bit numbers as texts.
    """
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def _field(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_one(one, field) for one in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _one(value, field)


def _one(value: Any, field: Any) -> Any:
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    if isinstance(value, Message):
        return content(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return value


def _last_reload(status: pb.GetStatusResponse) -> str:
    if not status.HasField("last_reload"):
        return "-"
    ago = max(0.0, time.time() - status.last_reload.ended_at.seconds)
    return f"{'succeeded' if status.last_reload.succeeded else 'failed'} {ago:.0f} s ago"


def _value(item: ScoredItem, name: str) -> str:
    value = item.attributes.get(name, "")
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1e5 else f"{value:.10g}"
    return value if isinstance(value, str) else ", ".join(value)


def _reasons(explanation: Explanation | None) -> str:
    if explanation is None:
        return ""
    parts = [f"{part.item_id or part.feature} {part.score:+.3f}" for part in explanation.contributions]
    return ", ".join([*parts, f"bias {explanation.bias:+.3f}"])


def _age(worker: pb.WorkerStatus, field: Literal["serving_since", "started_at"]) -> str:
    if not worker.HasField(field):
        return "-"
    return f"{max(0.0, time.time() - getattr(worker, field).seconds):.0f} s"
