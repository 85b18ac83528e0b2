"""Checks whether the service kept its promises during a campaign."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.load.callers import Call
from tests.load.campaign import POLL_SECONDS, Observations, Switch

# Open files, maps and memory must be flat over this many of the last reloads.
FLAT_RELOADS = 20
# Python's allocator and the kernel's accounting vary by some pages.
_FLAT_BYTES = 1 << 20
_FLAT_SHARE = 0.03
_SWITCH_SECONDS = 1.0
_P99_RATIO = 1.5


@dataclass(frozen=True)
class Verdict:
    """The verdict on one promise. `kept` is None if the campaign was too short to tell."""

    promise: str
    kept: bool | None
    measured: str


@dataclass(frozen=True)
class PhaseRow:
    """The calls of one phase. Latencies are in milliseconds, of answered calls of plain callers."""

    phase: str
    plain: int
    plain_failed: int
    careful: int
    careful_failed: int
    median: float
    p99: float


def phase_rows(calls: Sequence[Call], seen: Observations) -> list[PhaseRow]:
    """Return the calls of each phase, by the time when they started."""
    rows = []
    for phase, (began, ended) in seen.phases.items():
        own = [call for call in calls if began <= call.started < ended]
        plain = [call for call in own if not call.careful]
        careful = [call for call in own if call.careful]
        failed = (sum(call.code != "OK" for call in some) for some in (plain, careful))
        answered = [call.seconds * 1000 for call in plain if call.code == "OK"] or [math.nan]
        latencies = map(float, np.percentile(answered, [50, 99]))
        rows.append(PhaseRow(phase, len(plain), next(failed), len(careful), next(failed), *latencies))
    return rows


def judge(calls: Sequence[Call], seen: Observations, exit_status: int, left: int) -> list[Verdict]:
    """Return the verdict on each promise.

    `calls` are all calls of the campaign. `left` is the number of processes left at its end.
    """
    killing_began, killing_ended = seen.phases["kill workers"]
    before_kills = [call for call in calls if call.started + call.seconds < killing_began]
    return [
        no_failures("no failed call without retries, before workers are killed", before_kills),
        no_failures(
            "no failed call of our client, even while workers are killed",
            [call for call in calls if call.careful and call.started < killing_ended],
        ),
        right_answers(calls, seen),
        outcomes(
            "the status names each fault, and the earlier version stays in service", "faults", seen
        ),
        _quick_switches(calls, seen.switches),
        _every_worker_flat(seen),
        _steady_latency(calls, seen),
        Verdict("SIGTERM: exit status 0, no process left", exit_status == left == 0,
                f"exit status {exit_status}, {left} processes left"),
    ]  # fmt: skip


def no_failures(promise: str, calls: Iterable[Call]) -> Verdict:
    """Judge whether each of these calls was answered."""
    calls = list(calls)
    failed = Counter(f"{call.code} {call.details[:60]}" for call in calls if call.code != "OK")
    examples = "; ".join(f"{count} x {text}" for text, count in failed.most_common(3))
    return Verdict(
        promise,
        not failed,
        f"{failed.total()} of {len(calls):,} failed" + (f": {examples}" if failed else ""),
    )


def right_answers(calls: Sequence[Call], seen: Observations) -> Verdict:
    """Judge whether each answer is the right one for its version."""
    problems: Counter[str] = Counter()
    checked = 0
    for call in calls:
        if call.code != "OK":
            continue
        checked += 1
        model = seen.models.get(call.version)
        problem = (
            f"version {call.version!r}, which was never valid"
            if model is None
            else model.problem(call.kind, call.asked, call.item_ids, call.scores)
        )
        if problem:
            problems[f"{call.kind}: {problem}"] += 1
    return Verdict(
        "every answer is exactly right for the version that it names",
        not problems and checked > 0,
        f"{checked:,} checked, {len({call.version for call in calls} - {''})} versions"
        + "".join(f"; {count} x {problem}" for problem, count in problems.most_common(3)),
    )


def answers(calls: Sequence[Call], switch: Switch, start: float, end: float) -> tuple[int, int]:
    """Count the calls that ran between two times, and those among them with another version."""
    own = [
        call.version
        for call in calls
        if start < call.started and call.started + call.seconds < end and call.code == "OK"
    ]
    return len(own), sum(version != switch.version for version in own)


def outcomes(promise: str, noun: str, seen: Observations) -> Verdict:
    """Judge whether all other attempts had the right result."""
    wrong = [f"{what}: {outcome}" for what, outcome in seen.outcomes if outcome.startswith("wrong")]
    return Verdict(promise, not wrong, "; ".join([f"{len(seen.outcomes)} {noun}", *wrong]))


def _quick_switches(calls: Sequence[Call], switches: Sequence[Switch]) -> Verdict:
    limit = POLL_SECONDS + _SWITCH_SECONDS
    slowest = max(
        switch.all_serve_at - switch.moved_at - switch.held_seconds for switch in switches[1:]
    )
    spread = max(switch.commit_spread_seconds for switch in switches)
    # Judge by the answers to the callers, not by the service's own report.
    ends = [*(following.moved_at for following in switches[2:]), math.inf]
    late = sum(
        answers(calls, switch, switch.moved_at + switch.held_seconds + limit, end)[1]
        for switch, end in zip(switches[1:], ends, strict=True)
    )
    return Verdict(
        f"all workers serve a new version within one polling interval ({POLL_SECONDS} s) and 1 s",
        slowest <= limit and not late,
        f"{len(switches)} switches, the slowest took {slowest:.2f} s; {late} answers were late; "
        f"workers committed within {spread * 1000:.1f} ms of one another",
    )


def _every_worker_flat(seen: Observations) -> Verdict:
    promise = f"open files, maps and private memory are flat over the last {FLAT_RELOADS} reloads"
    if len(seen.resources) < FLAT_RELOADS + 5:
        return Verdict(promise, None, f"only {len(seen.resources)} reloads")
    last = seen.resources[-FLAT_RELOADS:]
    kept, texts = True, []
    for name in last[0]:
        first_half = [each[name] for each in last[: FLAT_RELOADS // 2]]
        second_half = [each[name] for each in last[FLAT_RELOADS // 2 :]]
        # During a reload, the earlier version is open, too. The lowest count leaves that out.
        files = [min(r.files for r in half) for half in (first_half, second_half)]
        maps = [min(r.maps for r in half) for half in (first_half, second_half)]
        private = [
            int(np.median([r.private_bytes for r in half])) for half in (first_half, second_half)
        ]
        kept &= files[1] <= files[0] and maps[1] <= maps[0]
        kept &= private[1] - private[0] <= max(_FLAT_BYTES, private[0] * _FLAT_SHARE)
        texts.append(
            f"{name}: {files[0]} -> {files[1]} files, {maps[0]} -> {maps[1]} maps, "
            f"{private[0] / 1e6:.1f} -> {private[1] / 1e6:.1f} MB"
        )
    return Verdict(promise, kept, "; ".join(texts))


def _steady_latency(calls: Sequence[Call], seen: Observations) -> Verdict:
    rows = {row.phase: row for row in phase_rows(calls, seen)}
    steady, switch = rows["publish only"], rows["publish and switch"]
    ratio = switch.p99 / steady.p99
    # With a few hundred calls, one or two of them decide the 99th percentile.
    enough = min(steady.plain, switch.plain) >= 1000
    return Verdict(
        f"p99 latency during reloads is at most {_P99_RATIO} times the p99 without reloads",
        ratio <= _P99_RATIO if enough else None,
        f"{steady.p99:.2f} ms without, {switch.p99:.2f} ms during reloads: {ratio:.2f} times"
        + ("" if enough else ", but there were too few calls to tell"),
    )
