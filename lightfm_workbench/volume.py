"""Open the versions of a volume in this process, without a server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import finalize

from lightfm_retriever.publication import layout
from lightfm_workbench.frame import Frame
from lightfm_workbench.recommender import Recommender

if TYPE_CHECKING:
    from lightfm_retriever.publication.manifest import Manifest
    from lightfm_retriever.publication.volume import Volume as AnyVolume
    from retriever.answering.snapshot import Snapshot
    from trainer.versions.diff import VersionDiff


METRICS = ("test_ndcg_at_10_unseen", "test_precision_at_10_unseen", "test_auc_unseen")
"""The metrics in a list of versions, unless others are wanted."""


class Version(Recommender):
    """A version on a volume, opened in this process.

    It answers as a retriever would. Its files are mapped, so they take memory only as they are read.
    `Volume.version` makes it.
    """

    def __init__(self, volume: AnyVolume, name: str, *, verify: bool = True) -> None:
        self._volume = volume
        self._name = name
        # A copy of a version from a store stays as long as this object.
        held = ExitStack()
        self._folder = held.enter_context(volume.fetched(name))
        self._finalizer = finalize(self, held.close)
        if verify:
            volume.verify(name)

    @cached_property
    def snapshot(self) -> Snapshot:
        """See Recommender."""
        from retriever.answering.snapshot import open_snapshot

        return open_snapshot(self._folder, self._name)

    @property
    def name(self) -> str:
        """Return the name of the version."""
        return self._name

    @property
    def manifest(self) -> Manifest:
        """Return all facts about the version: data, hyperparameters, indexes, files and others."""
        return self.publication.manifest

    @property
    def metrics(self) -> dict[str, float]:
        """Return the metrics on the test interactions, by name."""
        return dict(self.manifest.metrics)

    @property
    def stats(self) -> dict[str, Any]:
        """Return the size of the version: users, items, seen pairs, bytes; and its indexes' recall."""
        facts = self.manifest
        return {
            "created_at": facts.created_at,
            "users": facts.users,
            "items": facts.items,
            "seen_pairs": len(self.publication.seen.values),
            "bytes": sum(file.size for file in facts.files.values()),
            "recall_at_10": {name: own.recall_at_10 for name, own in facts.indexes.items()},
        }

    def __repr__(self) -> str:
        """Describe the version in a line."""
        facts = self.manifest
        return f"<version {self._name}: {facts.users:,} users, {facts.items:,} items>"


class Volume:
    """A volume of versions: a folder, or "s3://BUCKET/PREFIX", "gs://..." or "az://...".

    Args:
        location: the folder or the URL. A folder is made by the first publication.
        cache_dir: the folder for copies of an object store; None for the one of the command line.
    """

    def __init__(
        self, location: str | os.PathLike[str], *, cache_dir: str | os.PathLike[str] | None = None
    ) -> None:
        """Open a volume; nothing is read yet. Raises ArgumentError for an invalid URL."""
        from argparse import ArgumentTypeError

        from lightfm_retriever.hosting.errors import ArgumentError
        from lightfm_retriever.remote.location import parse_location
        from lightfm_retriever.remote.volume import open_volume

        try:
            where = parse_location(os.fspath(location))
        except ArgumentTypeError as error:
            raise ArgumentError("location", location, "a folder or a URL", text=str(error)) from error
        beside = Path(where.name).absolute()
        cache = beside.with_name(f"{beside.name}.trainer") / "cache"
        self.files: AnyVolume = open_volume(where, Path(cache_dir) if cache_dir else cache)

    def versions(self, *, metrics: Sequence[str] | None = METRICS) -> Frame:
        """Return a row for each version, newest first: version, labels, created_at, items, users.

        `metrics` become columns, empty where a version doesn't have one; None for all. `problem` says
        why a version can't be read.
        """
        import pyarrow as pa

        from trainer.versions.catalogue import list_published

        rows = [version.row() for version in list_published(self.files)]
        names = sorted({name for row in rows for name in row.metrics}) if metrics is None else metrics
        types = {
            "version": pa.string(),
            "labels": pa.list_(pa.string()),
            "created_at": pa.string(),
            "items": pa.int64(),
            "users": pa.int64(),
            **dict.fromkeys(names, pa.float64()),
            "problem": pa.string(),
        }
        flat = [{**row.content(), **row.metrics} for row in rows]
        return Frame.of_rows([{name: own.get(name) for name in types} for own in flat], types)

    def labels(self) -> dict[str, str]:
        """Return the version that each label names."""
        return self.files.list_labels()

    def current(self) -> Version:
        """Open the version that the label `current` names. Raises LabelError if it names none."""
        return self.version(layout.DEFAULT_LABEL)

    def version(self, name: str, *, verify: bool = True) -> Version:
        """Open a version by its name, or by a label.

        Args:
            name: of a version or a label.
            verify: whether to check every byte first. A damaged file that isn't checked may end the
                process.

        Raises:
            PublicationError: the version or the label is missing, damaged or can't be read.
        """
        return Version(self.files, self.named(name), verify=verify)

    def named(self, name: str) -> str:
        """Return the version of this name or label."""
        from trainer.cli import versions_commands

        return versions_commands.named(partial(versions_commands.read_label, self.files), name)

    def promote(self, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
        """Verify a version and move a label to it; returns the version that it named before."""
        from trainer.versions import catalogue

        return catalogue.promote(self.files, self.named(version), label=label)

    def diff(self, before: str, after: str = layout.DEFAULT_LABEL, *, users: int = 200) -> VersionDiff:
        """Compare the contents and recommendations of two versions, as `lightfm-trainer diff` does."""
        from trainer.versions import diff

        names = self.named(before), self.named(after)
        with self.files.fetched(*names) as folder:
            return diff.diff(folder, *names, users=users, seed=0)

    def __repr__(self) -> str:
        """Describe the volume in a line."""
        return f"<volume {self.files}>"


def location_of(volume: Volume | str | os.PathLike[str]) -> Volume:
    """Return a volume for an argument that may be its location."""
    return volume if isinstance(volume, Volume) else Volume(volume)
