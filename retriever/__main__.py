"""The command line: python -m retriever COMMAND."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lightfm_retriever.hosting import extras, terminal
from lightfm_retriever.hosting.errors import ArgumentError, FlagError, HostingError
from lightfm_retriever.hosting.observing import logs
from lightfm_retriever.hosting.settings import flags, layers
from lightfm_retriever.hosting.settings.parser import Defaults, Parser, PathType, add_version
from lightfm_retriever.publication import layout
from lightfm_retriever.remote import location
from retriever.cli import arguments
from retriever.config import DEFAULT_LISTEN, Config, environment_defaults, parse_address
from retriever.errors import RetrieverError, SettingError

PREFIX = "RETRIEVER_"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0 done, 1 failed, 2 a mistake in the command line, 130 interrupted, 141 nobody read the output.
    """
    return terminal.run(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    command = "retriever"
    try:
        options = _parse(argv)
        command += f" {options.command}"
        if options.command == "serve":
            return _serve(options)
        # The client needs gRPC, which must not be loaded in the parent of the workers.
        from retriever.cli import commands

        return commands.run(options)
    except (RetrieverError, HostingError) as error:
        print(f"error: {error}", file=sys.stderr)
        mistakes = (SettingError, FlagError, ArgumentError)
        return terminal.MISTAKE if isinstance(error, mistakes) else 1
    except ModuleNotFoundError as error:
        if (text := extras.problem(error, "retriever", command)) is None:
            raise
        print(f"error: {text}", file=sys.stderr)
        return 1


def _serve(options: argparse.Namespace) -> int:
    # The workers import them, and this process mustn't.
    if (missing := extras.first_missing(extras.SERVED_WITH)) is not None:
        raise ModuleNotFoundError(name=missing)
    from retriever.parent import supervisor

    host, port = parse_address(options.listen)
    if options.cache_dir is None and not isinstance(options.volume, Path):
        raise SettingError(
            f"--volume {options.volume}: give --cache-dir DIR, where its versions are copied"
        )
    config = Config(
        volume=options.volume if options.cache_dir is None else options.cache_dir,
        source=None if options.cache_dir is None else str(options.volume),
        cache_gb=options.cache_gb,
        host=host,
        port=port,
        workers=options.workers,
        label=options.label,
        pin=options.pin,
        poll_seconds=options.poll_seconds,
        threads=options.threads,
        max_calls=options.max_calls,
        max_connection_age_seconds=options.max_connection_age_seconds,
        heartbeat_seconds=options.heartbeat_seconds,
        prepare_seconds=options.prepare_seconds,
        drain_seconds=options.drain_seconds,
        grace_seconds=options.grace_seconds,
        online_recall_share=options.online_recall_share,
        hosting=flags.hosting(options),
    )
    logs.configure("parent", config.hosting.logs)
    return supervisor.serve(config)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    given = list(sys.argv[1:] if argv is None else argv)
    parser = Parser(
        prog="python -m retriever",
        description="Serve publications over gRPC, and ask a service that runs.",
    )
    add_version(parser, "lightfm-retriever")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="serve what a label names, until SIGTERM",
        description=_SERVE,
        formatter_class=Defaults,
        # The file that --config names is read before the flags are.
        allow_abbrev=False,
    )
    add_serve_flags(serve)
    if given[:1] == ["serve"]:
        layers.apply(serve, given, os.environ, prefix=PREFIX)
    arguments.add_commands(commands, environment_defaults(os.environ))
    options = parser.parse_args(given)
    if check := vars(options).pop("check", None):
        check(options)
    return options


_SERVE = (
    "Serve what a label names: worker processes share one port and the memory maps of one version, and "
    "change over together when the label moves. SIGHUP reads the label now; SIGTERM drains and stops. "
    "Each flag can be set by the environment too: RETRIEVER_VOLUME, RETRIEVER_LISTEN, "
    "RETRIEVER_WORKERS, ..., or in the file that --config names."
)


def add_serve_flags(serve: argparse.ArgumentParser) -> None:
    """All that `serve` takes."""
    serve.add_argument(
        "--volume",
        type=PathType(location.argument),
        required=True,
        metavar="DIR|URL",
        help="the shared volume, only read: a folder, or s3://BUCKET/PREFIX, gs://..., az://...",
    )
    serve.add_argument(
        "--cache-dir",
        type=Path,
        metavar="DIR",
        help="copy versions to this folder, on a disk of this machine's own, and serve the copies: for "
        "a URL, and for a folder on a network volume (default: a folder is served as it is)",
    )
    for name, of, fallback, what in (
        ("listen", str, DEFAULT_LISTEN, "HOST:PORT; port 0 takes a free one"),
        ("workers", int, Config.workers, "worker processes"),
        ("label", str, layout.DEFAULT_LABEL, "the label to follow"),
        ("pin", str, None, "serve this version, whatever the label names"),
        (
            "cache-gb",
            float,
            Config.cache_gb,
            "what the copies in --cache-dir may have together; the least recently used go; 0 for any",
        ),
        ("poll-seconds", float, Config.poll_seconds, "how often to read the label"),
        ("threads", int, Config.threads, "calls that one worker handles at the same time"),
        (
            "max-calls",
            int,
            Config.max_calls,
            "calls that one worker accepts at the same time; more get RESOURCE_EXHAUSTED at once",
        ),
        (
            "max-connection-age-seconds",
            float,
            Config.max_connection_age_seconds,
            "after which clients are asked to connect anew, to spread over the workers; 0 for never",
        ),
        (
            "heartbeat-seconds",
            float,
            Config.heartbeat_seconds,
            "how long a worker may be silent before it is killed and replaced",
        ),
        (
            "prepare-seconds",
            float,
            Config.prepare_seconds,
            "how long a worker may take to open and warm up a version",
        ),
        (
            "drain-seconds",
            float,
            Config.drain_seconds,
            "after SIGTERM, how long calls are taken while health says NOT_SERVING",
        ),
        ("grace-seconds", float, Config.grace_seconds, "after that, how long calls may take"),
        (
            "online-recall-share",
            float,
            Config.online_recall_share,
            "share of Recommend calls that are also answered exactly, for the recall in the metrics",
        ),
    ):
        serve.add_argument(f"--{name}", type=of, default=fallback, help=what)
    flags.add_flags(serve)


if __name__ == "__main__":
    sys.exit(main())
