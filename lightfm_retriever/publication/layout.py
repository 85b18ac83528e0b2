"""Every file and directory name of the on-disk contract: those of a version from their table."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

# Whoever uses one of a version's names has it from here, beside those of the volume.
from lightfm_retriever.publication.file_table import *  # noqa: F403
from lightfm_retriever.publication.file_table import MANIFEST

LABELS = "labels"
VERSIONS = "versions"
STAGING = "staging"
LABEL_HISTORY = "history"

# The indexes' names in the manifest.
SIMILAR = "similar"
RECOMMEND = "recommend"

DEFAULT_LABEL = "current"

# Not \d, which any script's digits match.
_VERSION = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


def index_file(index: str, backend: str) -> str:
    """Name of the file of one index, such as "recommend.annoy"."""
    return f"{index}.{backend}"


def version_name(created_at: datetime, digest: str) -> str:
    """Name of a version: the UTC second of its creation and six hex digits of its content."""
    return f"{created_at:%Y%m%dT%H%M%SZ}-{digest[:6]}"


def version_time(version: str) -> datetime:
    """The second of its creation that a version's name tells, in UTC.

    Raises:
        ValueError: it isn't a version's name, or tells of no day or time that there is.
    """
    if not is_version_name(version):
        raise ValueError(f"{version!r} isn't a version's name")
    return datetime.strptime(version.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def is_version_name(name: str) -> bool:
    """Whether `name` has the form of a version's name; staging directories never have."""
    return _VERSION.fullmatch(name) is not None


def is_label_name(name: str) -> bool:
    """Whether `name` may be a label: 1 to 64 of a-z, 0-9, - and _, starting with a letter."""
    return _LABEL.fullmatch(name) is not None


def is_file_name(name: str) -> bool:
    """Whether a manifest may name this file: plain, no separators, no "..", not the manifest."""
    return len(name) <= 100 and name != MANIFEST and _FILE_NAME.fullmatch(name) is not None


def versions_dir(volume: Path) -> Path:
    """Directory of all versions."""
    return volume / VERSIONS


def version_dir(volume: Path, version: str) -> Path:
    """Directory of one version."""
    return volume / VERSIONS / version


def label_file(volume: Path, label: str) -> Path:
    """File whose text is the name of a version."""
    return volume / LABELS / label


def labels_lock(volume: Path) -> Path:
    """File that is locked while a label is moved or a version deleted; its name is no label's."""
    return volume / LABELS / ".lock"


def history_file(volume: Path, label: str) -> Path:
    """File with one line for each move of a label, for rolling back."""
    return volume / LABEL_HISTORY / label


def staging_dir(volume: Path) -> Path:
    """Directory for what isn't published yet."""
    return volume / STAGING
