"""The parser of all commands, the settings of `serve`, and the run of one command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lightfm_retriever.hosting import extras, terminal
from lightfm_retriever.hosting.errors import ArgumentError, FlagError, HostingError
from lightfm_retriever.hosting.observing import logs
from lightfm_retriever.hosting.settings import completion, failures, flags, layers, option_flags
from lightfm_retriever.hosting.settings.parser import Program
from lightfm_retriever.hosting.settings.values import PathType
from lightfm_retriever.remote import location
from retriever.cli import arguments
from retriever.config import DEFAULT_LISTEN, Config, parse_address
from retriever.errors import RetrieverError, SettingError

PREFIX = arguments.PREFIX
PROGRAM = "lightfm-retriever"
_MISTAKES = (SettingError, FlagError, ArgumentError)


def run(given: list[str]) -> int:
    """Run one command; returns the exit status that `retriever.__main__` describes."""
    options = argparse.Namespace()
    try:
        options = parse(given)
        if options.command == "serve":
            return _serve(options)
        if options.command == completion.NAME:
            print(completion.script(program(), options.shell))
            return 0
        # The client needs gRPC, which the parent of the workers must not load.
        from retriever.cli import commands

        return commands.run(options)
    except (RetrieverError, HostingError) as error:
        is_mistake = isinstance(error, _MISTAKES)
        return failures.tell(error, PROGRAM, given, options, is_mistake=is_mistake)
    except ModuleNotFoundError as error:
        what = " ".join([PROGRAM, *given[:1]])
        if (text := extras.problem(error, "retriever", what)) is None:
            raise
        as_json = terminal.asks_for_json(given)
        return terminal.tell_error(text, terminal.FAILED, as_json=as_json)


def _serve(options: argparse.Namespace) -> int:
    # The workers import these modules, but this process mustn't.
    if (missing := extras.first_missing(extras.SERVED_WITH)) is not None:
        raise ModuleNotFoundError(name=missing)
    from retriever.parent import supervisor

    host, port = parse_address(options.listen)
    if options.cache_dir is None and not isinstance(options.volume, Path):
        raise SettingError(
            f"--volume {options.volume}: give --cache-dir DIR, where its versions are copied"
        )
    config = option_flags.made(
        Config,
        vars(options),
        volume=options.volume if options.cache_dir is None else options.cache_dir,
        source=None if options.cache_dir is None else str(options.volume),
        host=host,
        port=port,
    )
    logs.configure("parent", config.hosting.logs)
    return supervisor.serve(config)


def program() -> Program:
    """Make the parser of all commands."""
    made = Program(PROGRAM, "Serve published versions over gRPC, and ask a service that runs.")
    serve = made.command(
        "Serve",
        "serve",
        "Serve the version that a label names, until SIGTERM.",
        more="When the label moves, all worker processes change to its new version together. SIGHUP "
        "reads the label at once; SIGTERM drains and stops. The command line overrides "
        "variables, such as RETRIEVER_WORKERS, and they override the TOML file of --config.",
    )
    add_serve_flags(serve)
    serve.everyday = (
        *("--volume", "--cache-dir", "--listen", "--workers", "--threads", "--label", "--pin"),
        *("--tls-cert", "--tls-key", "--token-file", "--metrics-listen", "--log-format", "--config"),
    )
    arguments.add_commands(made)
    completion.add(made)
    return made


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line (None: this process's own), with settings from variables and a file.

    Raises UsageError for a mistake, and HostingError for settings that can't be used.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    parser = program()
    command = parser.commands.get("".join(given[:1]))
    if command is not None:
        layers.apply(command, given[1:], os.environ, prefix=PREFIX)
    options = parser.parse_args(given)
    if command is not None:
        options.names = command.names
    if check := vars(options).pop("check", None):
        check(options)
    return options


def add_serve_flags(serve: argparse.ArgumentParser) -> None:
    """Add all flags of `serve`."""
    serve.add_argument(
        "--volume",
        type=PathType(location.parse_location),
        required=True,
        metavar="DIR|URL",
        help="the shared volume, only read: a folder, or s3://BUCKET/PREFIX, gs://..., az://...",
    )
    serve.add_argument(
        "--cache-dir",
        type=Path,
        metavar="DIR",
        help="copy versions to this folder, on a local disk, and serve the copies. A URL needs it, and "
        "a folder on a network volume should have it (default: a folder is served as it is)",
    )
    serve.add_argument(
        "--listen",
        default=DEFAULT_LISTEN,
        metavar="HOST:PORT",
        help="the address to serve at; port 0 takes a free port",
    )
    option_flags.add(serve, Config)
    flags.add_flags(serve)
