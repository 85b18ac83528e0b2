"""Every file and directory name of the on-disk contract, spelled here and nowhere else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

LABELS = "labels"
VERSIONS = "versions"
STAGING = "staging"
LABEL_HISTORY = "history"

MANIFEST = "manifest.json"
ITEM_IDS = "items.trie"
USER_IDS = "users.trie"
ITEM_VECTORS = "item_vectors.npy"
USER_VECTORS = "user_vectors.npy"
SEEN_OFFSETS = "seen_offsets.npy"
SEEN_ITEMS = "seen_items.npy"
TITLE_OFFSETS = "title_offsets.npy"
TITLE_BYTES = "title_bytes.npy"
ITEM_NORMS = "item_norms.npy"
HELD_OUT_OFFSETS = "held_out_offsets.npy"
HELD_OUT_ITEMS = "held_out_items.npy"
MODEL_ITEM_ROWS = "model_item_rows.npy"
MODEL_ITEM_FEATURE_OFFSETS = "model_item_feature_offsets.npy"
MODEL_ITEM_FEATURE_BYTES = "model_item_feature_bytes.npy"
MODEL_ITEM_VECTORS = "model_item_vectors.npy"
MODEL_ITEM_GRADIENTS = "model_item_gradients.npy"
MODEL_USER_ROWS = "model_user_rows.npy"
MODEL_USER_FEATURE_OFFSETS = "model_user_feature_offsets.npy"
MODEL_USER_FEATURE_BYTES = "model_user_feature_bytes.npy"
MODEL_USER_VECTORS = "model_user_vectors.npy"
MODEL_USER_GRADIENTS = "model_user_gradients.npy"
ID_RANKS = "id_ranks.npy"
POPULAR_ITEMS = "popular_items.npy"
POPULARITY = "popularity.npy"
USER_FEATURES = "user_features.trie"
USER_FEATURE_VECTORS = "user_feature_vectors.npy"
FOLD_IN = "fold_in.npy"
ATTRIBUTE_VALUES = "attribute_values.trie"
ATTRIBUTE_ITEMS_OFFSETS = "attribute_items_offsets.npy"
ATTRIBUTE_ITEMS = "attribute_items.npy"
ITEM_ATTRIBUTES_OFFSETS = "item_attributes_offsets.npy"
ITEM_ATTRIBUTES = "item_attributes.npy"
NUMBERS = "numbers.npy"
NUMBER_ORDER = "number_order.npy"
NUMBER_SORTED = "number_sorted.npy"

# What every publication has; the others depend on the data, the backends and the publication's age.
REQUIRED_FILES = (ITEM_IDS, USER_IDS, ITEM_VECTORS, USER_VECTORS, SEEN_OFFSETS, SEEN_ITEMS)
# Offsets and values that come together or not at all.
OPTIONAL_PAIRS = ((TITLE_OFFSETS, TITLE_BYTES), (HELD_OUT_OFFSETS, HELD_OUT_ITEMS))
# Others that come together or not at all.
OTHER_PAIRS = ((POPULAR_ITEMS, POPULARITY), (USER_FEATURES, USER_FEATURE_VECTORS))
# There when the manifest names an attribute of the kind, and only then.
ATTRIBUTE_FILES = {
    "text": (
        ATTRIBUTE_VALUES,
        ATTRIBUTE_ITEMS_OFFSETS,
        ATTRIBUTE_ITEMS,
        ITEM_ATTRIBUTES_OFFSETS,
        ITEM_ATTRIBUTES,
    ),
    "number": (NUMBERS, NUMBER_ORDER, NUMBER_SORTED),
}
# What a later training goes on from; all of a side's, in the order that
# trainer.fitting.warm_start has them.
MODEL_ITEM_FILES = (
    MODEL_ITEM_ROWS,
    MODEL_ITEM_FEATURE_OFFSETS,
    MODEL_ITEM_FEATURE_BYTES,
    MODEL_ITEM_VECTORS,
    MODEL_ITEM_GRADIENTS,
)
MODEL_USER_FILES = (
    MODEL_USER_ROWS,
    MODEL_USER_FEATURE_OFFSETS,
    MODEL_USER_FEATURE_BYTES,
    MODEL_USER_VECTORS,
    MODEL_USER_GRADIENTS,
)
# These too come together or not at all. The retriever has no use for them.
MODEL_FILES = (*MODEL_ITEM_FILES, *MODEL_USER_FILES)

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
