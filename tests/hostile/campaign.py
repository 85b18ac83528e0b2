"""Every kind of damage once, then cases that hypothesis draws until the time is over."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis.errors import NoSuchExample, Unsatisfiable

import tests.hostile.damages  # noqa: F401 - registers the kinds
from tests.hostile.bench import Bench, ImpossibleError, Tried
from tests.hostile.damage import KINDS, Case, Kind, cases, plainest

_BATCH = 25
# To make a finding's example smaller.
_MOST_TRIES = 12
_SHOWN = 400


@dataclass
class Report:
    """What came of a campaign."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    findings: dict[tuple[str, str], Tried] = field(default_factory=dict)
    cases: int = 0
    seconds: float = 0.0


class Campaign:
    """Tries cases on a bench, and notes what comes of them."""

    def __init__(
        self,
        bench: Bench,
        *,
        kinds: Sequence[Kind],
        seed: int,
        keep: Path | None = None,
        tell: Callable[[str], None] = print,
    ) -> None:
        self.report = Report()
        self._bench = bench
        self._kinds = kinds
        self._seed = seed
        self._keep = keep
        self._tell = tell
        self._known: dict[str, Tried] = {}

    def run(self, seconds: float) -> Report:
        begun = time.monotonic()
        end = begun + seconds
        told = begun
        for case in self._cases(end):
            self._note(case)
            if time.monotonic() > told + 10:
                told = time.monotonic()
                tried, findings = self.report.cases, len(self.report.findings)
                self._tell(f"{told - begun:.0f} s: {tried} cases, {findings} findings")
        self.report.seconds = time.monotonic() - begun
        return self.report

    def _cases(self, end: float) -> Iterator[Case]:
        for own in self._kinds:
            yield plainest(own)
        batch = 0
        while time.monotonic() < end:
            for case in drawn(self._kinds, seed=self._seed + batch * 1_000_003, count=_BATCH):
                if time.monotonic() >= end:
                    return
                if case.text() not in self._known:
                    yield case
            batch += 1

    def _note(self, case: Case) -> None:
        tried = self._try(case)
        if tried is None:
            return
        self.report.cases += 1
        verdict = tried.verdict
        for own in case.kinds:
            self.report.outcomes.setdefault(own.name, Counter())[verdict.outcome] += 1
        if verdict.outcome != "finding":
            return
        tried = self._alone(tried)
        key = (" + ".join(own.name for own in tried.case.kinds), tried.verdict.why)
        if key in self.report.findings:
            return
        tried = self._smallest(tried)
        self.report.findings[key] = tried
        self._tell(f"FINDING {key[0]}: {key[1]}: {_printable(tried.verdict.detail[:_SHOWN])}")
        self._tell(f"  --case {shlex.quote(tried.case.text())}")
        if self._keep is not None:
            self._save(tried, self._keep / f"finding-{len(self.report.findings)}")

    def _try(self, case: Case) -> Tried | None:
        text = case.text()
        if text not in self._known:
            try:
                self._known[text] = self._bench.try_case(case)
            except ImpossibleError:
                return None
        return self._known[text]

    def _alone(self, tried: Tried) -> Tried:
        if len(tried.case.damages) == 1:
            return tried
        alone = [self._try(case) for case in tried.case.alone()]
        found = [own for own in alone if own is not None and own.verdict.outcome == "finding"]
        return next((own for own in found if _same(own, tried)), found[0] if found else tried)

    def _smallest(self, tried: Tried) -> Tried:
        tries = 0
        best = tried

        def is_same(case: Case) -> bool:
            nonlocal tries, best
            if {own.name for own in case.kinds} != {own.name for own in tried.case.kinds}:
                return False
            if case.text() not in self._known:
                if tries >= _MOST_TRIES:
                    return False
                tries += 1
            other = self._try(case)
            if other is None or not _same(other, tried):
                return False
            best = other
            return True

        random = Random(self._seed)  # noqa: S311 - chance that can be repeated
        strategy = cases(tried.case.kinds, most=len(tried.case.damages))
        with contextlib.suppress(NoSuchExample, Unsatisfiable):
            hypothesis.find(strategy, is_same, settings=_settings(_BATCH), random=random)
        return best

    def _save(self, tried: Tried, folder: Path) -> None:
        self._bench.try_case(tried.case, keep=folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "case.json").write_text(tried.case.text() + "\n")
        (folder / "command.txt").write_text(" ".join(tried.command) + "\n")
        (folder / "said.txt").write_text(tried.said)


def drawn(kinds: Sequence[Kind], *, seed: int, count: int) -> list[Case]:
    found: list[Case] = []

    @hypothesis.seed(seed)
    @_settings(count)
    @hypothesis.given(cases(kinds))
    def draw(case: Case) -> None:
        found.append(case)

    draw()
    return found


def _settings(count: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )


def _printable(text: str) -> str:
    return "".join(own if own.isprintable() else ascii(own)[1:-1] for own in text)


def _same(one: Tried, other: Tried) -> bool:
    return (one.verdict.outcome, one.verdict.why) == (other.verdict.outcome, other.verdict.why)


def chosen(names: Sequence[str]) -> list[Kind]:
    return [own for own in KINDS.values() if not names or any(name in own.name for name in names)]
