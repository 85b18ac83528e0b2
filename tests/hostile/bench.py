"""A volume whose label names a good version: each case tries to replace that, and is undone."""

import contextlib
import functools
import io
import os
import shutil
import sqlite3
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lightfm_retriever.publication import labels, reader
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.removal import delete_version
from lightfm_retriever.publication.vectors.vector_space import split_biases
from tests.hostile.damage import Case, apply
from tests.hostile.draft import Draft, Vectors
from tests.hostile.good import Good
from tests.hostile.judge import Expected, Looks, Run, Verdict, judge, look_at, plain, warnings_of
from tests.hostile.writing import VECTORS, write
from trainer.errors import TrainerError

QUICK = ["--components", "8", "--epochs", "10"]
COMMON = ["--seed", "1", "--index-threads", "1", "--backend", "exact"]
_LABEL = "current"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
_LEAST_BYTES = 1 << 28
# Such as a column that another damage took away, or values that it made text.
_OUR_FAULT = (
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OverflowError,
    TypeError,
    ValueError,
    sqlite3.Error,
)


class ImpossibleError(Exception):
    """Two damages that can't both be done, such as to a column that the first took away."""


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    in_memory = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _LEAST_BYTES
    with tempfile.TemporaryDirectory(prefix="hostile-", dir=_MEMORY if in_memory else None) as folder:
        yield Path(folder)


@dataclass(frozen=True)
class _Baseline:
    """A good version: what a case is to replace."""

    version: str
    looks: Looks
    usual: frozenset[str]


@dataclass(frozen=True)
class Tried:
    """What came of a case; `command` and `said` are those of its run."""

    case: Case
    verdict: Verdict
    command: Sequence[str]
    said: str


class Bench:
    """Runs cases on a volume of its own."""

    def __init__(self, folder: Path, main: Callable[[Sequence[str]], int], *, now: float) -> None:
        self._folder = folder
        self.volume = folder / "volume"
        self.volume.mkdir(parents=True)
        self._main = main
        self._good = functools.cache(partial(Good, now=now))
        self._baselines: dict[tuple[str, bool, tuple[str, ...]], _Baseline] = {}

    def try_case(self, case: Case, *, keep: Path | None = None) -> Tried:
        """Damage the good input, run, judge, and leave the volume as it was."""
        folder = self._folder / "case"
        draft, causes, written = self._damaged(case, folder)
        baseline = self._baseline(draft)
        labels.promote(self.volume, baseline.version, label=_LABEL)
        before = set(reader.list_versions(self.volume))
        command, status, said = self._run(written, folder)
        added = sorted(set(reader.list_versions(self.volume)) - before)
        label = labels.read_label(self.volume, _LABEL)
        held_out = self._good(case.style).held_out
        looks = look_at(self.volume, label, held_out) if label != baseline.version else None
        verdict = judge(
            Run(status, said.replace(f"{folder}/", ""), added, looks),
            Expected(causes, baseline.looks, baseline.usual, case.accepted, case.told),
        )
        labels.promote(self.volume, baseline.version, label=_LABEL)
        for version in added:
            delete_version(self.volume, version)
        if keep is not None and verdict.outcome == "finding":
            shutil.copytree(folder, keep, dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        return Tried(case, verdict, command, said)

    def _damaged(self, case: Case, folder: Path) -> tuple[Draft, list[str], list[str] | TrainerError]:
        draft = Draft.of(self._good(case.style), case.source, seed=case.seed)
        if case.source == VECTORS:
            self._add_vectors(draft)
        causes = []
        try:
            causes = apply(case, draft)
            return draft, causes, write(draft, folder)
        except TrainerError as error:
            return draft, causes, error
        except _OUR_FAULT as error:
            shutil.rmtree(folder, ignore_errors=True)
            # A single damage is always possible.
            if len(case.damages) == 1:
                raise
            raise ImpossibleError(str(error)) from error

    def _add_vectors(self, draft: Draft) -> None:
        baseline = self._baseline(Draft.of(self._good(draft.style), "csv", seed=0))
        opened = open_publication(self.volume, baseline.version)
        for side, ids, vectors in (
            ("item", opened.items, opened.item_vectors),
            ("user", opened.users, opened.user_vectors),
        ):
            names = [ids.external_id(row) for row in range(len(ids))]
            draft.sides[side] = Vectors(*split_biases(np.array(vectors)), names)
        held_out = self._good(draft.style).held_out.items()
        draft.held_out = {
            "user_id": [user for user, items in held_out for _ in items],
            "item_id": [item for _, items in held_out for item in sorted(items)],
        }

    def _baseline(self, damaged: Draft) -> _Baseline:
        key = (damaged.style, damaged.source == VECTORS, tuple(damaged.recipes))
        if key not in self._baselines:
            draft = Draft.of(self._good(damaged.style), VECTORS if key[1] else "csv", seed=0)
            draft.recipes = damaged.recipes
            if key[1]:
                self._add_vectors(draft)
            before = set(reader.list_versions(self.volume))
            folder = self._folder / "good"
            _, status, said = self._run(write(draft, folder), folder, "--no-label")
            shutil.rmtree(folder)
            added = set(reader.list_versions(self.volume)) - before
            assert status == 0, f"the good input fails: {said}"
            (version,) = added
            looks = look_at(self.volume, version, self._good(draft.style).held_out)
            usual = frozenset(map(plain, warnings_of(said)))
            self._baselines[key] = _Baseline(version, looks, usual)
        return self._baselines[key]

    def _run(
        self, written: list[str] | TrainerError, folder: Path, *flags: str
    ) -> tuple[list[str], int | None, str]:
        if isinstance(written, TrainerError):
            return ["append"], 1, f"error: {written}\n"
        command = [*written, *COMMON, *flags, "--volume", str(self.volume)]
        if command[0] == "train":
            command += QUICK
            if "--state" not in command:
                command += ["--state", str(folder / "state")]
        said = io.StringIO()
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            warnings.catch_warnings(),
        ):
            # Each time, not once for each place.
            warnings.simplefilter("always")
            try:
                status = self._main(command)
            except SystemExit as error:
                status = error.code if isinstance(error.code, int) else 1
            except Exception:
                traceback.print_exc()
                status = None
        return command, status, said.getvalue()
