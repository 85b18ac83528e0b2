"""Every kind of damage once, then cases that chance draws until the time is over."""

import shlex
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import tests.hostile.damages  # noqa: F401 - registers the kinds
from tests.hostile.bench import Bench, ImpossibleError, Tried
from tests.hostile.damage import Case, Kind, drawn, plainest

_SHOWN = 400


class Campaign:
    """Tries cases on a bench, and notes what comes of them."""

    def __init__(
        self, bench: Bench, kinds: Sequence[Kind], *, seed: int, keep: Path | None = None
    ) -> None:
        self.outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self.findings: dict[tuple[str, str], Tried] = {}
        self.cases = 0
        self._bench = bench
        self._kinds = kinds
        self._seed = seed
        self._keep = keep
        self._known: dict[str, Tried] = {}

    def run(self, seconds: float) -> None:
        begun = told = time.monotonic()
        for case in self._cases(begun + seconds):
            self._note(case)
            now = time.monotonic()
            if now > told + 10:
                told = now
                _tell(f"{now - begun:.0f} s: {self.cases} cases, {len(self.findings)} findings")

    def _cases(self, end: float) -> Iterator[Case]:
        yield from map(plainest, self._kinds)
        random = Random(self._seed)  # noqa: S311 - chance that can be repeated
        while time.monotonic() < end:
            case = drawn(random, self._kinds)
            if case.text() not in self._known:
                yield case

    def _note(self, case: Case) -> None:
        tried = self._try(case)
        if tried is None:
            return
        self.cases += 1
        for own in case.kinds:
            self.outcomes[own.name][tried.verdict.outcome] += 1
        if tried.verdict.outcome != "finding":
            return
        tried = self._alone(tried)
        verdict = tried.verdict
        key = (" + ".join(own.name for own in tried.case.kinds), verdict.why)
        if key in self.findings:
            return
        self.findings[key] = tried
        detail = ascii(verdict.detail[:_SHOWN])
        self._keep = self._keep or Path(tempfile.mkdtemp(prefix="hostile-findings-"))
        kept = self._keep / f"finding-{len(self.findings)}"
        _tell(f"FINDING {key[0]}: {verdict.why}: {detail}")
        _tell(f"  --case {shlex.quote(tried.case.text())}; its files are in {kept}")
        # What is there now tells what the command was and what it said.
        self._bench.try_case(tried.case, keep=kept)

    def _try(self, case: Case) -> Tried | None:
        text = case.text()
        if text not in self._known:
            try:
                self._known[text] = self._bench.try_case(case)
            except ImpossibleError:
                return None
        return self._known[text]

    def _alone(self, tried: Tried) -> Tried:
        """One of its damages that is a finding by itself, the same if there is one."""
        alone = [self._try(replace(tried.case, damages=(own,))) for own in tried.case.damages]
        found = [own for own in alone if own is not None and own.verdict.outcome == "finding"]
        return next((own for own in found if own.verdict.why == tried.verdict.why), (*found, tried)[0])


def _tell(text: str) -> None:
    print(text, flush=True)
