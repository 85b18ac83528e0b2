"""Commands that ask a trainer's service: every RPC has one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.terminal import print_json
from trainer.cli import output, removal_command, service_output
from trainer.cli.service_progress import follow
from trainer.cli.spec_arguments import LABEL_NOT_MOVED, training_spec
from trainer.cli.version_messages import diff_of, row_of
from trainer.client import TrainerClient
from trainer.data.files import tables
from trainer.data.interactions import Interactions, read_interactions
from trainer.errors import InputError, OptionError
from trainer.progress import Bars, Silent
from trainer.service.event_messages import removal_request, removed_of
from trainer.service.messages import spec_message

_BATCH = 1000
_FAILED = (
    pb.TRAINING_RUN_STATE_FAILED,
    pb.TRAINING_RUN_STATE_CANCELLED,
)


def run(options: argparse.Namespace) -> int:
    """Ask, print, and return the exit status; raises CallError and HostingError."""
    security = client_flags.client_security(options)
    with TrainerClient(options.target, timeout_seconds=options.timeout, security=security) as client:
        return _COMMANDS[options.command](client, options)


def _train(client: TrainerClient, options: argparse.Namespace) -> int:
    spec = training_spec(options)
    if spec.spark is not None:
        raise OptionError(
            "--engine", options.engine, "used without --target, or by the service's own retraining"
        )
    request = pb.TrainRequest(request_id=options.request_id, spec=spec_message(spec, with_secrets=True))
    queued = client.call("Train", request).training_run
    if options.detach:
        _show_run(queued, options)
        return 0
    if not options.json:
        print(f"training run {queued.id}", file=sys.stderr)
    return _follow(client, queued.id, options)


def _watch(client: TrainerClient, options: argparse.Namespace) -> int:
    return _follow(client, options.run_id, options)


def _follow(client: TrainerClient, run_id: str, options: argparse.Namespace) -> int:
    ended = follow(client.watch(run_id), Silent() if options.json else Bars())
    _show_run(ended, options, with_error=ended.state not in _FAILED)
    if ended.state in _FAILED:
        print(f"error: {service_output.end_of(ended)}", file=sys.stderr)
        return 1
    done = not ended.spec.label or all(gate.passed for gate in ended.gates)
    return 0 if done else LABEL_NOT_MOVED


def _runs(client: TrainerClient, options: argparse.Namespace) -> int:
    state = f"TRAINING_RUN_STATE_{options.state or 'UNSPECIFIED'}"
    response = client.call(
        "ListTrainingRuns",
        pb.ListTrainingRunsRequest(page_size=options.limit, page_token=options.page_token, state=state),
    )
    if options.json:
        print_json(service_output.content(response))
    else:
        service_output.runs(response.training_runs, next_page=response.next_page_token)
    return 0


def _run(client: TrainerClient, options: argparse.Namespace) -> int:
    request = pb.GetTrainingRunRequest(training_run_id=options.run_id)
    _show_run(client.call("GetTrainingRun", request).training_run, options)
    return 0


def _cancel(client: TrainerClient, options: argparse.Namespace) -> int:
    request = pb.CancelTrainingRunRequest(training_run_id=options.run_id)
    _show_run(client.call("CancelTrainingRun", request).training_run, options)
    return 0


def _append(client: TrainerClient, options: argparse.Namespace) -> int:
    response = client.call("AppendInteractions", _events(options.file, options.id_prefix))
    if options.json:
        print_json(service_output.content(response))
    else:
        print(f"{response.accepted} events are on disk, {response.duplicates} were already")
    return 0


def _events(path: Path, id_prefix: str) -> Iterator[pb.AppendInteractionsRequest]:
    """The rows of a file; without a column event_id the row's number is one. Raises InputError."""
    table = tables.read_table(path, required=["user_id", "item_id"], optional=["event_id"])
    interactions = read_interactions(path)
    for warning in interactions.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    ids: list[str] | None = None
    if "event_id" in table.column_names:
        ids = tables.texts(path, table, "event_id")
    elif not id_prefix:
        raise InputError(path, "there is no column event_id: add one, or give --id-prefix")
    # All is read by now: gRPC has its own words for what the iterator raises.
    return _batches(interactions, ids, id_prefix)


