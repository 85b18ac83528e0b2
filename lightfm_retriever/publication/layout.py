"""All file and directory names of the on-disk contract, and the contents of a version's files.

The table `FILES` lists the files of a version: a new array is a new entry. It defines names, groups of
files, the checks while staging, opening and verifying a version, and the list in README.md.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

LABELS = "labels"
VERSIONS = "versions"
STAGING = "staging"
LABEL_HISTORY = "history"

# The indexes' names in the manifest.
SIMILAR = "similar"
RECOMMEND = "recommend"

DEFAULT_LABEL = "current"

# Not \d, which matches the digits of any script.
_VERSION = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
# A length in a shape, such as "2 components + 3".
_LENGTH = re.compile(r"(?:(\d+) )?([a-z ]*[a-z])(?: \+ (\d+))?")

MODEL = "model"
"""The group of files for a warm start of training. The retriever doesn't use them."""

Kind = Literal["vectors", "neighbours"]
"""The kind of a model: vectors of items and users, or neighbours of items (an item-item model)."""


@dataclass(frozen=True)
class FileSpec:
    """A file of a version.

    Attributes:
        name: the file name, or its pattern.
        what: the content, in Markdown.
        shape: the lengths of an array, or the number of ids of an id map, in terms of sizes. The sizes
            `items`, `users`, `components` and `numbers` come from the manifest, others from an id map.
            A size of one letter may be any number.
        dtype: the type of an array; "" for other files.
        group: the name of a group of files that are all present or all missing; "" for a required file.
        rule: the rule for the numbers of an array. "ascending": within each ragged row. "permutation":
            of rows. "vectors": scores are computed from them. "gaps": NaN means no value. "own":
            checked by separate code. All other floats must be finite.
        of: the size of the table that integers are rows of; each must be less than it.
        values: for offsets, the name of the file that they split into rows.
        kind: the kind of the models that may have the file; "" for any.
        since: the format version that introduced the file.
    """

    name: str
    what: str
    shape: str = ""
    dtype: str = ""
    group: str = ""
    rule: Literal["", "ascending", "permutation", "vectors", "gaps", "own"] = ""
    of: str = ""
    values: str = ""
    kind: Literal["", Kind] = ""
    since: int = 1

    def fits(self, kind: Kind) -> bool:
        """Return whether a model of this kind may have the file."""
        return self.kind in ("", kind)

    def lengths(self, sizes: Mapping[str, int]) -> tuple[int | None, ...]:
        """Return the shape for given sizes; None for a length that may be any number."""
        return tuple(
            times * sizes[size] + more if size in sizes else None for times, size, more in self._parts
        )

    def sizes(self, shape: tuple[int, ...]) -> Iterator[tuple[str, int]]:
        """Derive the sizes from a shape, except those of one letter."""
        for length, (times, size, more) in zip(shape, self._parts, strict=False):
            if len(size) > 1:
                yield size, max(0, length - more) // times

    @functools.cached_property
    def _parts(self) -> list[tuple[int, str, int]]:
        found = (_LENGTH.fullmatch(length) for length in self.shape.split(", ") if length)
        return [(int(own[1] or 1), own[2], int(own[3] or 0)) for own in found if own]


FILES: dict[str, FileSpec] = {}
"""The files by name, in the order in which they are opened and checked."""


def _file(name: str, *facts: Any, **more: Any) -> str:
    FILES[name] = FileSpec(name, *facts, **more)
    return name


def _ragged(
    stem: str, values: str, what: str, rows: str, of: str = "", group: str = "", **more: Any
) -> tuple[str, str]:
    """Add two files: row r is values[offsets[r]:offsets[r + 1]], UTF-8 or rows of a size.

    `more` may have the `length` of the values, and the other facts of both files.
    """
    offsets, values, length = f"{stem}_offsets.npy", f"{values}.npy", more.pop("length", "v")
    ends = f"where each row of `{values}` ends"
    _file(offsets, ends, f"{rows} + 1", "int64", group, values=values, **more)
    if not of:
        return offsets, _file(values, f"{what} in UTF-8", length, "uint8", group, **more)
    what = f"{what}, ascending"
    return offsets, _file(values, what, length, "int32", group, "ascending", of, **more)


def _vectors(name: str, rows: str, what: str, group: str = "", rule: str = "vectors") -> str:
    return _file(name, what, f"{rows}, components + 1", "float32", group, rule, **_OF_VECTORS)


