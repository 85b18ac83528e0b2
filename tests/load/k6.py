"""Load a retriever with k6, print the results, and fail unless every threshold is met.

The scenarios are in tests/load/k6:
  smoke                  a few calls of every kind: are the answers right?
  steady                 the usual mix at a steady rate: is p99 low, and is no call refused?
  spike                  ten times the rate for a while: no call fails, and latency recovers
  soak                   a modest rate for half an hour: does anything leak, slow down or restart?
  publish_and_roll_back  a steady rate while a label moves to another version and back: no call fails

For a retriever with TLS or tokens, give the client's flags: --ca, --cert, --key, --server-name and
--client-token-file. Without --target, this command starts a retriever on a free port, and stops it at
the end. That retriever serves --volume, or two synthetic versions. publish_and_roll_back moves the
volume's label, and moves it back. Every scenario ends by itself.
"""

import argparse
import contextlib
import dataclasses
import json
import signal
import socket
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from lightfm_retriever.hosting import terminal
from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.security.settings import PLAIN, ClientSecurity
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import PublicationError
from retriever.client import CallError
from retriever.config import parse_address
from tests.benchmarks import frame
from tests.load import k6_results, k6_run
from tests.load.k6_run import K6, Load
from tests.load.switching import switching
from tests.load.target import (
    OPTIONAL,
    Known,
    LoadError,
    Target,
    answered_kinds,
    known_of,
    other_version,
    retriever,
)
from trainer.durations import parse_duration
from trainer.errors import OptionError

PUBLISH_AND_ROLL_BACK = "publish_and_roll_back"