def _batches(
    interactions: Interactions, ids: list[str] | None, id_prefix: str
) -> Iterator[pb.AppendInteractionsRequest]:
    batch: list[pb.InteractionEvent] = []
    for row in range(len(interactions)):
        event = pb.InteractionEvent(
            event_id=ids[row] if ids is not None else f"{id_prefix}{row + 1}",
            user_id=interactions.user_ids[interactions.users[row]],
            item_id=interactions.item_ids[interactions.items[row]],
            weight=float(interactions.weights[row]),
        )
        if interactions.events is not None:
            event.event = interactions.event_types[interactions.events[row]]
        if interactions.timestamps is not None:
            event.happened_at.FromNanoseconds(int(interactions.timestamps[row] * 1e9))
        batch.append(event)
        if len(batch) == _BATCH:
            yield pb.AppendInteractionsRequest(events=batch)
            batch = []
    yield pb.AppendInteractionsRequest(events=batch)


def _remove_events(client: TrainerClient, options: argparse.Namespace) -> int:
    request = removal_request(removal_command.selection(options), dry_run=options.dry_run)
    removal_command.show(removed_of(client.call("RemoveInteractions", request)), options)
    return 0


def list_versions(client: TrainerClient) -> pb.ListVersionsResponse:
    """Ask for all pages of versions. Raises CallError."""
    response: pb.ListVersionsResponse = client.call("ListVersions", pb.ListVersionsRequest())
    while response.next_page_token:
        request = pb.ListVersionsRequest(page_token=response.next_page_token)
        page = client.call("ListVersions", request)
        response.versions.extend(page.versions)
        response.next_page_token = page.next_page_token
    return response


def _versions(client: TrainerClient, options: argparse.Namespace) -> int:
    response = list_versions(client)
    output.versions([row_of(version) for version in response.versions], as_json=options.json)
    return 0


def _version(client: TrainerClient, options: argparse.Namespace) -> int:
    response = client.call("GetVersion", pb.GetVersionRequest(version=options.version))
    if not response.manifest_json:
        output.broken_version(row_of(response.version), as_json=options.json)
        return 1
    output.version(
        json.loads(response.manifest_json), list(response.version.labels), as_json=options.json
    )
    return 0


def _promote(client: TrainerClient, options: argparse.Namespace) -> int:
    request = pb.SetLabelRequest(label=options.label, version=options.version)
    response = client.call("SetLabel", request)
    output.label_moved(
        options.label, response.previous_version or None, options.version, as_json=options.json
    )
    return 0


def _rollback(client: TrainerClient, options: argparse.Namespace) -> int:
    response = client.call("Rollback", pb.RollbackRequest(label=options.label))
    output.label_moved(
        options.label, response.previous_version or None, response.version, as_json=options.json
    )
    return 0


def _delete(client: TrainerClient, options: argparse.Namespace) -> int:
    client.call("DeleteVersion", pb.DeleteVersionRequest(version=options.version))
    output.deleted(options.version, as_json=options.json)
    return 0


def _diff(client: TrainerClient, options: argparse.Namespace) -> int:
    request = pb.DiffVersionsRequest(
        base_version=options.base, version=options.version, users=options.users
    )
    response = client.call("DiffVersions", request)
    output.diff(diff_of(response, options.base, options.version), as_json=options.json)
    return 0


def _health(client: TrainerClient, options: argparse.Namespace) -> int:
    healthy = client.is_serving()
    if options.json:
        print_json({"healthy": healthy}, indent=None)
    else:
        print("healthy: serving" if healthy else "unhealthy: not serving")
    return 0 if healthy else 1


def _show_run(shown: pb.TrainingRun, options: argparse.Namespace, *, with_error: bool = True) -> None:
    if options.json:
        print_json(service_output.content(shown))
    else:
        service_output.run(shown, with_error=with_error)


_COMMANDS = {
    "train": _train,
    "runs": _runs,
    "run": _run,
    "watch": _watch,
    "cancel": _cancel,
    "append": _append,
    removal_command.NAME: _remove_events,
    "versions": _versions,
    "version": _version,
    "promote": _promote,
    "rollback": _rollback,
    "delete": _delete,
    "diff": _diff,
    "health": _health,
}
