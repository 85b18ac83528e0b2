"""What came of a run: refused, gated, warned of or harmless; anything else is a finding.

Harmless is what users wouldn't notice: who looks at the version that the label names finds the same
titles, attributes and names of features, and users get as much of what they would like.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lightfm_retriever.publication.reader import Publication, open_publication
from lightfm_retriever.publication.vectors.vector_space import user_queries
from trainer.promotion.content import content_of

Outcome = Literal["refused", "gated", "warned", "harmless", "finding"]
OUTCOMES: tuple[Outcome, ...] = ("refused", "gated", "warned", "harmless", "finding")

_KEPT = 0.9
"""Of the good version's precision, titles, attributes and names of features."""

_RAW = re.compile(r"^\S+:\d+: \w*Warning: .*$|^Traceback .*$", re.MULTILINE)
_K = 10


@dataclass(frozen=True)
class Looks:
    """What users and callers see of a version."""

    precision: float
    facts: frozenset[str]


@dataclass(frozen=True)
class Run:
    """What a run did and said.

    Attributes:
        status: exit status; None when it raised something.
        said: standard output and standard error.
        added: versions that the volume has and hadn't before.
        looks: of the version that the label names now; None when it hasn't moved.
    """

    status: int | None
    said: str
    added: Sequence[str]
    looks: Looks | None


@dataclass(frozen=True)
class Verdict:
    """A judgement."""

    outcome: Outcome
    why: str
    detail: str = ""


@dataclass(frozen=True)
class Expected:
    """What a run is held against.

    Attributes:
        causes: patterns, one of which a refusal or a warning has to hold.
        good: looks of the good version.
        usual: warnings of the run on undamaged input, as `plain` gives them.
        accepted: whether the input is still good, so that it has to be published.
        told: whether the run has to fail or warn though users may notice nothing.
    """

    causes: Sequence[str]
    good: Looks
    usual: Collection[str] = ()
    accepted: bool = False
    told: bool = False


def judge(run: Run, expected: Expected) -> Verdict:
    if raw := _RAW.search(run.said):
        return Verdict("finding", "a raw warning or traceback", raw.group())
    if run.status not in (0, 1, 3):
        return Verdict("finding", f"exit status {run.status}", last_line(run.said))
    if run.status and run.looks:
        return Verdict("finding", f"exit status {run.status}, and the label moved")
    if run.status == 1 and run.added:
        return Verdict("finding", "refused, and a version is published", last_line(run.said))
    if run.status:
        return _stopped(run, expected)
    if run.looks is None:
        return Verdict("finding", "exit status 0, and the label isn't moved", last_line(run.said))
    new = [own for own in warnings_of(run.said) if plain(own) not in expected.usual]
    for own in new:
        if _names(own, expected.causes):
            return Verdict("warned", own)
    return _silent(run.looks, expected)


def _stopped(run: Run, expected: Expected) -> Verdict:
    if run.status == 1:
        outcome: Outcome = "refused"
        # An error may have several lines, and it is the last thing that is said.
        _, found, error = f"\n{run.said}".rpartition("\nerror: ")
        reasons = told = [f"error: {error.strip()}"] if found else []
    else:
        outcome = "gated"
        reasons = [line for line in run.said.splitlines() if line.startswith("gate FAILED: ")]
        # What was warned of before a gate failed is told as well.
        told = [*reasons, *warnings_of(run.said)]
    reason = " / ".join(reasons) or last_line(run.said)
    if expected.accepted:
        return Verdict("finding", f"{outcome}, though the input is good", reason)
    if not any(_names(own, expected.causes) for own in told):
        return Verdict("finding", f"{outcome}, and no word of the cause", reason)
    return Verdict(outcome, reason)


def _silent(looks: Looks, expected: Expected) -> Verdict:
    good = expected.good
    share = looks.precision / good.precision
    if share < _KEPT:
        figures = f"precision@10 {looks.precision:.4f}, of the good version {good.precision:.4f}"
        return Verdict("finding", "worse, and no word of the cause", figures)
    lost = good.facts - looks.facts
    if len(lost) > (1 - _KEPT) * len(good.facts) or any(own.startswith("kind ") for own in lost):
        shown = ", ".join(sorted(lost)[:3])
        figures = f"{len(lost)} of {len(good.facts)} are gone, such as {shown}"
        return Verdict("finding", "attributes, titles or features lost, and no word of it", figures)
    if expected.told:
        return Verdict("finding", "no word of what is surely wrong")
    return Verdict("harmless", f"precision@10 {share:.0%} of the good version's")


def _names(text: str, causes: Sequence[str]) -> bool:
    return any(re.search(cause, text, re.IGNORECASE) for cause in causes)


def warnings_of(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("warning: ")]


def plain(warning: str) -> str:
    return re.sub(r"\d+", "#", warning)


def last_line(said: str) -> str:
    return said.strip().rpartition("\n")[2] or "(it said nothing)"


def look_at(volume: Path, version: str, held_out: Mapping[str, Collection[str]]) -> Looks:
    opened = open_publication(volume, version)
    return Looks(_precision(opened, held_out), frozenset(_facts(opened)))


def _precision(opened: Publication, held_out: Mapping[str, Collection[str]]) -> float:
    items = [opened.items.external_id(row) for row in range(len(opened.items))]
    with np.errstate(all="ignore"):
        scores = user_queries(np.asarray(opened.user_vectors)) @ np.asarray(opened.item_vectors).T
    hits = 0
    for user, wanted in held_out.items():
        if (row := opened.users.row(user)) is not None:
            own = scores[row]
            own[opened.seen[row]] = -np.inf
            best = np.argsort(-own, kind="stable")[:_K].tolist()
            hits += sum(items[item] in wanted for item in best if own[item] > -np.inf)
    return hits / (_K * len(held_out))


def _facts(opened: Publication) -> list[str]:
    content = content_of(opened)
    facts = [f"kind of {name}: {kind}" for name, kind in content.attributes.items()]
    facts += [f"{column}:{value}" for column, own in content.names.items() for value in own]
    attributes = opened.attributes
    for row in range(len(opened.items)):
        item = opened.items.external_id(row)
        if content.title is not None:
            facts.append(f"title of {item}: {content.title(row)}")
        for position, own in enumerate(opened.manifest.attributes):
            assert attributes is not None
            if own.kind == "number":
                facts.append(f"{own.name} of {item}: {attributes.number(position, row)}")
            else:
                facts += [f"{own.name} of {item}: {text}" for text in attributes.texts(position, row)]
    return facts
