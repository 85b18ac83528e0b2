"""Read the vectors of any model from files, such as a two-tower network or a matrix factorisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lightfm_retriever.hosting.process import release_heap
from lightfm_retriever.publication.manifest import DatasetFacts
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.id_map import IdMap, Rows
from lightfm_retriever.publication.storage.ragged import Ragged
from trainer.data import item_attributes
from trainer.data.features import FeatureTable, read_features, what_it_has
from trainer.data.interactions import read_interactions
from trainer.errors import InputError, OptionError
from trainer.evaluation.evaluation import evaluate
from trainer.evaluation.held_out_test import HeldOutTest
from trainer.evaluation.of_cold_users import evaluate_cold_of
from trainer.evaluation.of_dataset import facts_of
from trainer.evaluation.of_vectors import scores_of
from trainer.evaluation.segments import usual
from trainer.evaluation.simple_models import compare, warnings_of
from trainer.fitting.embeddings import Embeddings
from trainer.models.protocol import Fitting
from trainer.preparing.dataset import id_ranks, seen_popularity
from trainer.publishing.publishable import Publishable
from trainer.publishing.vector_files import VectorSide


@dataclass(frozen=True, kw_only=True)
class OwnVectors:
    """The files to publish; None for a missing one.

    Attributes:
        item_vectors: .npy, (items, d), numbers of any type.
        item_ids: text, one id per line, in the order of the vectors.
        user_vectors, user_ids: the same for users; both or none.
        item_biases, user_biases: .npy, (items,) and (users,): a score is `u·i + b_u + b_i`.
        seen: interactions (CSV or Parquet) whose items aren't recommended to their users again.
        held_out: interactions for the evaluation.
        items: CSV or Parquet with item_id, and a title or attributes or both.
        item_attributes: columns of `items` to publish, see trainer.data.item_attributes.
        feature_separator: the separator of several values in a text column.
    """

    item_vectors: Path
    item_ids: Path
    user_vectors: Path | None = None
    user_ids: Path | None = None
    item_biases: Path | None = None
    user_biases: Path | None = None
    seen: Path | None = None
    held_out: Path | None = None
    items: Path | None = None
    item_attributes: Sequence[str] = ()
    feature_separator: str = "|"


def read_own_vectors(files: OwnVectors, scratch: Path) -> Publishable:
    """Read and check vectors, and evaluate them if interactions are held out.

    The vectors are mapped from unnamed files in the folder `scratch`, whose disk needs room for a copy.
    The files disappear when the process ends.

    Raises:
        OSError: `scratch` can't be written.
        InputError: names the file and the row.
        OptionError: a file needs another one that is missing.
    """
    if (files.user_vectors is None) != (files.user_ids is None):
        given = files.user_vectors and str(files.user_vectors)
        raise OptionError("--user-vectors", given, "used with --user-ids")
    items = VectorSide(files.item_vectors, files.item_ids, files.item_biases)
    items.check_directions()
    users = None
    if files.user_vectors is not None and files.user_ids is not None:
        paths = files.user_vectors, files.user_ids, files.user_biases
        users = VectorSide(*paths, kind="user", components=items.components)
    else:
        for name in ("user_biases", "seen", "held_out"):
            if (path := getattr(files, name)) is not None:
                flag = f"--{name.replace('_', '-')}"
                raise OptionError(flag, str(path), "used with --user-vectors")
    item_map, user_map = items.ids, IdMap.build([]) if users is None else users.ids
    nobody = np.empty((0, items.components + 1), dtype=np.float32)
    embeddings = Embeddings(
        item_vectors=items.by_row(scratch),
        user_vectors=nobody if users is None else users.by_row(scratch),
    )
    # Return the memory that was needed for making the id maps.
    release_heap()
    warnings = [*items.warnings]
    if users is not None:
        warnings += [*users.warnings, *users.check_most_directions()]
    seen, held_out = ragged.empty(len(user_map)), None
    if users is not None and files.seen is not None:
        seen = _rows(files.seen, items, users, warnings)
    if users is not None and files.held_out is not None:
        held_out = _rows(files.held_out, items, users, warnings)
        held_out, left_out = _without_seen(held_out, seen)
        if left_out:
            warnings.append(
                f"{left_out} positives of {files.held_out} are also in {files.seen}: "
                "they aren't evaluated"
            )
    metrics: dict[str, float] = {}
    evaluation = None
    if held_out is not None:
        popularity, ranks = seen_popularity(seen, len(item_map)), id_ranks(item_map)
        test = HeldOutTest(
            seen=seen,
            held_out=held_out,
            popularity=popularity,
            ties=ranks,
            segments=usual(seen, popularity),
        )
        found = evaluate(scores_of(embeddings), test)
        simple = compare(found, test, None, model="", fitting=Fitting())
        warnings += warnings_of(simple)
        evaluation = replace(facts_of(found, test, item_map, user_map), simple_models=simple)
        metrics = found.metrics() | evaluate_cold_of(test, embeddings, None, seed=42)
    titles, attributes = _read_items(files, items, warnings).by_row(item_map)
    return Publishable(
        items=item_map,
        users=user_map,
        embeddings=embeddings,
        seen=seen,
        held_out=held_out,
        titles=titles,
        facts=DatasetFacts(
            name=files.item_vectors.name,
            split="none" if held_out is None else "own",
            train_interactions=len(seen.values),
            test_interactions=0 if held_out is None else len(held_out.values),
            item_features=[],
            user_features=[],
        ),
        metrics=metrics,
        evaluation=evaluation,
        attributes=attributes,
        warnings=warnings,
    )


def _rows(path: Path, items: VectorSide, users: VectorSide, warnings: list[str]) -> Ragged:
    """Return for each user the ascending item rows of the positives in a file.

    Raises:
        InputError: the file can't be read, or no row has both vectors.
    """
    interactions = read_interactions(path)
    warnings += interactions.warnings
    item_rows = _known_rows(path, "item", items, interactions.item_ids)[interactions.items]
    user_rows = _known_rows(path, "user", users, interactions.user_ids)[interactions.users]
    has_vectors = (item_rows >= 0) & (user_rows >= 0)
    if not has_vectors.any():
        raise InputError(
            path,
            f"no row has both an item of {items.ids_path} and a user of {users.ids_path}: does the "
            "file belong to these vectors?",
        )
    known = has_vectors & (interactions.weights > 0)
    if not known.all():
        warnings.append(
            f"{int((~known).sum())} of {len(known)} rows of {path} have a user or an item without a "
            "vector, or a weight of 0 or less: they are left out"
        )
    return ragged.of_pairs(user_rows[known], item_rows[known], len(users.ids))


def _known_rows(path: Path, what: str, side: VectorSide, ids: Sequence[str]) -> Rows:
    """Return the row of each id of a file, -1 without a vector; raises InputError if none has one."""
    rows = side.ids.rows(ids)
    if len(rows) and (rows < 0).all():
        raise InputError(
            path,
            f"none of its {len(rows)} {what} ids is in {side.ids_path}: for example, {ids[0]!r} here "
            f"and {side.first_id!r} there. Ids must be equal character by character",
        )
    return rows


def _without_seen(held_out: Ragged, seen: Ragged) -> tuple[Ragged, int]:
    """Remove items that the same user has seen, since they are never answers; also count them."""
    items = 1 + int(max(held_out.values.max(initial=0), seen.values.max(initial=0)))
    pairs, seen_pairs = (own.owners * items + own.values for own in (held_out, seen))
    kept = ~np.isin(pairs, seen_pairs)
    left = ragged.of_owners(held_out.owners[kept], held_out.values[kept], len(held_out))
    return left, int((~kept).sum())


def _read_items(files: OwnVectors, items: VectorSide, warnings: list[str]) -> FeatureTable:
    attributes = item_attributes.parse(files.item_attributes)
    if files.items is None:
        if attributes:
            shown = ",".join(files.item_attributes)
            raise OptionError(item_attributes.OPTION, shown, "used with --items FILE")
        return FeatureTable()
    table = read_features(
        files.items, "item", columns=[], attributes=attributes, separator=files.feature_separator
    )
    if table.titles is None and not attributes:
        raise InputError(files.items, "column title is missing")
    rows = _known_rows(files.items, "item", items, table.ids)
    if without := len(items.ids) - int((rows >= 0).sum()):
        warnings.append(
            f"{without} items have a vector but aren't in {files.items}: they have no "
            f"{what_it_has(table)}"
        )
    warnings += table.warnings
    return table
