"""Every kind of damage once, then cases that chance draws until the time is over."""

import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import tests.hostile.damages  # noqa: F401 - registers the kinds
from tests.hostile.bench import Bench, ImpossibleError, Tried
from tests.hostile.damage import KINDS, Case, Kind, drawn, plainest

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
        random = Random(self._seed)  # noqa: S311 - chance that can be repeated
        while time.monotonic() < end:
            case = drawn(random, self._kinds)
            if case.text() not in self._known:
                yield case

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

    def _save(self, tried: Tried, folder: Path) -> None:
        self._bench.try_case(tried.case, keep=folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "case.json").write_text(tried.case.text() + "\n")
        (folder / "command.txt").write_text(" ".join(tried.command) + "\n")
        (folder / "said.txt").write_text(tried.said)


def _printable(text: str) -> str:
    return "".join(own if own.isprintable() else ascii(own)[1:-1] for own in text)


def _same(one: Tried, other: Tried) -> bool:
    return (one.verdict.outcome, one.verdict.why) == (other.verdict.outcome, other.verdict.why)


def chosen(names: Sequence[str]) -> list[Kind]:
    return [own for own in KINDS.values() if not names or any(name in own.name for name in names)]
