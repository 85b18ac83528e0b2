"""Commands that ask a trainer's service: each RPC has one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.hosting import terminal
from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.errors import ServiceRefusedError
from lightfm_retriever.hosting.terminal import print_json
from lightfm_retriever.publication.errors import LabelError
from trainer.cli import versions_commands
from trainer.cli.printed import output, printing, service_output
from trainer.cli.spec_arguments import LABEL_NOT_MOVED, training_spec
from trainer.client import TrainerCallError, TrainerClient
from trainer.data.files import tables
from trainer.data.interactions import Interactions, read_interactions
from trainer.errors import InputError, OptionError
from trainer.event_log.log import Event, Removed, Selection
from trainer.progress import Advance, Bars, Reporter, Silent
from trainer.service.messages import event_message, removal_request, removed_of, spec_message
from trainer.service.version_messages import diff_of, row_of
from trainer.tracking import export
from trainer.versions.catalogue import VersionRow
from trainer.versions.diff import VersionDiff

_BATCH = 1000
_PAGE = 100
_FAILED = (pb.TRAINING_RUN_STATE_FAILED, pb.TRAINING_RUN_STATE_CANCELLED)


def run(options: argparse.Namespace) -> int:
    """Ask, print, and return the exit status; raises CallError and HostingError."""
    security = client_flags.client_security(options)
    try:
        with TrainerClient(
            options.target, timeout_seconds=options.timeout, security=security
        ) as client:
            if options.command in versions_commands.COMMANDS:
                return versions_commands.run(OfService(client), options)
            return COMMANDS[options.command](client, options)
    except TrainerCallError as error:
        if error.code is not grpc.StatusCode.INVALID_ARGUMENT:
            raise
        # The command shows the token under another name.
        text = error.details.replace(
            "page_token: isn't a next_page_token of a response",
            "page_token: is no token of this service: give the token after 'more: --page-token'",
        )
        details = client_flags.refusal(text, {**options.names, **_names(options.names)})
        field = error.details.partition(": ")[0]
        raise ServiceRefusedError(f"{error.target}: {details}", field) from error


def _names(flags: dict[str, str]) -> dict[str, str]:
    """Return flags by the fields of requests with other names."""
    fields = {"training_run_id": "run_id", "base_version": "base", "page_size": "limit"}
    return {field: flags[dest] for field, dest in fields.items() if dest in flags}


def _train(client: TrainerClient, options: argparse.Namespace) -> int:
    spec = training_spec(options)
    if spec.spark is not None:
        raise OptionError(
            "--engine", options.engine, "used without --target, or by the service's own retraining"
        )
    if spec.data.form.skipped_file is not None:
        raise OptionError(
            "--skipped-file",
            spec.data.form.skipped_file,
            "used without --target: a service writes the rows into the folder logs of its --state",
        )
    request = pb.TrainRequest(request_id=options.request_id, spec=spec_message(spec, with_secrets=True))
    queued = client.call("Train", request).training_run
    if options.detach:
        _show_run(queued, options)
        return 0
    if not options.json:
        print(f"training run {queued.id}", file=sys.stderr)
    return _follow(client, queued.id, options)


def _follow(client: TrainerClient, run_id: str, options: argparse.Namespace) -> int:
    ended = follow(client.watch(run_id), Silent() if options.json else Bars())
    _show_run(ended, options, with_end=ended.state not in _FAILED)
    if ended.state in _FAILED:
        text = service_output.end_of(ended)
        return terminal.tell_error(text, terminal.FAILED, as_json=options.json)
    done = not ended.spec.label or all(gate.passed for gate in ended.gates)
    return 0 if done else LABEL_NOT_MOVED


def follow(states: Iterator[pb.TrainingRun], reporter: Reporter) -> pb.TrainingRun:
    """Report the steps of a run as they come; returns its last state."""
    last = pb.TrainingRun()
    with ExitStack() as step:
        stage, done, total = "", 0, 0
        advance: Advance | None = None
        for last in states:
            if last.stage != stage:
                if advance is not None and total > done:
                    # The last progress of a short stage isn't always seen.
                    advance(total - done)
                step.close()
                stage, done, advance = last.stage, 0, None
            if last.total and advance is None:
                total = last.total
                advance = step.enter_context(reporter.step(stage, last.total))
            if advance is not None and last.done > done:
                advance(last.done - done)
                done = last.done
    return last


def _runs(client: TrainerClient, options: argparse.Namespace) -> int:
    state = f"TRAINING_RUN_STATE_{options.state or 'UNSPECIFIED'}"
    if "export" in options:
        export.check_path(options.export)
        rows = [service_output.row(own) for own in _all_runs(client, state, options.page_token)]
        export.write(rows, options.export)
        output.exported(len(rows), "training run", options)
        return 0
    response = client.call(
        "ListTrainingRuns",
        pb.ListTrainingRunsRequest(page_size=options.limit, page_token=options.page_token, state=state),
    )
    if options.json:
        print_json(service_output.content(response))
    else:
        service_output.runs(response.training_runs, next_page=response.next_page_token)
    return 0


def _all_runs(client: TrainerClient, state: str, token: str) -> Iterator[pb.TrainingRun]:
    """Ask for all pages of training runs, the latest first. Raises CallError."""
    while True:
        request = pb.ListTrainingRunsRequest(page_size=_PAGE, page_token=token, state=state)
        response = client.call("ListTrainingRuns", request)
        yield from response.training_runs
        token = response.next_page_token
        if not token:
            return


def _run(client: TrainerClient, options: argparse.Namespace) -> int:
    method = "CancelTrainingRun" if options.command == "cancel" else "GetTrainingRun"
    request = getattr(pb, f"{method}Request")(training_run_id=options.run_id)
    _show_run(client.call(method, request).training_run, options)
    return 0


def _append(client: TrainerClient, options: argparse.Namespace) -> int:
    interactions = read_interactions(options.file)
    if not options.json:
        printing.print_warnings(interactions.warnings)
    events = _events(options.file, interactions, options.id_prefix)
    response = client.call("AppendInteractions", events)
    text = f"{response.accepted} events are on disk, {response.duplicates} were already"
    content = service_output.content(response)
    if interactions.warnings:
        content["warnings"] = [*interactions.warnings]
    output.show(content, text, as_json=options.json)
    return 0


def _events(
    path: Path, interactions: Interactions, id_prefix: str
) -> Iterator[pb.AppendInteractionsRequest]:
    """Yield the rows of a file. Without event_id, the row's number makes the id. Raises InputError."""
    table = tables.read_table(path, required=["user_id", "item_id"], optional=["event_id"])
    ids: list[str] | None = None
    if "event_id" in table.column_names:
        ids = tables.texts(path, table, "event_id")
    elif not id_prefix:
        raise InputError(path, "there is no column event_id: add one, or give --id-prefix")
    # The file has been read by now, because gRPC would hide an error of the iterator.
    return _batches(interactions, ids, id_prefix)


