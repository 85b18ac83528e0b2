"""Whether a table of features is of the items, or users, that there are."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path

from trainer.data import id_forms
from trainer.data.features import FeatureTable
from trainer.errors import InputError

# Of the ids of a table, or of those that there are if these are fewer, a smaller share in the other
# looks like ids of another form.
_FEW = 0.1


def warnings_of(
    kind: str, table: FeatureTable, present: AbstractSet[str], *, others: Iterable[str] = (), where: str
) -> list[str]:
    """Tell of a table of which few ids are known, with an example of both forms.

    Args:
        kind: "item" or "user".
        table: of features, titles or attributes.
        present: the ids that there are.
        others: ids of the other kind, with which they may have been mixed up.
        where: where those that are present are, as "in the interactions".

    Raises:
        InputError: none is known.
    """
    strangers = [own for own in table.ids if own not in present]
    matched = len(table.ids) - len(strangers)
    if not table.ids or matched >= max(1.0, _FEW * min(len(table.ids), len(present))):
        return []
    forms = id_forms.explain(strangers, sorted(present), present, where=("here", where))
    if matched:
        found = f"only {matched:,} of {len(table.ids):,} {kind}s of {table.name}"
        return [f"{found} are {where}: {forms}"]
    reason = f"none of its {len(table.ids):,} {kind}s is {where}: {forms}"
    swapped = set(others).intersection(table.ids)
    if len(swapped) > len(table.ids) // 2:
        other = "user" if kind == "item" else "item"
        reason += f"; {len(swapped):,} are {other}s there: are the columns user_id and item_id swapped?"
    raise InputError(Path(table.name), reason)


def what_it_has(table: FeatureTable) -> str:
    """What a table has of its items or users, after "no"."""
    parts = (("features", table.columns), ("titles", table.titles), ("attributes", table.attributes))
    return " and no ".join(name for name, has in parts if has) or "features"
