"""Is a plain call as fast as it was at an earlier commit?

    python -m tests.benchmarks.revisions --base HEAD~1

One retriever of each of two revisions, of one worker, serves the same small publication, which the
base's code makes. Both are asked in two ways: by one caller who asks them in turn, call by call, which
tells best whether a call takes longer; and by 16 callers who ask one at a time, in rounds, which tells
what a worker can do at most. Who comes first changes from round to round. A machine that gets slower
does so for both, so the ratios of the rounds are what counts. Dependencies are this interpreter's.

Compare a commit with itself (--base HEAD --head HEAD) to see how far from 1 chance alone takes a ratio.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lightfm_retriever.hosting import terminal
from tests.benchmarks import frame
from tests.benchmarks.closed_loop import METHODS, Round, measure
from tests.benchmarks.frame import BenchmarkError
from tests.machine import machine_name
from tests.service import Service

ROOT = Path(__file__).parents[2]
WORKING_TREE = "working tree"
CALLERS = 16
THREADS = 4
FIGURES = {
    "calls_per_second": ("calls/s", ",.0f"),
    "cpu_microseconds": ("CPU µs a call", ".0f"),
    "p50_milliseconds": ("p50 ms", ".3f"),
    "p99_milliseconds": ("p99 ms", ".3f"),
}
# What is imported and compiled at a first call isn't what a call costs.
WARM_UP_SECONDS = 0.5

# Of a package that both revisions have, whatever they call what is in it.
_IMPORTED = "import retriever, recsys.retriever.v1.retriever_service_pb2 as stubs"
_WHERE = f"{_IMPORTED}; print(retriever.__file__, stubs.__file__, sep='\\n')"
_PUBLISH = """
import sys
from pathlib import Path
try:
    from lightfm_retriever.publication import labels
except ImportError:  # a revision from before it was called so
    from publication import labels
from tests.load import models
volume = Path(sys.argv[1])
size = models.Size(items=int(sys.argv[2]), components=64, every=False)
labels.promote(volume, models.publish(volume, "a", 1, size).version)
"""

# An address, and the ids of its workers.
Server = dict[str, list[int]]


class RevisionError(BenchmarkError):
    """A revision can't be had or can't be run."""


class _GitError(RevisionError):
    """What git says that it can't do."""


@dataclass(frozen=True)
class Revision:
    """The code of one revision: what it is called, and where it lies."""

    name: str
    tree: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which this interpreter imports the tree's code and stubs, and no other's."""
        path = os.pathsep.join([str(self.tree), str(self.tree / "protos" / "gen")])
        # Safe: without the current directory, which would come before them.
        return {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}

    def run(self, code: str, *arguments: str) -> str:
        """Run code in this revision; returns what it prints. RevisionError if it fails."""
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RevisionError(f"{self.name} can't run here: {_last_line(done.stderr)}")
        return done.stdout


@dataclass(frozen=True)
class Ratio:
    """The median of the rounds' ratios, and the range that they lie in."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, heads: Sequence[float], bases: Sequence[float]) -> Ratio:
        """Of each round's head to the same round's base; both of one length, at least 1."""
        ratios = np.divide(heads, bases)
        return cls(float(np.median(ratios)), float(ratios.min()), float(ratios.max()))

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.lowest:.2f}..{self.highest:.2f})"


@dataclass(frozen=True)
class Comparison:
    """One method's rounds by so many callers: the base's and, in the same order, the head's."""

    method: str
    callers: int
    base: list[Round]
    head: list[Round]

    def ratio(self, figure: str) -> Ratio:
        """Head to base of a figure, one of Round's fields."""
        return Ratio.of(*([getattr(one, figure) for one in side] for side in (self.head, self.base)))

    @property
    def described(self) -> dict[str, object]:
        """All of it for a program."""
        return {**asdict(self), "ratios": {name: asdict(self.ratio(name)) for name in FIGURES}}


def main() -> int:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument("--base", required=True, help="the commit to compare with")
    parser.add_argument("--head", default=WORKING_TREE, help=f"a commit; default: the {WORKING_TREE}")
    parser.add_argument("--items", type=int, default=1682, help="items of the catalogue")
    parser.add_argument("--rounds", type=int, default=8, help="of each method and way")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round and revision")
    options = parser.parse_args()
    with frame.handled() as failed, tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        base = check_out(options.base, place / "base")
        head = check_out(options.head, place / "head")
        base.run(_PUBLISH, str(place / "volume"), str(options.items))
        with contextlib.ExitStack() as stack:
            servers = [
                stack.enter_context(_serving(revision, place / "volume", place / f"{side}.log"))
                for side, revision in (("base", base), ("head", head))
            ]
            results = compare(servers, METHODS, options.rounds, options.seconds)
        _print(results, base.name, head.name, as_json=options.json)
    return int(bool(failed))


