"""A process that trains on request, for tests that kill it.

A request's fields are those of `Request`; a child runs the trainer's own pipeline. It tells
`{"publishing": ...}` when it has trained its last model and is about to build the indexes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.publication.volume import Volume
from tests import datasets, specs
from tests.integration.forking import answer, serve
from trainer.pipeline import Places, train_and_publish
from trainer.progress import Advance, Silent
from trainer.promotion.checks import promote_if_passed
from trainer.promotion.gates import Gates
from trainer.spec import DataSpec


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a child does.

    Attributes:
        volume: where it publishes.
        seeds: of the data of each training, one after the other.
        file_limit: the most bytes that a file may have.
    """

    volume: str
    seeds: list[int]
    file_limit: int | None = None


class Telling(Silent):
    """Tells when the publishing begins."""

    told = False

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Advance]:
        if name.startswith("Index") and not self.told:
            self.told = True
            answer(publishing=name)
        with super().step(name, total) as advance:
            yield advance


def train(request: Request, _: int) -> None:
    volume = Volume(Path(request.volume))
    for number, seed in enumerate(request.seeds, start=1):
        result = train_and_publish(
            specs.spec(
                data=DataSpec(interactions="in memory", split="first-10"),
                backend="annoy",
                gates=Gates(allow_different_data=True),
            ),
            Places(volume, volume.folder, volume.folder),
            source=datasets.source(seed=seed, items=datasets.genres()),
            reporter=Telling() if number == len(request.seeds) else Silent(),
        )
        promote_if_passed(volume, result, label="current")


if __name__ == "__main__":
    serve(Request, train, PublicationError)
