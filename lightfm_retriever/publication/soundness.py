"""Check the data of a version: that its parts are valid and fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import NumberIndex, TextIndex
from lightfm_retriever.publication.errors import InvalidPublicationError, MismatchError
from lightfm_retriever.publication.layout import FILES, FileSpec
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.storage.id_map import AnyIds
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.fold_in import LEAST_HALFWAY, FoldIn
from lightfm_retriever.publication.vectors.vector_space import (
    LONGEST,
    Float32Array,
    row_norms,
    split_biases,
)

# Number of rows that are read at a time, so that memory doesn't grow with the version.
_CHUNK_ROWS = 1 << 16
# The same for rows that have hundreds of values each.
_CHUNK_LISTS = 1 << 11
# Names of rows in messages, by size.
_ROWS = {"items": "item row", "users": "user row", "tokens": "token"}


def check_contents(publication: Publication) -> None:
    """Check all files except the indexes. Raises InvalidPublicationError, which names the file."""
    directory = publication.directory
    _check_files(directory, publication.files)
    if publication.item_vectors is not None:
        _check_embeddings(directory, publication.item_vectors, publication.item_norms)
    if publication.neighbours is not None:
        _check_neighbours(directory, publication.neighbours.rows)
    if publication.fold_in is not None and FoldIn(publication.fold_in).halfway.min() < LEAST_HALFWAY:
        raise InvalidPublicationError(directory / layout.FOLD_IN, "a number of row 2 is below 0")
    _check_popularity(publication)
    if (attributes := publication.attributes) is not None:
        kinds = [own.kind for own in attributes.facts]
        if attributes.text is not None:
            _check_values(directory / layout.ATTRIBUTE_VALUES, attributes.text, kinds)
            _check_tokens(directory, attributes.text)
        if attributes.number_arrays is not None:
            _check_numbers(directory, attributes.number_arrays)


def _check_files(directory: Path, files: Mapping[str, Any]) -> None:
    """Check the ids and numbers of each file by the rules of `layout.FILES`."""
    sizes: dict[str, int] = {}
    for name, own in files.items():
        sizes.update(FILES[name].sizes(getattr(own, "shape", (len(own),))))
    for name, own in files.items():
        spec = FILES[name]
        if not spec.dtype:
            _check_ids(directory / name, own)
        elif spec.values in files:
            _check_ragged(directory, spec, Ragged(own, files[spec.values]), sizes)
        elif spec.of and not spec.rule:
            _check_range(directory / name, own, spec.of, sizes[spec.of])
        else:
            _check_array(directory / name, own, spec.rule)


def _check_array(path: Path, array: NDArray[Any], rule: str) -> None:
    if rule == "permutation":
        for rows in np.atleast_2d(array):
            _check_permutation(path, rows)
    elif rule == "gaps":
        infinite = np.array([np.isinf(numbers).any() for numbers in array], dtype=bool)
        _refuse(path, infinite, "row {} has an infinite number")
    elif rule == "vectors" or (array.dtype.kind == "f" and not rule):
        _check_floats(path, array, LONGEST if rule else np.finfo(array.dtype).max)


def _check_ragged(directory: Path, spec: FileSpec, rows: Ragged, sizes: Mapping[str, int]) -> None:
    """Check that offsets are valid, and that values are rows of the right size."""
    if (problem := rows.problem()) is not None:
        raise InvalidPublicationError(directory / spec.name, f"offsets {problem}")
    values = FILES[spec.values]
    if values.of:
        _check_range(directory / values.name, rows.values, values.of, sizes[values.of])
    if values.rule == "ascending" and (row := rows.first_not_ascending()) is not None:
        owner = next((_ROWS.get(size, size) for size, _ in spec.sizes((0,))), "row")
        problem = f"the {values.of} of {owner} {row} don't ascend"
        raise InvalidPublicationError(directory / values.name, problem)


def _check_ids(path: Path, id_map: AnyIds) -> None:
    """Check that each row has an id, that it is text, and that it leads back to the row."""
    for row in range(len(id_map)):
        try:
            external_id = id_map.external_id(row)
        except ValueError as error:
            raise InvalidPublicationError(path, f"the id of row {row} isn't UTF-8") from error
        if (found := id_map.row(external_id)) != row:
            raise MismatchError(path, f"row of id {external_id[:60]!a}", expected=row, found=found)


def _check_floats(path: Path, array: NDArray[Any], most: float) -> None:
    for start in range(0, len(array), _CHUNK_ROWS):
        chunk = array[start : start + _CHUNK_ROWS]
        # An infinite number is the smallest or the largest; NaN makes both NaN.
        if chunk.min(initial=0) >= -most and chunk.max(initial=0) <= most:
            continue
        row = int((~(np.abs(chunk) <= most).reshape(len(chunk), -1).all(axis=1)).argmax())
        problem = f"has a number beyond {most:g}" if np.isfinite(chunk[row]).all() else "isn't finite"
        raise InvalidPublicationError(path, f"row {start + row} {problem}")


def _check_embeddings(directory: Path, vectors: Float32Array, norms: Float32Array | None) -> None:
    embeddings: Float32Array = split_biases(vectors)[0]
    for start in range(0, len(embeddings), _CHUNK_ROWS):
        lengths = row_norms(embeddings[start : start + _CHUNK_ROWS])
        # A zero embedding has no cosine with any other.
        _refuse(directory / layout.ITEM_VECTORS, lengths == 0, "embedding {} is zero", start)
        if norms is not None:
            wrong = ~np.isclose(norms[start : start + _CHUNK_ROWS], lengths, rtol=1e-3)
            problem = "norm {} isn't that of the embedding"
            _refuse(directory / layout.ITEM_NORMS, wrong, problem, start)


def _check_neighbours(directory: Path, rows: Ragged) -> None:
    """Check that no item is a neighbour of itself."""
    for start in range(0, len(rows), _CHUNK_LISTS):
        offsets = rows.offsets[start : start + _CHUNK_LISTS + 1]
        owners = np.repeat(np.arange(start, start + len(offsets) - 1), np.diff(offsets))
        itself = rows.values[offsets[0] : offsets[-1]] == owners
        if itself.any():
            row = int(owners[itself.argmax()])
            problem = f"item row {row} is a neighbour of itself"
            raise InvalidPublicationError(directory / layout.NEIGHBOUR_ITEMS, problem)


def _refuse(path: Path, wrong: NDArray[np.bool_], problem: str, start: int = 0) -> None:
    """Raise InvalidPublicationError for the first row that is wrong, if there is one."""
    if wrong.any():
        raise InvalidPublicationError(path, problem.format(start + int(wrong.argmax())))


def _check_range(path: Path, values: NDArray[np.int32], of: str, count: int) -> None:
    if not len(values):
        return
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= count:
        what = f"range of {_ROWS.get(of, of)}s"
        raise MismatchError(path, what, expected=f"0..{count - 1}", found=f"{low}..{high}")


def _check_permutation(path: Path, rows: NDArray[np.int32]) -> None:
    _check_range(path, rows, "items", len(rows))
    there = np.zeros(len(rows), dtype=bool)
    there[rows] = True
    _refuse(path, ~there, "{} isn't there, but another one twice")


def _check_popularity(publication: Publication) -> None:
    ranking, counts = publication.popular_items, publication.popularity
    if ranking is None or counts is None:
        return
    directory = publication.directory
    path = directory / layout.POPULAR_ITEMS
    _refuse(directory / layout.POPULARITY, counts < 0, "that of row {} is below 0")
    ranks = publication.id_ranks
    for start in range(0, len(ranking), _CHUNK_ROWS):
        rows = ranking[start : start + _CHUNK_ROWS + 1]
        ranked = counts[rows]
        wrong = ranked[1:] > ranked[:-1]
        if ranks is not None:
            wrong |= (ranked[1:] == ranked[:-1]) & (ranks[rows[1:]] < ranks[rows[:-1]])
        _refuse(path, wrong, "place {} should be before the one before it", start + 1)


def _check_values(path: Path, text: TextIndex, kinds: Sequence[str]) -> None:
    """Check that each value belongs to a text attribute."""
    prefixes = tuple(f"{position}:" for position, kind in enumerate(kinds) if kind == "text")
    for token in range(len(text.values)):
        key = text.values.external_id(token)
        if not key.startswith(prefixes) or key in prefixes:
            raise InvalidPublicationError(path, f"{key!a} is no value of a text attribute")


def _check_tokens(directory: Path, text: TextIndex) -> None:
    """Check that the posting lists and the tokens of items match."""
    path = directory / layout.ATTRIBUTE_ITEMS
    found, expected = (len(own.values) for own in (text.items, text.tokens))
    if found != expected:
        raise MismatchError(path, "number of items of all tokens", expected=expected, found=found)
    # For each token, the place in its posting list where the next item with it should be.
    places = text.items.offsets[:-1].copy()
    pairs = text.tokens
    for start in range(0, len(pairs.values), _CHUNK_ROWS):
        tokens = pairs.values[start : start + _CHUNK_ROWS]
        rows = np.searchsorted(pairs.offsets, np.arange(start, start + len(tokens)), side="right") - 1
        by_token = np.argsort(tokens, kind="stable")
        distinct, first, counts = np.unique(tokens[by_token], return_index=True, return_counts=True)
        wanted = np.repeat(places[distinct] - first, counts) + np.arange(len(tokens))
        ends = text.items.offsets[1:][tokens[by_token]]
        # An item beyond the end of the list would belong to another token.
        there = text.items.values[np.minimum(wanted, len(pairs.values) - 1)]
        wrong = (wanted >= ends) | (there != rows[by_token])
        if wrong.any():
            token = int(tokens[by_token][wrong.argmax()])
            raise InvalidPublicationError(path, f"the items of token {token} aren't those that have it")
        places[distinct] += counts


def _check_numbers(directory: Path, number: NumberIndex) -> None:
    for row, (values, order, ordered) in enumerate(
        zip(number.values, number.order, number.ordered, strict=True)
    ):
        path = directory / layout.NUMBER_ORDER
        by_value = values[order]
        if not np.array_equal(by_value, ordered, equal_nan=True):
            raise InvalidPublicationError(
                directory / layout.NUMBER_SORTED, f"row {row} isn't row {row} of numbers in order"
            )
        # NaN comes last. Comparisons with NaN are false.
        after = (by_value[1:] > by_value[:-1]) | np.isnan(by_value[1:])
        tied = (by_value[1:] == by_value[:-1]) | np.isnan(by_value[:-1]) & np.isnan(by_value[1:])
        if not np.where(tied, order[1:] > order[:-1], after).all():
            raise InvalidPublicationError(path, f"row {row} isn't in the order of numbers")
