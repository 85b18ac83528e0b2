"""Search LightFM's settings on public data sets, for defaults that follow from the data's shape.

    python -m tests.benchmarks.quality.study --splits DIR --output FILE

DIR is the output of `independent`. A model is fitted to learn.csv of each set, cut to `--most-pairs`
by taking fewer users, and measured on validation.csv: NDCG@10, seen items excluded. All sets try the
same settings. They were drawn at random at first, and then narrowed by hand, after looking at results.
Penalties are chosen as strengths: a strength divided by the number of items is `item_alpha`, and by the
number of users is `user_alpha`. LightFM shrinks all vectors at each step, and between two steps of an
item there are about as many others as there are items. So an equal strength means an equal penalty on
sets of any size.

Each setting is measured after several numbers of epochs, and with vectors of folded-in users, too. With
--check, the fixed defaults and those of the rule are fitted to train.csv and measured on test.csv. Some
of these results were known when the rule was last changed, so they aren't an independent test of it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the number of threads
import scipy.sparse as sp  # noqa: E402
from lightfm import LightFM  # noqa: E402

from lightfm_retriever.publication.storage.ragged import Ragged  # noqa: E402
from lightfm_retriever.publication.vectors.fold_in import FoldIn  # noqa: E402
from tests.benchmarks.quality.events import Events, read  # noqa: E402
from tests.benchmarks.quality.measures import measure  # noqa: E402
from trainer.fitting.defaults import default_settings  # noqa: E402

SEED = 5
EPOCHS = (5, 10, 20, 40)
# Enough to compare settings, and quick.
_USERS = 1000


@dataclass(frozen=True)
class Setting:
    """What is tried: LightFM's names, and the penalties as strengths."""

    components: int
    learning_rate: float
    item_strength: float
    user_strength: float
    max_sampled: int


FIXED = Setting(64, 0.05, -1.0, 0.0, 10)
"""The fixed defaults. A strength of -1 is an `item_alpha` of 0.001."""
FIXED_EPOCHS = 20


# Drawn at random, then narrowed by hand: the last ones are near the best of the first.
SETTINGS = (
    FIXED,
    Setting(64, 0.1, 1.0, 0.2, 10),
    Setting(64, 0.05, 3.0, 0.2, 10),
    Setting(32, 0.05, 10.0, 0.0, 10),
    Setting(16, 0.02, 1.0, 0.0, 30),
    Setting(16, 0.05, 30.0, 0.0, 10),
    Setting(64, 0.02, 1.0, 0.3, 50),
    Setting(64, 0.02, 1.0, 0.3, 10),
    Setting(64, 0.02, 1.0, 1.0, 50),
)


@dataclass(frozen=True)
class Parts:
    """The matrices (users, items) to learn from and to validate."""

    learn: sp.csr_matrix
    validation: sp.csr_matrix

    @classmethod
    def of(
        cls, folder: Path, most_pairs: int, names: tuple[str, str] = ("learn", "validation")
    ) -> Parts:
        """Read two parts of a set, with fewer users if they have more pairs."""
        learn, held_out = (read(folder / f"{name}.csv") for name in names)
        users = np.random.default_rng(SEED).permutation(sorted({row[0] for row in learn}))
        share = min(1.0, most_pairs / len(learn))
        kept = {*users[: round(len(users) * share)].tolist()}
        learn, held_out = ([row for row in part if row[0] in kept] for part in (learn, held_out))
        events = Events.of([*learn, *held_out], counts=True)
        pairs = {row[:2] for row in held_out}
        names = zip(events.user, events.item, strict=True)
        out = np.array([(events.users[u], events.items[i]) in pairs for u, i in names])
        plain = replace(events, weight=np.ones_like(events.weight))
        made = plain.only(~out).matrix()
        # Items that only the validation part has can't be learned.
        known = np.flatnonzero(np.asarray(made.sum(axis=0)).ravel())
        return cls(made[:, known].tocsr(), plain.only(out).matrix()[:, known].tocsr())

    @property
    def shape(self) -> dict[str, int]:
        """The users, items and pairs to learn from."""
        users, items = self.learn.shape
        return {"users": users, "items": items, "interactions": self.learn.nnz}


