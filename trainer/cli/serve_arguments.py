"""The flags of `python -m trainer serve`."""

from __future__ import annotations

import argparse
from typing import Any

from lightfm_retriever.hosting.settings import flags, option_flags
from lightfm_retriever.hosting.settings.parser import Defaults
from trainer.cli import spec_arguments, where_arguments
from trainer.service.options import RETRAINING, ServerOptions
from trainer.versions.retention import RetentionPolicy


def add(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    serve: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="train on request, look after versions and collect interactions, over gRPC",
        description="Serve the TrainerService. With flags of a training run and --retrain-every, "
        "--retrain-cron or --retrain-on-change it also trains by itself. Each flag can be set by the "
        "environment too: TRAINER_VOLUME, TRAINER_LISTEN, ..., or in the file that --config names.",
        formatter_class=Defaults,
        # The file that --config names is read before the flags are.
        allow_abbrev=False,
    )
    add_serve_flags(serve)
    return serve


def add_serve_flags(serve: argparse.ArgumentParser) -> None:
    """All that `serve` takes."""
    # What the environment says is applied to all flags at once.
    where_arguments.add_volume(serve, {})
    where_arguments.add_state(serve, {})
    serve.add_argument(
        "--listen",
        default=where_arguments.DEFAULT_LISTEN,
        metavar="HOST:PORT",
        help="port 0 takes a free one",
    )
    where_arguments.add_data_dir(serve, {})
    option_flags.add(serve, ServerOptions)
    retention = serve.add_argument_group("retention", "What a label names is never deleted.")
    option_flags.add(retention, RetentionPolicy)
    retention.add_argument(
        "--keep-all", action="store_true", default=False, help="never delete a version"
    )
    again = serve.add_argument_group(RETRAINING)
    option_flags.add(again, ServerOptions, group=RETRAINING)
    flags.add_flags(serve)
    spec_arguments.add_training(serve)
    spec_arguments.add_engine(serve)