def _model(side: str) -> tuple[str, ...]:
    """Add the model files of users or items: n trained columns, k of rows and m with names."""
    own = f"rows of {side}s with a trained column of their own, ascending; the first k of n columns"
    stem, others = f"model_{side}", f"names of the other columns of {side}s"
    return (
        _file(f"{stem}_rows.npy", own, "k", "int32", MODEL, **_OF_VECTORS),
        *_ragged(f"{stem}_feature", f"{stem}_feature_bytes", others, "m", group=MODEL, **_OF_VECTORS),
        _vectors(f"{stem}_vectors.npy", "n", "each column's embedding, then bias", MODEL, "own"),
        _vectors(f"{stem}_gradients.npy", "n", "their sums of squared gradients", MODEL, "own"),
    )


def _names(group: str, kind: Kind | None = None) -> tuple[str, ...]:
    """Return the files of a group, for models of one kind or of any."""
    return tuple(
        spec.name
        for spec in FILES.values()
        if spec.group == group and spec.shape and (kind is None or spec.fits(kind))
    )


_OF_VECTORS: dict[str, Any] = {"kind": "vectors"}
_OF_NEIGHBOURS: dict[str, Any] = {"kind": "neighbours", "since": 2}


MANIFEST = _file("manifest.json", "the facts below, and every other file's size and SHA-256")
ITEM_IDS = _file("items.trie", "external id <-> row", "items")
USER_IDS = _file("users.trie", "external id <-> row", "users")
ITEM_VECTORS = _vectors("item_vectors.npy", "items", "embedding, then bias")
USER_VECTORS = _vectors("user_vectors.npy", "users", "embedding, then bias")
SEEN_OFFSETS, SEEN_ITEMS = _ragged("seen", "seen_items", "item rows each user saw", "users", "items")
NEIGHBOUR_OFFSETS, NEIGHBOUR_ITEMS = _ragged(
    *("neighbour", "neighbour_items", "item rows of each item's neighbours, without itself"),
    *("items", "items"),
    length="neighbours",
    **_OF_NEIGHBOURS,
)
NEIGHBOUR_WEIGHTS = _file(
    *("neighbour_weights.npy", "the weight of each neighbour; it may be below 0", "neighbours"),
    *("float32", "", "vectors"),
    **_OF_NEIGHBOURS,
)
PROFILE_OFFSETS, PROFILE_ITEMS = _ragged(
    *("profile", "profile_items", "item rows whose neighbours count for each user"),
    *("users", "items", "profiles"),
    **_OF_NEIGHBOURS,
)
ITEM_NORMS = _file(
    *("item_norms.npy", "norms of the embeddings", "items", "float32", "norms", "own"), **_OF_VECTORS
)
TITLE_OFFSETS, TITLE_BYTES = _ragged("title", "title_bytes", "titles", "items", group="titles")
HELD_OUT_OFFSETS, HELD_OUT_ITEMS = _ragged(
    "held_out", "held_out_items", "item rows of each user's test data", "users", "items", "held out"
)
_RANKS = "place of the row's id among all item ids in byte order; breaks ties of scores, else rows do"
ID_RANKS = _file("id_ranks.npy", _RANKS, "items", "int32", "ranks", "permutation")
_POPULAR = "all rows, most popular first, equal ones by id"
POPULAR_ITEMS = _file("popular_items.npy", _POPULAR, "items", "int32", "popularity", "permutation")
_POPULARITY = "by row the number of users with a positive interaction"
POPULARITY = _file("popularity.npy", _POPULARITY, "items", "int32", "popularity", "own")
USER_FEATURES = _file(
    *("user_features.trie", '"column:value" <-> row', "features", "", "user features"), **_OF_VECTORS
)
_LEARNED = "what was learned of each; a user of some features alone is the mean of their rows"
USER_FEATURE_VECTORS = _vectors("user_feature_vectors.npy", "features", _LEARNED, "user features")
_FOLD_IN = "turns a session into a user's embedding, as `vectors/fold_in.py` says"
_SHAPE = "2 components + 3, components"
FOLD_IN = _file("fold_in.npy", _FOLD_IN, _SHAPE, "float32", "fold-in", "vectors", **_OF_VECTORS)
ATTRIBUTE_VALUES = _file("attribute_values.trie", '"POSITION:VALUE" <-> token', "tokens", "", "text")
ATTRIBUTE_ITEMS_OFFSETS, ATTRIBUTE_ITEMS = _ragged(
    "attribute_items", "attribute_items", "item rows that have each token", "tokens", "items", "text"
)
ITEM_ATTRIBUTES_OFFSETS, ITEM_ATTRIBUTES = _ragged(
    "item_attributes", "item_attributes", "tokens of each item", "items", "tokens", "text"
)
NUMBERS = _file("numbers.npy", "NaN for none", "numbers, items", "float64", "number", "gaps")
_ORDER = "item rows by value, equal ones by row, those without last"
NUMBER_ORDER = _file("number_order.npy", _ORDER, "numbers, items", "int32", "number", "permutation")
NUMBER_SORTED = _file("number_sorted.npy", "numbers so", "numbers, items", "float64", "number", "gaps")
_INDEX = "the index; a backend without a file has none"
for _index in (SIMILAR, RECOMMEND):
    _file(f"{_index}.BACKEND", _INDEX, group="its backend", **_OF_VECTORS)