def try_setting(
    parts: Parts, setting: Setting, *, after: tuple[int, ...] = EPOCHS, most: int | None = _USERS
) -> list[dict[str, float]]:
    """Fit, and measure after each number of epochs; stops when the quality clearly falls.

    Args:
        parts: what to learn from and to measure on.
        setting: what to try.
        after: the numbers of epochs.
        most: the most users to measure.
    """
    users, items = parts.learn.shape
    fixed = setting.item_strength < 0
    model = LightFM(
        setting.components,
        loss="warp",
        learning_rate=setting.learning_rate,
        item_alpha=0.001 if fixed else setting.item_strength / items,
        user_alpha=setting.user_strength / users,
        max_sampled=setting.max_sampled,
        random_state=SEED,
    )
    pairs, rows, done, spent = parts.learn.tocoo(), [], 0, 0.0
    for epochs in after:
        began = time.perf_counter()
        model.fit_partial(pairs, epochs=epochs - done)
        spent += time.perf_counter() - began
        done = epochs
        row = {"epochs": epochs, "seconds": round(spent, 2), **_measured(parts, model, most)}
        rows.append(row)
        if row["ndcg"] < 0.85 * max(own["ndcg"] for own in rows):
            break
    return rows


def _measured(parts: Parts, model: LightFM, most: int | None) -> dict[str, float]:
    """Return NDCG@10 with the trained vectors of users, and with folded-in ones."""
    item_vectors = np.c_[model.item_embeddings, model.item_biases].astype(np.float32)
    user_vectors = np.c_[model.user_embeddings, model.user_biases].astype(np.float32)
    seen = Ragged(parts.learn.indptr.astype(np.int64), parts.learn.indices.astype(np.int32))
    fold_in = FoldIn.build(item_vectors, user_vectors, seen, seed=SEED)
    embeddings, biases = item_vectors[:, :-1], item_vectors[:, -1]

    def folded(rows: np.ndarray) -> np.ndarray:
        vectors = np.zeros((len(rows), embeddings.shape[1]), np.float32)
        for place, row in enumerate(rows):
            own = embeddings[seen[row]]
            vectors[place] = fold_in.parts(own, np.ones(len(own), np.float32)).sum(axis=0)
        return vectors @ embeddings.T + biases

    def trained(rows: np.ndarray) -> np.ndarray:
        return user_vectors[rows, :-1] @ embeddings.T + biases

    found = {"ndcg": measure(trained, parts.learn, parts.validation, most=most).ndcg}
    if fold_in is not None:
        found["folded"] = measure(folded, parts.learn, parts.validation, most=most).ndcg
    return {name: round(value, 5) for name, value in found.items()}


def check(folder: Path) -> dict[str, object]:
    """Fit the fixed defaults and those of the rule to train.csv, and measure them on test.csv."""
    parts = Parts.of(folder, sys.maxsize, ("train", "test"))
    chosen = default_settings(**parts.shape)
    by_rule = Setting(
        chosen.components,
        chosen.learning_rate,
        chosen.item_alpha * parts.shape["items"],
        chosen.user_alpha * parts.shape["users"],
        FIXED.max_sampled,
    )
    ways = {"fixed": (FIXED, FIXED_EPOCHS), "rule": (by_rule, chosen.epochs)}
    return {
        "shape": parts.shape,
        **{
            name: try_setting(parts, setting, after=(epochs,), most=None)[0]
            for name, (setting, epochs) in ways.items()
        },
    }


def main() -> int:
    """Try all settings on all sets, and write the results after each."""
    made = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality.study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--splits", type=Path, required=True, help="the output of `independent`")
    made.add_argument("--output", type=Path, required=True, help="a JSON file of the results")
    made.add_argument("--sets", nargs="+", help="only these sets")
    made.add_argument("--most-pairs", type=int, default=25_000, help="cut larger sets to this")
    made.add_argument("--check", action="store_true", help="test the rule on whole sets instead")
    options = made.parse_args()
    folders = sorted(path.parent for path in options.splits.glob("random/*/learn.csv"))
    results = json.loads(options.output.read_text()) if options.output.is_file() else {}
    if options.check:
        for folder in folders:
            if folder.name in results or (options.sets and folder.name not in options.sets):
                continue
            results[folder.name] = check(folder)
            options.output.write_text(json.dumps(results, indent=1))
            print(folder.name, results[folder.name], flush=True)
        return 0
    parts: dict[str, Parts] = {}
    for setting in SETTINGS:
        for folder in folders:
            name = folder.name
            if options.sets and name not in options.sets:
                continue
            own = results.setdefault(name, {"shape": {}, "tried": []})
            if any(one["setting"] == asdict(setting) for one in own["tried"]):
                continue
            if name not in parts:
                parts[name] = Parts.of(folder, options.most_pairs)
            own["shape"] = parts[name].shape
            rows = try_setting(parts[name], setting)
            own["tried"].append({"setting": asdict(setting), "rows": rows})
            options.output.write_text(json.dumps(results, indent=1))
            print(name, setting, [(row["epochs"], row["ndcg"]) for row in rows], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
