"""What only reading the data of a version can tell: that its parts are sound and fit together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import NumberIndex, TextIndex
from lightfm_retriever.publication.errors import InvalidPublicationError, MismatchError
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.fold_in import LEAST_HALFWAY, FoldIn
from lightfm_retriever.publication.vectors.ranking import row_norms
from lightfm_retriever.publication.vectors.vector_space import LONGEST, Float32Array, split_biases

if TYPE_CHECKING:
    from pathlib import Path

    from lightfm_retriever.publication.reader import Publication
    from lightfm_retriever.publication.storage.id_map import IdMap

# What is read together, so that memory doesn't grow with the publication.
_CHUNK_ROWS = 1 << 16


def check_contents(publication: Publication) -> None:
    """Read all but the indexes; raises InvalidPublicationError, which names the file at fault."""
    directory, items = publication.directory, publication.manifest.items
    for name, id_map in (
        (layout.ITEM_IDS, publication.items),
        (layout.USER_IDS, publication.users),
        (layout.USER_FEATURES, publication.user_features),
    ):
        if id_map is not None:
            _check_ids(directory / name, id_map)
    _check_vectors(publication)
    _check_embeddings(publication)
    if publication.fold_in is not None and FoldIn(publication.fold_in).halfway.min() < LEAST_HALFWAY:
        raise InvalidPublicationError(directory / layout.FOLD_IN, "a number of row 2 is below 0")
    _check_rows(publication, layout.SEEN_OFFSETS, layout.SEEN_ITEMS, publication.seen)
    if publication.held_out is not None:
        _check_rows(publication, layout.HELD_OUT_OFFSETS, layout.HELD_OUT_ITEMS, publication.held_out)
    titles = publication.titles
    if titles is not None and (problem := titles.problem()) is not None:
        raise InvalidPublicationError(directory / layout.TITLE_OFFSETS, f"offsets {problem}")
    if publication.id_ranks is not None:
        _check_permutation(directory / layout.ID_RANKS, publication.id_ranks)
    _check_popularity(publication)
    if (attributes := publication.attributes) is not None:
        kinds = [own.kind for own in attributes.facts]
        if attributes.text is not None:
            _check_values(directory / layout.ATTRIBUTE_VALUES, attributes.text, kinds)
            _check_tokens(directory, attributes.text, items)
        if attributes.number_arrays is not None:
            _check_numbers(directory, attributes.number_arrays)


def _check_ids(path: Path, id_map: IdMap) -> None:
    """Each row has an id, which is text and leads back to the row: so all are different."""
    for row in range(len(id_map)):
        try:
            external_id = id_map.external_id(row)
        except ValueError as error:
            raise InvalidPublicationError(path, f"the id of row {row} isn't UTF-8") from error
        if (found := id_map.row(external_id)) != row:
            raise MismatchError(path, f"row of id {external_id[:60]!a}", expected=row, found=found)


def _check_vectors(publication: Publication) -> None:
    for name, vectors in (
        (layout.ITEM_VECTORS, publication.item_vectors),
        (layout.USER_VECTORS, publication.user_vectors),
        (layout.USER_FEATURE_VECTORS, publication.user_feature_vectors),
        (layout.FOLD_IN, publication.fold_in),
    ):
        if vectors is None:
            continue
        for start in range(0, len(vectors), _CHUNK_ROWS):
            chunk = vectors[start : start + _CHUNK_ROWS]
            # What isn't finite is the least or the greatest, and NaN is both.
            if chunk.min(initial=0) >= -LONGEST and chunk.max(initial=0) <= LONGEST:
                continue
            row = int((~(np.abs(chunk) <= LONGEST).all(axis=1)).argmax())
            finite = np.isfinite(chunk[row]).all()
            problem = f"has a number beyond {LONGEST:g}" if finite else "isn't finite"
            raise InvalidPublicationError(publication.directory / name, f"row {start + row} {problem}")


def _check_embeddings(publication: Publication) -> None:
    embeddings: Float32Array = split_biases(publication.item_vectors)[0]
    norms = publication.item_norms
    for start in range(0, len(embeddings), _CHUNK_ROWS):
        lengths = row_norms(embeddings[start : start + _CHUNK_ROWS])
        zero = lengths == 0
        if zero.any():
            row = start + int(zero.argmax())
            # It has no cosine to anything.
            path = publication.directory / layout.ITEM_VECTORS
            raise InvalidPublicationError(path, f"embedding {row} is zero")
        if norms is None:
            continue
        wrong = ~np.isclose(norms[start : start + _CHUNK_ROWS], lengths, rtol=1e-3)
        if wrong.any():
            row = start + int(wrong.argmax())
            path = publication.directory / layout.ITEM_NORMS
            raise InvalidPublicationError(path, f"norm {row} isn't that of the embedding")


def _check_rows(publication: Publication, offsets: str, values: str, rows: Ragged) -> None:
    """Rows of item rows: what users saw, and what was held out."""
    directory, items = publication.directory, publication.manifest.items
    _check_ragged(directory, offsets, values, rows, "item rows", items)
    if (user := rows.first_not_ascending()) is not None:
        raise InvalidPublicationError(directory / values, f"the items of user row {user} don't ascend")


def _check_ragged(
    directory: Path, offsets: str, values: str, rows: Ragged, what: str, count: int
) -> None:
    """Offsets that fit, and values in 0..count - 1."""
    if (problem := rows.problem()) is not None:
        raise InvalidPublicationError(directory / offsets, f"offsets {problem}")
    _check_range(directory / values, rows.values, what, count)


def _check_range(path: Path, values: NDArray[np.int32], what: str, count: int) -> None:
    if len(values) and (int(values.min()) < 0 or int(values.max()) >= count):
        raise MismatchError(
            path,
            f"range of {what}",
            expected=f"0..{count - 1}",
            found=f"{int(values.min())}..{int(values.max())}",
        )


def _check_permutation(path: Path, rows: NDArray[np.int32]) -> None:
    _check_range(path, rows, "item rows", len(rows))
    there = np.zeros(len(rows), dtype=bool)
    there[rows] = True
    if not there.all():
        raise InvalidPublicationError(path, f"{int(there.argmin())} isn't there, but another one twice")


def _check_popularity(publication: Publication) -> None:
    ranking, counts = publication.popular_items, publication.popularity
    if ranking is None or counts is None:
        return
    directory = publication.directory
    path = directory / layout.POPULAR_ITEMS
    _check_permutation(path, ranking)
    if int(counts.min()) < 0:
        where = int(counts.argmin())
        raise InvalidPublicationError(directory / layout.POPULARITY, f"that of row {where} is below 0")
    ranks = publication.id_ranks
    for start in range(0, len(ranking), _CHUNK_ROWS):
        rows = ranking[start : start + _CHUNK_ROWS + 1]
        ranked = counts[rows]
        wrong = ranked[1:] > ranked[:-1]
        if ranks is not None:
            wrong |= (ranked[1:] == ranked[:-1]) & (ranks[rows[1:]] < ranks[rows[:-1]])
        if wrong.any():
            place = start + 1 + int(wrong.argmax())
            raise InvalidPublicationError(path, f"place {place} should be before the one before it")


def _check_values(path: Path, text: TextIndex, kinds: Sequence[str]) -> None:
    """Each value belongs to a text attribute."""
    prefixes = tuple(f"{position}:" for position, kind in enumerate(kinds) if kind == "text")
    _check_ids(path, text.values)
    for token in range(len(text.values)):
        key = text.values.external_id(token)
        if not key.startswith(prefixes) or key in prefixes:
            raise InvalidPublicationError(path, f"{key!a} is no value of a text attribute")


def _check_tokens(directory: Path, text: TextIndex, items: int) -> None:
    """Posting lists and items' tokens are each other's inverse."""
    count = len(text.values)
    _check_ragged(
        directory,
        layout.ATTRIBUTE_ITEMS_OFFSETS,
        layout.ATTRIBUTE_ITEMS,
        text.items,
        "item rows",
        items,
    )
    _check_ragged(
        directory,
        layout.ITEM_ATTRIBUTES_OFFSETS,
        layout.ITEM_ATTRIBUTES,
        text.tokens,
        "tokens",
        count,
    )
    path = directory / layout.ATTRIBUTE_ITEMS
    if (token := text.items.first_not_ascending()) is not None:
        raise InvalidPublicationError(path, f"the items of token {token} don't ascend")
    if (row := text.tokens.first_not_ascending()) is not None:
        where = directory / layout.ITEM_ATTRIBUTES
        raise InvalidPublicationError(where, f"the tokens of item row {row} don't ascend")
    if len(text.items.values) != len(text.tokens.values):
        raise MismatchError(
            path,
            "number of items of all tokens",
            expected=len(text.tokens.values),
            found=len(text.items.values),
        )
    # Of each token the place in its posting list that the next item with it should have.
    places = text.items.offsets[:-1].copy()
    pairs = text.tokens
    for start in range(0, len(pairs.values), _CHUNK_ROWS):
        tokens = pairs.values[start : start + _CHUNK_ROWS]
        rows = np.searchsorted(pairs.offsets, np.arange(start, start + len(tokens)), side="right") - 1
        by_token = np.argsort(tokens, kind="stable")
        distinct, first, counts = np.unique(tokens[by_token], return_index=True, return_counts=True)
        expected = np.repeat(places[distinct] - first, counts) + np.arange(len(tokens))
        ends = text.items.offsets[1:][tokens[by_token]]
        # An item beyond the end of the list would be another token's.
        found = text.items.values[np.minimum(expected, len(pairs.values) - 1)]
        wrong = (expected >= ends) | (found != rows[by_token])
        if wrong.any():
            token = int(tokens[by_token][wrong.argmax()])
            raise InvalidPublicationError(path, f"the items of token {token} aren't those that have it")
        places[distinct] += counts


def _check_numbers(directory: Path, number: NumberIndex) -> None:
    for row, (values, order, ordered) in enumerate(
        zip(number.values, number.order, number.ordered, strict=True)
    ):
        for name, numbers in ((layout.NUMBERS, values), (layout.NUMBER_SORTED, ordered)):
            if np.isinf(numbers).any():
                raise InvalidPublicationError(directory / name, f"row {row} has an infinite number")
        path = directory / layout.NUMBER_ORDER
        _check_permutation(path, order)
        by_value = values[order]
        if not np.array_equal(by_value, ordered, equal_nan=True):
            raise InvalidPublicationError(
                directory / layout.NUMBER_SORTED, f"row {row} isn't row {row} of numbers in order"
            )
        # NaN, which compares as false, is last.
        after = (by_value[1:] > by_value[:-1]) | np.isnan(by_value[1:])
        tied = (by_value[1:] == by_value[:-1]) | np.isnan(by_value[:-1]) & np.isnan(by_value[1:])
        if not np.where(tied, order[1:] > order[:-1], after).all():
            raise InvalidPublicationError(path, f"row {row} isn't in the order of numbers")
