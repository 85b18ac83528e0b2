"""From files of any model's vectors to a label, top to bottom."""

from __future__ import annotations

import contextlib

from publication import layout
from publication.errors import LabelError
from publication.volume import Volume
from publication.writer import Staging
from trainer import predecessor
from trainer.content import Content, columns_of, union, values_of
from trainer.gates import GateResult, Gates
from trainer.indexing import Indexing
from trainer.own_vectors import OwnVectors, read_own_vectors
from trainer.progress import Reporter
from trainer.promotion import (
    Checked,
    check_content,
    check_version,
    expected_of,
    promote_if_passed,
)
from trainer.publishable import Publishable
from trainer.publishing import publish
from trainer.timings import Timings


def publish_vectors(
    files: OwnVectors,
    volume: Volume,
    *,
    indexing: Indexing,
    label: str | None = layout.DEFAULT_LABEL,
    gates: Gates,
    max_shrinkage: float | None = None,
    reporter: Reporter,
) -> Checked:
    """Read, evaluate, index, publish, check the gates, and move the label if all pass.

    Args:
        files: what to publish.
        volume: where to.
        indexing: the kinds of index to choose among.
        label: what to compare with and to move; None for none.
        gates: what has to pass for the label to be moved.
        max_shrinkage: the largest share of the seen interactions that may be missing.
        reporter: told of the steps.

    Raises:
        TrainerError: the files are at fault, or an index isn't good enough.
        PublicationError: the volume is.
    """
    seed = indexing.options.seed
    timings = Timings(on_stage=reporter.stage)
    volume.check_writable()
    with timings.stage("read"), Staging(volume.folder) as staging:
        source, warnings = read_own_vectors(files, staging.scratch("vectors"))
    with contextlib.ExitStack() as stack:
        for name in predecessor.labels_of(label):
            # What is wrong with a label is no reason not to publish what it could name next.
            with contextlib.suppress(LabelError):
                stack.enter_context(volume.followed(name))
        before = predecessor.find(volume.folder, label)
        results: list[GateResult] = []
        odd: list[str] = []
        if before is not None:
            results, odd = check_content(
                _content(source),
                before,
                gates,
                label=label,
                warnings=warnings,
                max_shrinkage=max_shrinkage,
                seed=seed,
            )
        published = publish(
            source,
            volume.folder,
            indexing=indexing,
            label=None,
            timings=timings,
            reporter=reporter,
        )
        version = published.manifest.version
        with timings.stage("gates"):
            checked_version, worse = check_version(volume.folder, version, before, gates, seed=seed)
            results += checked_version
            odd += worse
    if volume.elsewhere:
        with timings.stage("upload"):
            volume.upload(version)
    checked = Checked(
        manifest=published.manifest,
        label=None,
        seconds=timings.seconds,
        warnings=[*warnings, *odd, *published.warnings],
        gates=results,
        expected=expected_of(before),
    )
    return promote_if_passed(volume, checked, label=label)


def _content(source: Publishable) -> Content:
    titles = source.titles
    return Content(
        items=source.items,
        users=source.users,
        seen=union(source.seen, source.held_out, len(source.items)),
        interactions=source.facts.train_interactions + source.facts.test_interactions,
        weight=source.facts.weight,
        attributes={own.name: own.kind for own in source.attributes},
        value=values_of(source.attributes),
        title=None if titles is None else titles.__getitem__,
        columns=columns_of(source.facts),
        names={},
    )
