"""Whether the service kept its promises during a campaign."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.load.callers import Call
from tests.load.campaign import POLL_SECONDS, Observations, Switch

# Over how many of the last reloads files, maps and memory are to be flat.
FLAT_RELOADS = 20
# Python's allocator and the kernel's accounting move by some pages all the time.
_FLAT_BYTES = 1 << 20
_FLAT_SHARE = 0.03
_SWITCH_SECONDS = 1.0
_P99_RATIO = 1.5


@dataclass(frozen=True)
class Verdict:
    """One promise; `kept` is None where the campaign was too short to tell."""

    promise: str
    kept: bool | None
    measured: str


@dataclass(frozen=True)
class PhaseRow:
    """The calls of one phase; latencies in milliseconds, of the plain callers' answered calls."""

    phase: str
    plain: int
    plain_failed: int
    careful: int
    careful_failed: int
    median: float
    p99: float


def phase_rows(calls: Sequence[Call], seen: Observations) -> list[PhaseRow]:
    """Calls by the phase in which they started."""
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
    """Every promise. `calls` are those of the whole campaign, `left` the processes left at its end."""
    killing_began, killing_ended = seen.phases["kill workers"]
    before_kills = [call for call in calls if call.started + call.seconds < killing_began]
    return [
        no_failures("no failed call before workers are killed, without retries", before_kills),
        no_failures(
            "no failed call through our client, also while workers are killed",
            [call for call in calls if call.careful and call.started < killing_ended],
        ),
        right_answers(calls, seen),
        outcomes(
            "each fault is named in the status, and the version before it serves on", "faults", seen
        ),
        _quick_switches(calls, seen.switches),
        _every_worker_flat(seen),
        _steady_latency(calls, seen),
        Verdict("SIGTERM: exit status 0, no process left", exit_status == left == 0,
                f"exit status {exit_status}, {left} processes left"),
    ]  # fmt: skip


def no_failures(promise: str, calls: Iterable[Call]) -> Verdict:
    """Whether each of these calls was answered."""
    calls = list(calls)
    failed = Counter(f"{call.code} {call.details[:60]}" for call in calls if call.code != "OK")
    examples = "; ".join(f"{count} x {text}" for text, count in failed.most_common(3))
    return Verdict(
        promise,
        not failed,
        f"{failed.total()} of {len(calls):,} failed" + (f": {examples}" if failed else ""),
    )


def right_answers(calls: Sequence[Call], seen: Observations) -> Verdict:
    """Whether each answer is the one that its version has to give."""
    problems: Counter[str] = Counter()
    checked = 0
    for call in calls:
        if call.code != "OK":
            continue
        checked += 1
        model = seen.models.get(call.version)
        problem = (
            f"version {call.version!r}, which was never whole"
            if model is None
            else model.problem(call.kind, call.asked, call.item_ids, call.scores)
        )
        if problem:
            problems[f"{call.kind}: {problem}"] += 1
    return Verdict(
        "every answer is exactly right for the version it names",
        not problems and checked > 0,
        f"{checked:,} checked, {len({call.version for call in calls} - {''})} versions"
        + "".join(f"; {count} x {problem}" for problem, count in problems.most_common(3)),
    )


def answers(calls: Sequence[Call], switch: Switch, start: float, end: float) -> tuple[int, int]:
    """How many calls were answered wholly between two times, and how many from another version."""
    own = [
        call.version
        for call in calls
        if start < call.started and call.started + call.seconds < end and call.code == "OK"
    ]
    return len(own), sum(version != switch.version for version in own)


def outcomes(promise: str, noun: str, seen: Observations) -> Verdict:
    """Whether all else that was tried came out right."""
    wrong = [f"{what}: {outcome}" for what, outcome in seen.outcomes if outcome.startswith("wrong")]
    return Verdict(promise, not wrong, "; ".join([f"{len(seen.outcomes)} {noun}", *wrong]))


def _quick_switches(calls: Sequence[Call], switches: Sequence[Switch]) -> Verdict:
    limit = POLL_SECONDS + _SWITCH_SECONDS
    slowest = max(
        switch.all_serve_at - switch.moved_at - switch.held_seconds for switch in switches[1:]
    )
    spread = max(switch.commit_spread_seconds for switch in switches)
    # What callers see, not what the service says of itself.
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
        # While a version comes, the one before it is still open: the lowest count is what stays.
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
    # The 99th percentile of a few hundred calls is one or two of them.
    enough = min(steady.plain, switch.plain) >= 1000
    return Verdict(
        f"p99 latency during reloads is at most {_P99_RATIO} times the steady one",
        ratio <= _P99_RATIO if enough else None,
        f"{steady.p99:.2f} ms without, {switch.p99:.2f} ms during reloads: {ratio:.2f} times"
        + ("" if enough else ", of too few calls to tell"),
    )
