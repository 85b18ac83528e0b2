"""Is a plain call as fast as it was at an earlier commit?

    python -m tests.benchmarks.revisions --base HEAD~1

One retriever of each of two revisions, of one worker, serves the same small publication, which the
base's code makes. Both are asked in two ways: by one caller who asks them in turn, call by call, which
tells best whether a call takes longer; and by 16 callers who ask one at a time, in rounds, which tells
what a worker can do at most. Who comes first changes from round to round. A machine that gets slower
does so for both, so the ratios of the rounds are what counts. Dependencies are this interpreter's.

Compare a commit with itself (--base HEAD --head HEAD) to see how far from 1 chance alone takes a ratio.
"""

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

from tests.benchmarks import asking, frame
from tests.benchmarks.asking import METHODS, Plan, Server
from tests.benchmarks.figures import Figures, Ratio
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
        """Run code in this revision; returns what it prints. BenchmarkError if it fails."""
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchmarkError(f"{self.name} can't run here: {frame.last_line(done.stderr)}")
        return done.stdout


@dataclass(frozen=True)
class Comparison:
    """One method's rounds by so many callers: the base's and, in the same order, the head's."""

    method: str
    callers: int
    base: list[Figures]
    head: list[Figures]

    def ratio(self, figure: str) -> Ratio:
        """Head to base of a figure, one of Figures' fields."""
        return Ratio.of(*([getattr(one, figure) for one in side] for side in (self.head, self.base)))

    @property
    def described(self) -> dict[str, object]:
        """All of it for a program."""
        return {**asdict(self), "ratios": {name: asdict(self.ratio(name)) for name in FIGURES}}

    def rows(self) -> Iterator[dict[str, str]]:
        """For a table: medians of both, and the ratios."""
        for name, rounds in (("base", self.base), ("head", self.head)):
            yield {"method": self.method, "callers": str(self.callers), "revision": name} | {
                column: f"{np.median([getattr(each, figure) for each in rounds]):{form}}"
                for figure, (column, form) in FIGURES.items()
            }
        ratios = {column: str(self.ratio(figure)) for figure, (column, _) in FIGURES.items()}
        yield {"method": "", "callers": "", "revision": "head/base", **ratios}


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument("--base", required=True, help="the commit to compare with")
    parser.add_argument("--head", default=WORKING_TREE, help=f"a commit; default: the {WORKING_TREE}")
    parser.add_argument("--items", type=int, default=1682, help="items of the catalogue")
    parser.add_argument("--rounds", type=frame.positive, default=8, help="of each method and way")
    parser.add_argument("--seconds", type=frame.above_0, default=1.0, help="of each round and revision")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        place = Path(temporary)
        base = check_out(options.base, place / "base")
        head = check_out(options.head, place / "head")
        base.run(_PUBLISH, str(place / "volume"), str(options.items))
        servers = [
            stack.enter_context(_serving(revision, place / "volume", place / f"{side}.log"))
            for side, revision in (("base", base), ("head", head))
        ]
        results = compare(servers, METHODS, options.rounds, options.seconds)
    title = f"{machine_name()}; head: {head.name}, base: {base.name}; medians of rounds"
    frame.report(
        options,
        frame.table(title, (row for one in results for row in one.rows()), left=3),
        base=base.name,
        head=head.name,
        comparisons=[one.described for one in results],
    )


def check_out(revision: str, tree: Path) -> Revision:
    """A commit's files unpacked into a new directory, or the working tree where it lies.

    Nothing is left behind in the repository. BenchmarkError if it isn't a commit, or can't be run.
    """
    if revision == WORKING_TREE:
        made = Revision(WORKING_TREE, ROOT)
    else:
        verify = ("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        name = _git(f"{revision!r} isn't a commit of {ROOT}", *verify).decode().strip()
        packed = _git(f"{revision!r} can't be unpacked", "archive", "--format=tar", name)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(tree, filter="data")
        made = Revision(f"{revision} ({name[:9]})", tree)
    # Else both could be the same code, and nobody would notice.
    for file in made.run(_WHERE).splitlines():
        if not Path(file).is_relative_to(made.tree):
            raise BenchmarkError(f"{made.name} doesn't run its own code, but {file}")
    return made


def compare(
    servers: Sequence[Server], methods: Sequence[str], rounds: int, seconds: float
) -> list[Comparison]:
    """Ask base and head by one caller and by many: a comparison of each method and way."""
    results = []
    for method in methods:
        asking.ask_each(servers, Plan(method=method, seconds=WARM_UP_SECONDS))
        for callers, ask, time in (
            (1, asking.ask, seconds * len(servers)),
            (CALLERS, asking.ask_each, seconds),
        ):
            plan = Plan(method=method, seconds=time, callers=callers)
            base, head = frame.alternating(
                rounds, servers, lambda ordered, _, ask=ask, plan=plan: ask(ordered, plan)
            )
            figures = [[Figures.of(calls) for calls in side] for side in (base, head)]
            results.append(Comparison(method, callers, *figures))
    return results


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
            said = frame.last_line(log.read_text())
            raise BenchmarkError(f"{revision.name} doesn't serve the publication: {said}") from error
        yield Server(service.target, [one.pid for one in status.workers])


def _git(problem: str, *arguments: str) -> bytes:
    git = shutil.which("git")
    if git is None:
        raise BenchmarkError("git isn't installed, so an earlier commit can't be had")
    done = subprocess.run([git, "-C", str(ROOT), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{problem}: {frame.last_line(done.stderr.decode(errors='replace'))}")
    return done.stdout


if __name__ == "__main__":
    frame.run(main)
