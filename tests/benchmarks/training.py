"""Compare the cost of the trainer with a bare LightFM fit on the same matrix, and measure its reader.

    python -m tests.benchmarks.training                                # 2 million interactions
    python -m tests.benchmarks.training --interactions 20000000 --epochs 1 --rounds 1

tests.benchmarks.synthetic creates the interactions, 20 per user and 20 per item, or --data names a
folder. Each part runs in its own process, one after the other, so each has its own peak of memory:

- reading: the trainer's reader reads the files, creates the matrix and saves it.
- the bare fit: only LightFM and SciPy, on the matrix from its file.
- the trainer: the function of a training run, which reads, creates the matrix and fits the same number
  of epochs. It stops after the fit.

No part evaluates or publishes. The bare fit and the trainer alternate in rounds, and the order changes.
Ratios are medians of the rounds, with their range. On a busy machine, trust the ratios of CPU time.
Targets: at most 1.1 times the time of the bare fit, and at most 1.5 times its memory.
"""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp

from lightfm_retriever.publication.volume import Volume
from tests.benchmarks import frame, room, synthetic
from tests.benchmarks.figures import Ratio
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.room import Room
from tests.benchmarks.synthetic import InteractionsSpec
from tests.machine import machine_name
from trainer.data.features import FeatureTable
from trainer.data.files.parquet_folder import data_files
from trainer.data.interactions import read_interactions
from trainer.errors import InputError
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.models.given import GivenHyperparameters
from trainer.pipeline import Places, train_and_publish
from trainer.preparing.dataset import build_dataset
from trainer.preparing.splits import Splitting
from trainer.progress import Reporter, Silent
from trainer.spec import DataSpec, TrainingSpec

ROOT = Path(__file__).parents[2]
TIME_TARGET = 1.1
MEMORY_TARGET = 1.5
# Interactions per user and per item.
INTERACTIONS_EACH = 20
# Estimates for the check of free memory: of the imports, of a row during reading, and of a row during
# the fit.
BASE_BYTES = 250_000_000
READ_ROW_BYTES = 110
FIT_ROW_BYTES = 25

# The program that a user with a matrix would write. It imports nothing of this project.
BARE_FIT = """
import json, sys, time
from pathlib import Path
import numpy as np, scipy.sparse as sp
from lightfm import LightFM

matrix, options = sys.argv[1], json.loads(sys.argv[2])
interactions = sp.load_npz(matrix).tocoo()
model = LightFM(
    no_components=options["components"],
    loss="warp",
    learning_rate=options["learning_rate"],
    item_alpha=options["item_alpha"],
    user_alpha=options["user_alpha"],
    random_state=np.random.RandomState(options["seed"]),
)
wall, cpu = time.perf_counter(), time.process_time()
model.fit(interactions, epochs=options["epochs"], num_threads=options["threads"])
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
print(json.dumps({"seconds": {"fit": wall}, "cpu_seconds": {"fit": cpu}, "peak_bytes": {"fit": peak}}))
"""
_READ = "import sys; from tests.benchmarks import training; training.read(*sys.argv[1:])"
_TRAIN = "import sys; from tests.benchmarks import training; training.train(*sys.argv[1:])"


@dataclass
class Stages:
    """Time and memory of each stage of a process. The peak of memory is the peak within the stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage."""
        # This resets the peak of the process: see proc(5).
        Path("/proc/self/clear_refs").write_text("5")
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds[name] = time.perf_counter() - wall
        self.cpu_seconds[name] = time.process_time() - cpu
        self.peak_bytes[name] = room.of_process()["VmHWM"]


