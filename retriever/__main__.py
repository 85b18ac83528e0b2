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
from lightfm_retriever.hosting.settings import flags, layers, option_flags
from lightfm_retriever.hosting.settings.parser import Defaults, Parser, PathType, add_version
from lightfm_retriever.remote import location
from retriever.cli import arguments
from retriever.config import DEFAULT_LISTEN, Config, parse_address
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
        options = parse(argv)
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


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read a command line, or this process's own; exits where it is a mistake, as argparse does."""
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
    arguments.add_commands(commands, layers.variables(os.environ, PREFIX))
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
        type=PathType(location.parse_location),
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
    serve.add_argument("--listen", default=DEFAULT_LISTEN, help="HOST:PORT; port 0 takes a free one")
    option_flags.add(serve, Config)
    flags.add_flags(serve)


if __name__ == "__main__":
    sys.exit(main())
