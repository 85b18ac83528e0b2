"""From files of any model's vectors to a checked publication, top to bottom."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

from lightfm_retriever.hosting import options
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.volume import Volume
from lightfm_retriever.publication.writer import Staging
from trainer.errors import OptionError
from trainer.progress import Reporter
from trainer.promotion import predecessor
from trainer.promotion.checks import Checked, Checks, publish_checked
from trainer.promotion.content import Content, content_in_making
from trainer.promotion.gates import MAX_SHRINKAGE, Gates
from trainer.publishing.indexing import Indexing
from trainer.publishing.own_vectors import OwnVectors, read_own_vectors
from trainer.publishing.publishable import Publishable
from trainer.timings import Timings


@dataclass(frozen=True, kw_only=True)
class VectorsSpec:
    """What to publish, and what it has to pass.

    Attributes:
        files: of the vectors, and of what goes with them.
        indexing: the kinds of index to choose among.
        label: what to compare with, and to move if all passes; None for none.
        gates: what has to pass for that.
        max_shrinkage: the largest share of the seen interactions that may be missing; None for half.
    """

    files: OwnVectors
    indexing: Indexing
    label: str | None = layout.DEFAULT_LABEL
    gates: Gates = field(default_factory=Gates)
    max_shrinkage: Annotated[float | None, MAX_SHRINKAGE] = None

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)


def publish_vectors(spec: VectorsSpec, volume: Volume, *, reporter: Reporter) -> Checked:
    """Read, evaluate, index, publish, verify and check the gates; no label is moved.

    Raises:
        TrainerError: the files are at fault, or an index isn't good enough.
        PublicationError: the volume is.
    """
    timings = Timings(on_stage=reporter.stage)
    volume.check_writable()
    with timings.stage("read"), Staging(volume.folder) as staging:
        source, warnings = read_own_vectors(spec.files, staging.scratch("vectors"))
    with predecessor.followed(volume, spec.label):
        seed = spec.indexing.options.seed
        checks = Checks(volume, spec.label, spec.gates, spec.max_shrinkage, seed)
        checks.before_training(lambda: _content(source), warnings)
        checked = publish_checked(source, checks, spec.indexing, timings, reporter)
    return replace(checked, warnings=[*warnings, *checked.warnings])


def _content(source: Publishable) -> Content:
    return content_in_making(
        items=source.items,
        users=source.users,
        seen=(source.seen, source.held_out),
        titles=source.titles,
        facts=source.facts,
        attributes=source.attributes,
    )