@dataclass(frozen=True)
class Measured:
    """The measurements: of reading, and of the bare fit and the trainer in each round."""

    subject: dict[str, int]  # rows and bytes of the files, and the size of the matrix
    reading: Stages
    bare: list[Stages]
    trainer: list[Stages]

    def ratios(self) -> dict[str, tuple[Ratio, float]]:
        """Return the ratios of the trainer to the bare fit, each with its target."""
        sides = (self.trainer, self.bare)

        def of_fit(figure: str) -> Ratio:
            return Ratio.of(*([getattr(one, figure)["fit"] for one in side] for side in sides))

        peaks = ([max(one.peak_bytes.values()) for one in side] for side in sides)
        return {
            "fit, time": (of_fit("seconds"), TIME_TARGET),
            "fit, CPU time": (of_fit("cpu_seconds"), TIME_TARGET),
            "fit, memory": (of_fit("peak_bytes"), MEMORY_TARGET),
            "from the files to the fitted model, memory": (Ratio.of(*peaks), MEMORY_TARGET),
        }


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument(
        "--interactions", type=int, default=2_000_000, help="number of interactions (default: 2000000)"
    )
    parser.add_argument("--data", type=Path, help="folder of Parquet files to read instead")
    parser.add_argument("--components", type=int, default=64, help="components (default: 64)")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of each fit (default: 4)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the fit (default: 1)")
    parser.add_argument("--rounds", type=frame.positive, default=3, help="rounds (default: 3)")
    parser.add_argument("--seed", type=int, default=42, help="random seed (default: 42)")
    options = parser.parse_args()
    reporter = frame.reporter(options)
    varied = ("components", "epochs", "threads", "seed")
    hyperparameters = Hyperparameters(**{name: getattr(options, name) for name in varied})
    spec = _spec(options)
    Room(needed_memory(spec, hyperparameters), 0).check("this", Path())
    with tempfile.TemporaryDirectory(prefix="training-") as temporary:
        place = Path(temporary)
        data = options.data
        if data is None:
            data = place / "data"
            with synthetic.making(data, synthetic.needed_bytes(spec)) as folder:
                synthetic.write_interactions(spec, folder, reporter)
        measured = measure(data, place, hyperparameters, options.rounds, reporter)
    subject, ratios = measured.subject, measured.ratios()
    title = (
        f"{subject['rows']:,} rows, {subject['file_bytes'] / 1e6:,.0f} MB of files, "
        f"{subject['users']:,} users, {subject['items']:,} items, {subject['pairs']:,} pairs; "
        f"{options.components} components, "
        f"{options.epochs} epochs, {options.threads} threads; {machine_name()}"
    )
    compared = [
        {
            "trainer / bare fit": name,
            "": "kept" if ratio.median <= target else "missed",
            "median (range)": str(ratio),
            "target": f"at most {target}",
        }
        for name, (ratio, target) in ratios.items()
    ]
    frame.report(
        options,
        frame.table(title, _stages(measured, options.epochs), left=2),
        "",
        frame.table("", compared, left=2),
        hyperparameters=asdict(hyperparameters),
        **asdict(measured),
        ratios={name: {**asdict(ratio), "target": target} for name, (ratio, target) in ratios.items()},
    )


def measure(
    data: Path, place: Path, hyperparameters: Hyperparameters, rounds: int, reporter: Reporter
) -> Measured:
    """Run all processes, with files in `place`. Raises BenchmarkError if one fails."""
    matrix = str(place / "matrix.npz")
    asked = json.dumps(asdict(hyperparameters))
    ways = [
        ("the bare fit", BARE_FIT, matrix, asked),
        ("the trainer", _TRAIN, str(data), str(place / "volume"), asked),
    ]
    with reporter.step("Rounds", 1 + rounds) as advance:
        said = run_part("the reader", _READ, str(data), matrix)
        advance(1)
        bare, trained = frame.alternating(
            rounds, ways, lambda ordered, _: [Stages(**run_part(*way)) for way in ordered], advance
        )
    return Measured(said["subject"], Stages(**said["stages"]), bare, trained)


def read(data: str, matrix: str) -> None:
    """Read the files, and create and save the matrix. Prints the measurements."""
    stages = Stages()
    with stages.stage("read"):
        interactions = read_interactions(Path(data))
    with stages.stage("dataset"):
        dataset = build_dataset(
            interactions, items=FeatureTable(), users=FeatureTable(), splitting=Splitting("none", 0)
        )
    sp.save_npz(matrix, dataset.train, compressed=False)
    subject = {
        "rows": len(interactions),
        "file_bytes": sum(file.stat().st_size for file in data_files(Path(data))),
        "users": len(dataset.users),
        "items": len(dataset.items),
        "pairs": int(dataset.train.nnz),
    }
    print(json.dumps({"subject": subject, "stages": asdict(stages)}))