@dataclass(frozen=True)
class Subject:
    """The retriever to call, its known ids, and the versions that its label names."""

    target: Target
    known: Known
    kinds: Sequence[str]
    versions: Sequence[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run scenarios. Returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    # On SIGTERM, stop the retriever and k6, too.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        security = client_flags.client_security(options)
        if options.target is None and security != PLAIN:
            parser.error("--ca, --cert, --key, --server-name and --client-token-file are for --target")
        k6 = k6_run.find_k6()
        with retriever(options, security) as target:
            # Run all scenarios, even after one that didn't pass.
            passed = [_run(k6, name, target, options) for name in options.scenarios]
    except (LoadError, CallError, PublicationError, HostingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return terminal.INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0 if all(passed) else 1


def _parser() -> argparse.ArgumentParser:
    parser = frame.parser("tests.load.k6", __doc__)
    add = parser.add_argument
    told = "one or more scenarios, run one after the other"
    add("scenarios", nargs="+", choices=list(k6_run.DEFAULTS), metavar="SCENARIO", help=told)
    add("--target", metavar="HOST:PORT", help="address of a running retriever")
    client_flags.add(parser, timeout_seconds=None)
    add("--volume", type=Path, help="volume to serve, or the volume of --target, for ids and versions")
    add(
        "--label",
        default=layout.DEFAULT_LABEL,
        help="label that the retriever follows (default: current)",
    )
    add("--workers", type=frame.positive, default=2, help="workers without --target (default: 2)")
    add("--duration", type=duration, metavar="TIME", help="30s, 10m, 2h (default: the scenario's)")
    add("--rate", type=frame.positive, help="calls per second (default: the scenario's)")
    add(
        "--connections",
        type=frame.positive,
        help="each has one call at a time (default: the scenario's)",
    )
    add("--max-p99-ms", type=float, help="maximum 99th percentile in ms (default: the scenario's)")
    add(
        "--timeout", type=duration, metavar="TIME", default=5.0, help="deadline of a call (default: 5s)"
    )
    add("--user-ids", type=Path, metavar="FILE", help="file of known users, one id per line")
    add("--item-ids", type=Path, metavar="FILE", help="file of known items, one id per line")
    add("--filter", metavar="ATTRIBUTE=VALUE", help="filter of the filtered calls")
    add("--reflect", action="store_true", help="use the retriever's reflection, not the proto files")
    return parser


def duration(text: str) -> float:
    """Parse "30s", "10m" or "2h" to seconds."""
    try:
        seconds = parse_duration(text, option="duration").total_seconds()
    except OptionError:
        seconds = 0
    if not 1 <= seconds <= 24 * 3600:
        raise argparse.ArgumentTypeError(f"{text!r} should be 1s to 24h, such as 30s, 10m or 2h")
    return seconds


def _run(k6: str, scenario: str, target: Target, options: argparse.Namespace) -> bool:
    """Run one scenario, and print its results. Returns whether it passed.

    Raises:
        LoadError: the scenario ended early.
    """
    load = Load.of(scenario, options)
    before = target.check()
    subject = _subject(scenario, target, before.version, options)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        switches: list[float] = []
        if scenario == PUBLISH_AND_ROLL_BACK:
            switches = stack.enter_context(switching(target, options.label, *subject.versions))
        run = stack.enter_context(K6(k6, load, _environment(load, subject, folder, options), folder))
        exit_status = run.wait()
        results = run.results(exit_status)
        workers: list[k6_results.Worker] = []
        if exit_status != k6_run.ABORTED:
            with contextlib.suppress(CallError):
                after = target.status_after(before, results.counted_calls)
                workers = k6_results.workers(before, after)
        problems = [*results.missed, *(f"worker {one.index} died" for one in workers if one.restarts)]
        passed = exit_status == 0 and not problems
        title = load.title(len(before.workers))
        frame.report(
            options,
            title,
            k6_results.table(results),
            *map(str, workers),
            *_notes(results, subject, switches),
            Text("passed\n" if passed else "FAILED\n", style="bold"),
            title=title,
            **dataclasses.asdict(load),
            passed=passed,
            **dataclasses.asdict(results),
            workers=[dataclasses.asdict(worker) for worker in workers],
            switch_seconds=switches,
        )
        sys.stdout.flush()
        for said, count in run.complaints():
            print(f"{scenario}: {said} ({count} times)", file=sys.stderr)
        if exit_status == k6_run.ABORTED:
            raise LoadError(f"{scenario}: {run.last_words()}")
        for problem in problems:
            print(f"{scenario} missed: {problem}", file=sys.stderr)
        return passed


def _subject(scenario: str, target: Target, version: str, options: argparse.Namespace) -> Subject:
    versions = [version]
    if scenario == PUBLISH_AND_ROLL_BACK:
        if target.volume is None:
            raise LoadError(f"{PUBLISH_AND_ROLL_BACK} needs --volume, the volume that --target serves")
        versions.append(other_version(target.volume, version))
    known = known_of(target, versions)
    known = Known(
        _lines(options.user_ids) or known.users,
        _lines(options.item_ids) or known.items,
        options.filter or known.filter,
    )
    if not (known.users and known.items):
        raise LoadError(
            f"{target.address} knows no ids of MovieLens: give known ids by --volume, or by --user-ids "
            "and --item-ids"
        )
    kinds = answered_kinds(target.client, known, filter_wanted=options.filter is not None)
    return Subject(target, known, kinds, versions)


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        found = [line for line in path.read_text("utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise LoadError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not found:
        raise LoadError(f"{path}: should have one id per line, but is empty")
    return found


def _environment(
    load: Load, subject: Subject, folder: Path, options: argparse.Namespace
) -> dict[str, str]:
    ids = folder / "ids.json"
    known = subject.known
    ids.write_text(json.dumps({"users": list(known.users), "items": list(known.items)}))
    # google/rpc/status.proto is in the package that also has its generated code.
    proto_paths = f"{Path(__file__).parents[2] / 'protos'}:{sysconfig.get_path('purelib')}"
    return {
        **_security(subject.target.address, subject.target.security, folder),
        "TARGET": subject.target.address,
        "DURATION": f"{load.seconds:g}",
        "RATE": f"{load.rate:g}",
        "CONNECTIONS": str(load.connections),
        "TIMEOUT": f"{options.timeout:g}",
        "MAX_P99_MS": f"{load.max_p99_ms:g}",
        "KINDS": ",".join(subject.kinds),
        "IDS": str(ids),
        "FILTER": known.filter or "",
        "PROTO_PATHS": "" if options.reflect else proto_paths,
        "VERSIONS": ",".join(subject.versions) if len(subject.versions) > 1 else "",
    }


def _security(address: str, security: ClientSecurity, folder: Path) -> dict[str, str]:
    """Return k6's variables for TLS and the token. The token is in a file: others can see variables."""
    files = {"TLS_CA": security.ca, "TLS_CERT": security.cert, "TLS_KEY": security.key}
    # k6 resolves a relative path from the script's folder.
    found = {name: str(Path(path).absolute()) for name, path in files.items() if path is not None}
    if security.server_name is not None:
        found["SERVER_NAME"] = security.server_name
        host, port = parse_address(address)
        try:
            found["IP"] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]
        except OSError as error:
            raise LoadError(f"{address}: {error.strerror or error}") from error
    if security.token is not None:
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(security.token)
        found["TOKEN_FILE"] = str(token)
    return found


def _notes(results: k6_results.Results, subject: Subject, switches: Sequence[float]) -> Iterator[str]:
    missing = [kind for kind in OPTIONAL if kind not in subject.kinds]
    if missing:
        yield f"left out, because the publication doesn't support them: {', '.join(missing)}"
    if switches:
        yield f"{len(switches)} changes of versions, the slowest took {max(switches):.2f} s"
    if results.dropped:
        yield f"{results.dropped:,} calls not made, because every connection waited for an answer"


if __name__ == "__main__":
    sys.exit(terminal.run(main))
