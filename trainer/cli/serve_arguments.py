"""The flags of `lightfm-trainer serve`."""

from __future__ import annotations

import argparse

from lightfm_retriever.hosting.settings import flags, option_flags
from lightfm_retriever.hosting.settings.parser import Parser, Program
from trainer.cli import spec_arguments, where_arguments
from trainer.service.options import RETRAINING, ServerOptions
from trainer.versions.retention import RetentionPolicy


def add(made: Program) -> Parser:
    """Add the command's parser."""
    serve = made.command(
        "Serve",
        "serve",
        "Serve training, versions and interactions over gRPC.",
        more="With --retrain-every, --retrain-cron or --retrain-on-change, the service also trains by "
        f"itself, by the options of a training run. {spec_arguments.SETTINGS}",
    )
    add_serve_flags(serve)
    serve.everyday = (
        *("--volume", "--state", "--listen", "--data-root", "--keep", "--retrain-every"),
        *("--retrain-on-change", "--interactions", "--event-log", "--tls-cert", "--tls-key"),
        *("--token-file", "--config"),
    )
    return serve


def add_serve_flags(serve: argparse.ArgumentParser) -> None:
    """Add all flags of `serve`."""
    where_arguments.add_volume(serve)
    where_arguments.add_state(serve)
    serve.add_argument(
        "--listen",
        default=where_arguments.DEFAULT_LISTEN,
        metavar="HOST:PORT",
        help="the address to serve at; port 0 takes a free port",
    )
    where_arguments.add_data_dir(serve)
    option_flags.add(serve, ServerOptions)
    retention = serve.add_argument_group("retention", "A version that a label names is never deleted.")
    option_flags.add(retention, RetentionPolicy)
    retention.add_argument(
        "--keep-all", action="store_true", default=False, help="never delete a version"
    )
    again = serve.add_argument_group(RETRAINING)
    option_flags.add(again, ServerOptions, group=RETRAINING)
    flags.add_flags(serve)
    spec_arguments.add_training(serve)
    spec_arguments.add_engine(serve)
    spec_arguments.add_tracking(serve)