def train(data: str, volume: str, hyperparameters: str) -> None:
    """Run a training until its fit has ended. Prints the measurements."""
    until_fitted = _UntilFitted()
    own = json.loads(hyperparameters)
    spec = TrainingSpec(
        data=DataSpec(interactions=data, split="none"),
        model="lightfm",
        users_by="trained",
        settings={"max_sampled": str(own.pop("max_sampled"))},
        hyperparameters=GivenHyperparameters(**own),
    )
    unused = Path(volume)
    with contextlib.suppress(_FittedError):
        train_and_publish(spec, Places(Volume(unused), unused, unused), reporter=until_fitted)
    print(json.dumps(asdict(until_fitted.stages)))


class _FittedError(Exception):
    """Ends a training run after its fit."""


class _UntilFitted(Silent):
    """Measures the stages of a training run up to its fit."""

    def __init__(self) -> None:
        self.stages = Stages()
        self._current = contextlib.ExitStack()

    def stage(self, name: str) -> None:
        """See Reporter."""
        self._current.close()
        if name == "evaluate":
            raise _FittedError
        self._current.enter_context(self.stages.stage(name))


def needed_memory(spec: InteractionsSpec, hyperparameters: Hyperparameters) -> int:
    """Estimate the bytes of memory of the largest process."""
    # LightFM has three float32 arrays for each side, and draws those of the larger side in float64.
    model = (spec.users + spec.items) * hyperparameters.components * 12
    drawn = max(spec.users, spec.items) * hyperparameters.components * 12
    fit = model + drawn + spec.interactions * FIT_ROW_BYTES
    return BASE_BYTES + max(fit, spec.interactions * READ_ROW_BYTES)


def run_part(name: str, code: str, *arguments: str) -> dict[str, Any]:
    """Run code in another interpreter. Returns the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode < 0:
        killed = signal.Signals(-done.returncode).name
        hint = " (is there enough memory?)" if killed == "SIGKILL" else ""
        raise BenchmarkError(f"{name} was killed by {killed}{hint}")
    if done.returncode:
        raise BenchmarkError(f"{name} failed: {frame.last_line(done.stderr)}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _spec(options: argparse.Namespace) -> InteractionsSpec:
    """Return the options of the synthetic data, or options of about the size of --data."""
    rows = options.interactions
    if options.data is not None:
        try:
            rows = sum(pq.read_metadata(file).num_rows for file in data_files(options.data))
        except pa.ArrowException as error:
            raise InputError(options.data, f"can't be read as Parquet: {error}") from error
    each = max(1, rows // INTERACTIONS_EACH)
    clusters = min(each, InteractionsSpec.clusters)
    return InteractionsSpec(
        users=each, items=each, interactions=rows, seed=options.seed, clusters=clusters
    )


def _stages(measured: Measured, epochs: int) -> Iterator[dict[str, str]]:
    processes = {"reading": [measured.reading], "bare fit": measured.bare, "trainer": measured.trainer}
    for name, rounds in processes.items():
        for stage in rounds[0].seconds:
            # An epoch goes over pairs. Repeated rows are one pair.
            parts, of = (epochs, "pairs") if stage == "fit" else (1, "rows")
            count = measured.subject[of]
            seconds, cpu_seconds, peak = (
                float(np.median([getattr(one, figure)[stage] for one in rounds]))
                for figure in ("seconds", "cpu_seconds", "peak_bytes")
            )
            yield {
                "process": name,
                "stage": "fit, an epoch" if stage == "fit" else stage,
                "s": f"{seconds / parts:,.2f}",
                "CPU s": f"{cpu_seconds / parts:,.2f}",
                "interactions/s": f"{count * parts / seconds:,.0f}",
                "peak memory, MB": f"{peak / 1e6:,.0f}",
            }


if __name__ == "__main__":
    frame.run(main)
