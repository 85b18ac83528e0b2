"""Compare the speed of plain calls with an earlier commit.

    python -m tests.benchmarks.revisions --base HEAD~1

A retriever of each revision, with one worker, serves the same small publication of the base's code.
There are two kinds of calls. One caller calls both retrievers in turn, which best shows whether a call
takes longer. And 16 callers call one retriever at a time, in rounds, which shows a worker's maximum
rate. The order changes from round to round. If the machine gets slower, both get slower, so look at the
ratios of the rounds. Both revisions use this interpreter's dependencies.

Compare a commit with itself (--base HEAD --head HEAD) to see how far a ratio is from 1 by chance.
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
# The first calls import and compile code, so they don't count.
WARM_UP_SECONDS = 0.5

# The packages must exist in both revisions; the names of their modules may differ.
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
    """The code of a revision: its name, and its folder."""

    name: str
    tree: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return variables that make this interpreter import only this tree's code and stubs."""
        path = os.pathsep.join([str(self.tree), str(self.tree / "protos" / "gen")])
        # The safe path leaves out the current directory, which would come first.
        return {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}

    def run(self, code: str, *arguments: str) -> str:
        """Run code in this revision. Returns its output. Raises BenchmarkError if it fails."""
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
    """The rounds of one method and number of callers, of the base and of the head."""

    method: str
    callers: int
    base: list[Figures]
    head: list[Figures]

    def ratio(self, figure: str) -> Ratio:
        """Return the ratio of head to base of a figure, a field of Figures."""
        return Ratio.of(*([getattr(one, figure) for one in side] for side in (self.head, self.base)))

    @property
    def described(self) -> dict[str, object]:
        """Return the comparison for JSON."""
        return {**asdict(self), "ratios": {name: asdict(self.ratio(name)) for name in FIGURES}}

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield rows for a table: medians of both, and the ratios."""
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
    parser.add_argument(
        "--head", default=WORKING_TREE, help=f"the other commit (default: the {WORKING_TREE})"
    )
    parser.add_argument("--items", type=int, default=1682, help="items of the catalogue")
    parser.add_argument("--rounds", type=frame.positive, default=8, help="rounds of each comparison")
    parser.add_argument(
        "--seconds", type=frame.above_0, default=1.0, help="seconds of each round and revision"
    )
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
    """Unpack a commit into a new directory, or use the working tree in its place.

    Leaves the repository unchanged. Raises BenchmarkError if it isn't a commit, or can't run.
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
    # Check that each revision runs its own code, not the same code twice.
    for file in made.run(_WHERE).splitlines():
        if not Path(file).is_relative_to(made.tree):
            raise BenchmarkError(f"{made.name} runs {file} instead of its own code")
    return made


def compare(
    servers: Sequence[Server], methods: Sequence[str], rounds: int, seconds: float
) -> list[Comparison]:
    """Call base and head with one caller and with many. Returns a comparison of each method."""
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
    """Run a retriever of a revision, until it has loaded the publication."""
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
        raise BenchmarkError("git isn't installed, so the earlier commit can't be unpacked")
    done = subprocess.run([git, "-C", str(ROOT), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{problem}: {frame.last_line(done.stderr.decode(errors='replace'))}")
    return done.stdout


if __name__ == "__main__":
    frame.run(main)