def _batches(
    interactions: Interactions, ids: list[str] | None, id_prefix: str
) -> Iterator[pb.AppendInteractionsRequest]:
    batch: list[pb.InteractionEvent] = []
    for row in range(len(interactions)):
        kinds, times = interactions.events, interactions.timestamps
        event = Event(
            event_id=ids[row] if ids is not None else f"{id_prefix}{row + 1}",
            user_id=interactions.user_ids[interactions.users[row]],
            item_id=interactions.item_ids[interactions.items[row]],
            event="" if kinds is None else interactions.event_types[kinds[row]],
            weight=float(interactions.weights[row]),
            timestamp=None if times is None else float(times[row]),
        )
        batch.append(event_message(event))
        if len(batch) == _BATCH:
            yield pb.AppendInteractionsRequest(events=batch)
            batch = []
    yield pb.AppendInteractionsRequest(events=batch)


class OfService:
    """A trainer's service, with the methods of OfVolume, which raise TrainerCallError here."""

    def __init__(self, client: TrainerClient) -> None:
        self._client = client

    def read_label(self, label: str) -> str:
        for row in self.rows():
            if label in row.labels:
                return row.name
        raise LabelError(label, "no version has it: 'versions' lists the versions that exist")

    def rows(self) -> list[VersionRow]:
        return [row_of(version) for version in list_versions(self._client).versions]

    def version(self, name: str) -> tuple[VersionRow, dict[str, Any] | None]:
        response = self._client.call("GetVersion", pb.GetVersionRequest(version=name))
        content = json.loads(response.manifest_json) if response.manifest_json else None
        return row_of(response.version), content

    def promote(self, version: str, *, label: str) -> str | None:
        request = pb.SetLabelRequest(label=label, version=version)
        return self._client.call("SetLabel", request).previous_version or None

    def rollback(self, *, label: str) -> tuple[str | None, str]:
        response = self._client.call("Rollback", pb.RollbackRequest(label=label))
        return response.previous_version or None, response.version

    def delete(self, version: str) -> None:
        self._client.call("DeleteVersion", pb.DeleteVersionRequest(version=version))

    def diff(self, before: str, after: str, *, users: int) -> VersionDiff:
        request = pb.DiffVersionsRequest(base_version=before, version=after, users=users)
        return diff_of(self._client.call("DiffVersions", request), before, after)

    def remove_events(self, selection: Selection, *, dry_run: bool) -> Removed:
        request = removal_request(selection, dry_run=dry_run)
        return removed_of(self._client.call("RemoveInteractions", request))


def list_versions(client: TrainerClient) -> pb.ListVersionsResponse:
    """Ask for all pages of versions. Raises CallError."""
    response: pb.ListVersionsResponse = client.call("ListVersions", pb.ListVersionsRequest())
    while response.next_page_token:
        request = pb.ListVersionsRequest(page_token=response.next_page_token)
        page = client.call("ListVersions", request)
        response.versions.extend(page.versions)
        response.next_page_token = page.next_page_token
    return response


def _health(client: TrainerClient, options: argparse.Namespace) -> int:
    healthy = client.is_serving()
    if options.json:
        print_json({"healthy": healthy}, indent=None)
    else:
        print("healthy: serving" if healthy else "unhealthy: not serving")
    return 0 if healthy else 1


def _show_run(shown: pb.TrainingRun, options: argparse.Namespace, *, with_end: bool = True) -> None:
    if options.json:
        print_json(service_output.content(shown))
    else:
        service_output.run(shown, with_end=with_end)


COMMANDS = {
    "train": _train,
    "runs": _runs,
    "run": _run,
    "watch": lambda client, options: _follow(client, options.run_id, options),
    "cancel": _run,
    "append": _append,
    "health": _health,
}
