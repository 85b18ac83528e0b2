"""Runs the commands; output.py and others print their results."""

from __future__ import annotations

import argparse
import logging
from dataclasses import fields
from datetime import timedelta
from functools import partial
from pathlib import Path

from lightfm_retriever.hosting import addresses
from lightfm_retriever.hosting.observing import logs
from lightfm_retriever.hosting.settings import completion, flags
from lightfm_retriever.hosting.settings.option_flags import made
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import InvalidPublicationError, VolumeError
from lightfm_retriever.publication.volume import Volume
from lightfm_retriever.publication.writer import utc_now
from lightfm_retriever.remote.location import StoreUrl
from lightfm_retriever.remote.volume import open_volume
from trainer.cli import (
    arguments,
    inspect_command,
    spec_arguments,
    study_command,
    versions_commands,
    writable,
)
from trainer.cli.printed import output, printing
from trainer.cli.versions_commands import OfVolume
from trainer.data import movielens
from trainer.durations import parse_duration
from trainer.errors import ExtraMissingError, OptionError
from trainer.index import installed, make_backends
from trainer.index.tuning import TuningOptions
from trainer.pipeline import EVENTS, Places, VectorsSpec, publish_vectors, train_and_publish
from trainer.progress import Bars, Reporter, Silent
from trainer.promotion.checks import Checked, promote_if_passed
from trainer.publishing.own_vectors import OwnVectors
from trainer.publishing.publish import Indexing
from trainer.service.options import ServerOptions
from trainer.spec import TrainingSpec
from trainer.tracking.following import Following
from trainer.tracking.options import TrackingOptions
from trainer.versions.retention import RetentionPolicy

_log = logging.getLogger(__name__)


def run(options: argparse.Namespace) -> int:
    """Run the chosen command; returns the exit status."""
    if hasattr(options, "target"):
        # Only the commands of a service need gRPC.
        from trainer.cli import service_commands

        return service_commands.run(options)
    if options.command in versions_commands.COMMANDS:
        of = OfVolume(lambda: _volume(options), _state(options) / EVENTS)
        return versions_commands.run(of, options)
    return COMMANDS[options.command](options)


def _train(options: argparse.Namespace) -> int:
    if options.detach or options.request_id:
        flag = "--detach" if options.detach else "--request-id"
        raise OptionError(flag, options.request_id or True, "used with --target")
    places = Places(_volume(options), options.data_dir, _state(options) / EVENTS)
    spec = spec_arguments.training_spec(options)
    with _following(spec, options) as run:
        result = train_and_publish(spec, places, reporter=_reporter(options))
        return _end(result, places.volume, options, run)


def _reporter(options: argparse.Namespace) -> Reporter:
    return Silent() if options.json else Bars()


def _following(spec: TrainingSpec | VectorsSpec, options: argparse.Namespace) -> Following:
    # Make the options first: a wrong one is an error before the work, not after it.
    tracking = made(TrackingOptions, vars(options))
    return Following(tracking, options.command, spec, tell=printing.print_warnings)


def _end(published: Checked, volume: Volume, options: argparse.Namespace, run: Following) -> int:
    """Move the label if every gate passed, print and track the result; returns the exit status."""
    label = spec_arguments.label_of(options)
    published = promote_if_passed(volume, published, label=label)
    output.published(published, as_json=options.json)
    run.published(published, label=label, volume=str(volume))
    # Without a label, publishing is all of the work.
    done = published.passed or label is None
    return 0 if done else spec_arguments.LABEL_NOT_MOVED


def _state(options: argparse.Namespace) -> Path:
    """Return the folder of the trainer's own state, which is next to the volume."""
    if hasattr(options, "state"):
        return Path(options.state)
    # `tune` has no volume.
    location = getattr(options, "volume", "volume")
    # A store has no folder next to it.
    volume = Path(location.name if isinstance(location, StoreUrl) else location).absolute()
    return volume.with_name(f"{volume.name}.trainer")


def _volume(options: argparse.Namespace) -> Volume:
    given = getattr(options, "cache_dir", None)
    if given is not None and not isinstance(options.volume, StoreUrl):
        raise OptionError("--cache-dir", str(given), "used with a --volume that is a URL")
    folder = given or _state(options) / "cache"
    return open_volume(options.volume, folder, max_bytes=_cache_bytes(options))


def _cache_bytes(options: argparse.Namespace) -> int | None:
    flags.CACHE_GB.check("--cache-gb", options.cache_gb, OptionError)
    return int(options.cache_gb * 1e9) or None


def _publish(options: argparse.Namespace) -> int:
    given = vars(options)
    names = [field.name for field in fields(OwnVectors)]
    spec = made(
        VectorsSpec,
        given,
        files=OwnVectors(**{name: given[name] for name in names if name in given}),
        indexing=Indexing(
            backends=make_backends(options.backend, trees=given.get("trees")),
            options=made(TuningOptions, given, strict=options.strict_recall),
        ),
        label=spec_arguments.label_of(options),
    )
    volume = _volume(options)
    with _following(spec, options) as run:
        published = publish_vectors(spec, volume, reporter=_reporter(options))
        return _end(published, volume, options, run)


