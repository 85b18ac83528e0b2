"""A small publication to report on, in which item biases matter and titles are odd."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from lightfm_retriever.publication import labels
from tests.unit.trainer.publishing.test_publish import FACTS, held_out, run
from trainer.publishing.publishable import Publishable

ITEMS, USERS = 60, 30
SCRIPT = "<script>alert('Film')</script> & \"more\""
UNTITLED = "i7"


def source() -> Publishable:
    """Users like what they score highest, and have some of it held out."""
    of = held_out(ITEMS, USERS, each=10)
    titles = [f"Film {of.items.external_id(row)} – 映画" for row in range(ITEMS)]
    titles[of.items.row(UNTITLED) or 0] = ""
    # Popular, so that it is among what is shown.
    titles[int(np.bincount(of.seen.values).argmax())] = SCRIPT
    return replace(of, titles=titles, facts=replace(FACTS, name="<b>own</b> & vectors"))


def publish_to(volume: Path, of: Publishable | None = None) -> str:
    """Publish it, quickly; returns the version."""
    version = run(volume, of or source()).manifest.version
    labels.promote(volume, version)
    return version