def check_out(revision: str, tree: Path) -> Revision:
    """A commit's files unpacked into a new directory, or the working tree where it lies.

    Nothing is left behind in the repository. RevisionError if it isn't a commit, or can't be run.
    """
    if revision == WORKING_TREE:
        made = Revision(WORKING_TREE, ROOT)
    else:
        name = _commit(revision)
        with tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", name))) as archive:
            archive.extractall(tree, filter="data")
        made = Revision(f"{revision} ({name[:9]})", tree)
    # Else both could be the same code, and nobody would notice.
    for file in made.run(_WHERE).splitlines():
        if not Path(file).is_relative_to(made.tree):
            raise RevisionError(f"{made.name} doesn't run its own code, but {file}")
    return made


def compare(
    servers: Sequence[Server], methods: Sequence[str], rounds: int, seconds: float
) -> list[Comparison]:
    """Ask two servers, base and head, by one caller and by many: a comparison of each method and way.

    Raises:
        subprocess.CalledProcessError: a call failed.
    """
    results = []
    for method in methods:
        for server in servers:
            measure(server, seconds=WARM_UP_SECONDS, method=method)
        for callers, ask in ((1, _in_turn), (CALLERS, _one_at_a_time)):
            pairs = []
            for number in range(rounds):
                order = -1 if number % 2 else 1
                pairs.append(ask(servers[::order], method, seconds)[::order])
            base, head = zip(*pairs, strict=True)
            results.append(Comparison(method, callers, [*base], [*head]))
    return results


def _in_turn(servers: Sequence[Server], method: str, seconds: float) -> list[Round]:
    targets = {target: pids for server in servers for target, pids in server.items()}
    return measure(targets, seconds=seconds * len(servers), connections=1, method=method)


def _one_at_a_time(servers: Sequence[Server], method: str, seconds: float) -> list[Round]:
    return [
        one
        for server in servers
        for one in measure(server, seconds=seconds, connections=CALLERS, method=method)
    ]


@contextlib.contextmanager
def _serving(revision: Revision, volume: Path, log: Path) -> Iterator[Server]:
    """A retriever of a revision that has loaded the publication."""
    with contextlib.ExitStack() as stack:
        try:
            service = stack.enter_context(
                Service(volume, log, environment=revision.environment, workers=1, threads=THREADS)
            )
            status = service.wait_until(lambda status: any(one.version for one in status.workers))
        except (RuntimeError, TimeoutError) as error:
            said = _last_line(log.read_text())
            raise RevisionError(f"{revision.name} doesn't serve the publication: {said}") from error
        yield {service.target: [one.pid for one in status.workers]}


def _commit(revision: str) -> str:
    try:
        said = _git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    except _GitError as error:
        raise RevisionError(f"{revision!r} isn't a commit of {ROOT}: {error}") from error
    return said.decode().strip()


def _git(*arguments: str) -> bytes:
    git = shutil.which("git")
    if git is None:
        raise RevisionError("git isn't installed, so an earlier commit can't be had")
    done = subprocess.run([git, "-C", str(ROOT), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise _GitError(_last_line(done.stderr.decode(errors="replace")))
    return done.stdout


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing said why"])[-1]


def _print(results: Sequence[Comparison], base: str, head: str, *, as_json: bool) -> None:
    if as_json:
        frame.print_json(base=base, head=head, comparisons=[one.described for one in results])
        return
    title = f"{machine_name()}; head: {head}, base: {base}; medians of rounds"
    figures = (column for column, _ in FIGURES.values())
    table = frame.table(title, "method", "callers", "revision", *figures, left=3)
    for one in results:
        for name, rounds in (("base", one.base), ("head", one.head)):
            medians = [
                f"{np.median([getattr(each, figure) for each in rounds]):{form}}"
                for figure, (_, form) in FIGURES.items()
            ]
            table.add_row(one.method, str(one.callers), name, *medians)
        table.add_row("", "", "head/base", *(str(one.ratio(figure)) for figure in FIGURES))
    frame.show(table)


if __name__ == "__main__":
    sys.exit(terminal.run(main))