def _report(options: argparse.Namespace) -> int:
    try:
        # The libraries of the report are an optional extra.
        from trainer import report
    except ModuleNotFoundError as error:
        raise ExtraMissingError("report", "report", str(error.name)) from error
    # A folder that can't be written is an error before the comparison, not after it.
    writable.check(options.output)
    volume = _volume(options)
    look_up = partial(versions_commands.read_label, volume)
    version = versions_commands.named(look_up, options.version or layout.DEFAULT_LABEL)
    backends = make_backends(options.backend) if hasattr(options, "backend") else installed()
    with volume.fetched(version) as folder:
        path = report.write_report(
            folder,
            version,
            options.output,
            options=report.ReportOptions(
                backends=backends,
                max_items=options.max_items,
                tuning=made(TuningOptions, vars(options)),
            ),
            reporter=_reporter(options),
        )
    text = f"wrote {path}, with its pictures and figures next to it"
    output.show({"page": str(path), "directory": str(path.parent)}, text, as_json=options.json)
    return 0


def _verify(options: argparse.Namespace) -> int:
    rows: list[tuple[str, str | None]] = []
    volume = _volume(options)
    look_up = partial(versions_commands.read_label, volume)
    named = [versions_commands.named(look_up, own) for own in options.versions]
    for version in named or volume.list_versions():
        problem = None
        try:
            volume.verify(version)
        except (InvalidPublicationError, VolumeError) as error:
            # In a folder the error may be of one file only, so check the other versions too.
            if volume.elsewhere and isinstance(error, VolumeError):
                raise
            problem = str(error)
        rows.append((version, problem))
    output.verified(rows, as_json=options.json)
    return 1 if any(problem for _, problem in rows) else 0


def _serve(options: argparse.Namespace) -> int:
    # Only this command and those of a service need gRPC.
    from trainer.service import server

    hosting = made(flags.Hosting, vars(options))
    logs.configure("trainer", hosting.logs)
    given = vars(options)
    try:
        addresses.parse_one(options.listen, least=0)
    except addresses.AddressError as error:
        raise OptionError("--listen", options.listen, error.expected) from error
    flag = _retrains_by(options)
    if flag is not None and not spec_arguments.has_source(options):
        raise OptionError(flag, True, "used with --dataset, --interactions or the like")
    # Refuse values out of range, even if the service never trains or deletes by them.
    spec, retention = spec_arguments.checked_spec(options), _retention(options)
    serving = made(
        ServerOptions,
        given,
        volume=_volume(options),
        cache_bytes=_cache_bytes(options),
        state=_state(options),
        listen=options.listen,
        data_dir=options.data_dir,
        retention=None if options.keep_all else retention,
        retrain=None if flag is None else spec,
        retrain_every=_duration(options, "retrain_every"),
        hosting=hosting,
    )
    for root in serving.data_roots:
        if not root.is_dir():
            raise OptionError("--data-root", str(root), "a folder that is there")
    _make_volume(options.volume)
    return server.serve(serving)


def _make_volume(location: Path | StoreUrl) -> None:
    """Make the folder of a volume if it is missing: the first training run publishes to it."""
    if isinstance(location, StoreUrl) or location.exists():
        return
    try:
        location.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VolumeError(location, f"the folder can't be made: {error.strerror or error}") from error
    _log.info("made the folder of a new volume, %s: nothing is published in it yet", location)


def _retrains_by(options: argparse.Namespace) -> str | None:
    """Return the flag that says when to train; None if no flag does."""
    for name in ("retrain_every", "retrain_cron", "retrain_on_change"):
        if getattr(options, name, False):
            return f"--{name.replace('_', '-')}"
    return None


def _retention(options: argparse.Namespace) -> RetentionPolicy:
    min_age = parse_duration(options.min_age, option="--min-age")
    return made(RetentionPolicy, vars(options), min_age=min_age, max_age=_duration(options, "max_age"))


def _duration(options: argparse.Namespace, name: str) -> timedelta | None:
    text = getattr(options, name, None)
    return None if text is None else parse_duration(text, option=f"--{name.replace('_', '-')}")


def _fetch(options: argparse.Namespace) -> int:
    print(f"{options.dataset} is in {movielens.fetch(options.data_dir)}")
    return 0


def _complete(options: argparse.Namespace) -> int:
    print(completion.script(arguments.program(), options.shell))
    return 0


def _models(options: argparse.Namespace) -> int:
    from trainer.models import listing

    found = listing.described()
    output.show(listing.as_json(found), listing.table(found), as_json=options.json)
    return 0


COMMANDS = {
    "train": _train,
    "publish": _publish,
    "report": _report,
    "verify": _verify,
    inspect_command.NAME: lambda options: inspect_command.run(options, now=utc_now().timestamp()),
    "tune": lambda options: study_command.run(options, _state(options) / EVENTS),
    "serve": _serve,
    "models": _models,
    "fetch-dataset": _fetch,
    completion.NAME: _complete,
}