MODEL_ITEM_FILES = _model("item")
MODEL_ITEM_ROWS, MODEL_ITEM_FEATURE_OFFSETS, MODEL_ITEM_FEATURE_BYTES = MODEL_ITEM_FILES[:3]
MODEL_ITEM_VECTORS, MODEL_ITEM_GRADIENTS = MODEL_ITEM_FILES[3:]
MODEL_USER_FILES = _model("user")
MODEL_USER_ROWS, MODEL_USER_FEATURE_OFFSETS, MODEL_USER_FEATURE_BYTES = MODEL_USER_FILES[:3]
MODEL_USER_VECTORS, MODEL_USER_GRADIENTS = MODEL_USER_FILES[3:]

# Files of no group, by the kind of the model. The manifest doesn't list itself.
REQUIRED_FILES: dict[Kind, tuple[str, ...]] = {kind: _names("", kind) for kind in get_args(Kind)}
# A file whose content determines all scores, by the kind of the model.
SCORING_FILES: dict[Kind, str] = {"vectors": ITEM_VECTORS, "neighbours": NEIGHBOUR_WEIGHTS}
# Files for a warm start of training.
MODEL_FILES = _names(MODEL)
# Files that are present if and only if the manifest has an attribute of the kind.
ATTRIBUTE_FILES = {kind: _names(kind) for kind in ("text", "number")}
# Pairs of files that are both present or both missing, such as offsets and values.
_GROUPS = dict.fromkeys(spec.group for spec in FILES.values())
PAIRS = tuple((files[0], files[1]) for files in map(_names, _GROUPS) if len(files) == 2)


def format_version(files: Iterable[str]) -> int:
    """Return the format version of a version with these files: that of the newest one."""
    return max((FILES[name].since for name in files if name in FILES), default=1)


def index_file(index: str, backend: str) -> str:
    """Return the name of an index file, such as "recommend.annoy"."""
    return f"{index}.{backend}"


def version_name(created_at: datetime, digest: str) -> str:
    """Return the name of a version: its time of creation in UTC, and six hex digits of its digest."""
    return f"{created_at:%Y%m%dT%H%M%SZ}-{digest[:6]}"


def version_time(version: str) -> datetime:
    """Return the time of creation in a version's name, in UTC.

    Raises:
        ValueError: it isn't a version name, or its date or time doesn't exist.
    """
    if not is_version_name(version):
        raise ValueError(f"{version!r} isn't a version's name")
    return datetime.strptime(version.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def is_version_name(name: str) -> bool:
    """Return whether `name` has the form of a version name. Staging directories never have it."""
    return _VERSION.fullmatch(name) is not None


def is_label_name(name: str) -> bool:
    """Return whether `name` may be a label: 1 to 64 of a-z, 0-9, - and _, starting with a letter."""
    return _LABEL.fullmatch(name) is not None


def is_file_name(name: str) -> bool:
    """Return whether a manifest may list this file: no separators, no "..", not the manifest."""
    return len(name) <= 100 and name != MANIFEST and _FILE_NAME.fullmatch(name) is not None


def versions_dir(volume: Path) -> Path:
    """Return the directory of all versions."""
    return volume / VERSIONS


def version_dir(volume: Path, version: str) -> Path:
    """Return the directory of one version."""
    return volume / VERSIONS / version


def label_file(volume: Path, label: str) -> Path:
    """Return the file of a label, whose text is the name of a version."""
    return volume / LABELS / label


def labels_lock(volume: Path) -> Path:
    """Return the file to lock while moving a label or deleting a version. It can't be a label."""
    return volume / LABELS / ".lock"


def history_file(volume: Path, label: str) -> Path:
    """Return the history file of a label, with one line for each move, for rollbacks."""
    return volume / LABEL_HISTORY / label


def staging_dir(volume: Path) -> Path:
    """Return the directory for files that aren't published yet."""
    return volume / STAGING
