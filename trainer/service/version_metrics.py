"""What there is to measure about the volume: its room, and the versions that labels name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime

from prometheus_client.metrics_core import Metric

from lightfm_retriever.hosting.observing.metric_families import gauge
from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.publication.volume import Volume

# A network volume may not answer at all; whoever comes meanwhile isn't to wait for it too.
_PATIENCE_SECONDS = 2.0


class VersionMetrics:
    """Room on the volume, and the versions that labels name."""

    def __init__(self, volume: Volume, clock: Callable[[], float]) -> None:
        self._volume = volume
        self._clock = clock
        # Guards what follows, and lets only one thread wait for the volume.
        self._lock = threading.Lock()
        # A version never changes; only those that labels name are kept.
        self._manifests: dict[str, Manifest] = {}

    def families(self) -> tuple[list[Metric], str]:
        """What can be read, and why that isn't all; empty when it is."""
        found: list[Metric] = []
        if not self._lock.acquire(timeout=_PATIENCE_SECONDS):
            return found, f"{self._volume}: the volume hasn't answered the scrape before"
        try:
            found += self._room()
            versions = {*self._volume.list_versions()}
            found.append(gauge("trainer_versions", "Versions on the volume.", len(versions)))
            named, problem = self._named(versions)
            found += self._label_families(named)
        except (PublicationError, OSError) as error:
            problem = str(error)
        finally:
            self._lock.release()
        return found, problem

    def _room(self) -> list[Metric]:
        if (room := self._volume.room()) is None:
            return []
        free, size = room
        return [
            gauge("trainer_volume_free_bytes", "What the service can still write to the volume.", free),
            gauge("trainer_volume_size_bytes", "Size of the volume.", size),
        ]

    def _named(self, versions: Collection[str]) -> tuple[dict[str, Manifest], str]:
        """What is known of the version that each label names, and the last problem with one."""
        named: dict[str, Manifest] = {}
        problem = ""
        for label, version in self._volume.list_labels().items():
            manifest = self._manifests.get(version) if version in versions else None
            try:
                if manifest is None:
                    manifest = self._volume.read_manifest(version)
            except PublicationError as error:
                problem = f"label {label!r}: {error}"
            else:
                named[label] = self._manifests[version] = manifest
        self._manifests = {manifest.version: manifest for manifest in named.values()}
        return named, problem

    def _label_families(self, named: Mapping[str, Manifest]) -> Iterator[Metric]:
        created: dict[tuple[str, ...], float] = {
            (label,): datetime.fromisoformat(manifest.created_at).timestamp()
            for label, manifest in named.items()
        }
        now = self._clock()
        yield gauge(
            "trainer_version_info",
            "1 for each label and the version that it names.",
            {(label, manifest.version): 1 for label, manifest in named.items()},
            labels=["label", "version"],
        )
        yield gauge(
            "trainer_version_metric",
            "How the version that a label names was measured before it was published.",
            {
                (label, name): value
                for label, manifest in named.items()
                for name, value in manifest.metrics.items()
            },
            labels=["label", "metric"],
        )
        yield gauge(
            "trainer_version_index_recall",
            "Share of the true ten nearest that an index finds as it is asked, measured before it was "
            "published.",
            {
                (label, name): index.recall_at_10
                for label, manifest in named.items()
                for name, index in manifest.indexes.items()
            },
            labels=["label", "index"],
        )
        yield gauge(
            "trainer_version_created_timestamp_seconds",
            "When the version that a label names was published, since the epoch.",
            created,
            labels=["label"],
        )
        yield gauge(
            "trainer_version_age_seconds",
            "How long ago that was.",
            {label: now - then for label, then in created.items()},
            labels=["label"],
        )
