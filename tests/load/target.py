"""Provides the retriever for a load tool: a running one, or one that it starts and stops."""

import argparse
import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import labels
from lightfm_retriever.publication.reader import Publication, list_versions, open_publication
from lightfm_retriever.publication.storage.id_map import IdMap
from retriever.client import (
    Answer,
    CallError,
    ClientSecurity,
    RecommendRequest,
    RetrieverClient,
    SimilarItemsRequest,
    UnreachableError,
    any_of,
)
from tests.load import models
from tests.service import Service

# Workers share their counts within this time.
_REPORT_SECONDS = 3.0
_LOOK_SECONDS = 0.1
# Number of ids to call with: enough that no cache could hold all answers.
_MOST_IDS = 2000
_FILTER_ROWS = 100
# Maximum size of a batch.
_BATCH = 256
# Kinds of call that a publication may not support, and the codes of such calls.
OPTIONAL = ("session", "filter")
_LACKING = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT)
# Numbers of MovieLens 100K, which `make demo` publishes.
_MOVIELENS_USERS, _MOVIELENS_ITEMS, _MOVIELENS_FILTER = 943, 1682, "genres=Drama"


class LoadError(Exception):
    """The load test can't start, or ended early."""


@dataclass(frozen=True)
class Known:
    """Known ids of the retriever, and a filter that some items match, "ATTRIBUTE=VALUE"."""

    users: Sequence[str]
    items: Sequence[str]
    filter: str | None


@dataclass(frozen=True)
class Target:
    """A retriever at HOST:PORT, and its volume if that is known."""

    address: str
    volume: Path | None
    security: ClientSecurity
    client: RetrieverClient

    def check(self) -> pb.GetStatusResponse:
        """Return the status. Raises LoadError unless a retriever answers and serves a version."""
        try:
            status = self.client.status()
        except CallError as error:
            way_out = ""
            if error.code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
                way_out = "; give --client-token-file, or --cert and --key"
            elif isinstance(error, UnreachableError) and error.cause == "refused":
                way_out = "; start one (make serve), or leave out --target to start one"
            raise LoadError(f"no retriever answers at {error}{way_out}") from error
        if not status.version:
            raise LoadError(f"the retriever at {self.address} serves nothing: publish a version first")
        return status

    def status_after(self, before: pb.GetStatusResponse, calls: int) -> pb.GetStatusResponse:
        """Return the status after workers have reported `calls` more calls, within seconds."""
        end = time.monotonic() + _REPORT_SECONDS
        # The count may stay below: a restarted worker begins from 0.
        while _counted(status := self.client.status()) < _counted(before) + calls:
            if time.monotonic() > end:
                break
            time.sleep(_LOOK_SECONDS)
        return status


def _counted(status: pb.GetStatusResponse) -> int:
    return sum(worker.calls + worker.refused_calls for worker in status.workers)


@contextlib.contextmanager
def retriever(options: argparse.Namespace, security: ClientSecurity) -> Iterator[Target]:
    """Yield a running retriever, by the flags of `tests.load.k6`.

    Without --target, starts a retriever on a free port, and stops it at the end. It serves --volume, or
    two synthetic versions in a temporary folder. `security` is for --target.
    """
    with contextlib.ExitStack() as stack:
        address, volume = options.target, options.volume
        if address is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            volume = volume or _made_up(folder / "volume", options.label)
            address = stack.enter_context(_started(volume, folder / "log", options))
        client = stack.enter_context(RetrieverClient(address, security=security))
        target = Target(address, volume, security, client)
        target.check()
        yield target


def _made_up(volume: Path, label: str) -> Path:
    """Publish two synthetic versions of the size of MovieLens 100K. The label names the first one."""
    size = models.Size(items=1682, components=64, every=False)
    first, _ = (models.publish(volume, family, 1, size).version for family in ("a", "b"))
    labels.promote(volume, first, label=label)
    return volume


@contextlib.contextmanager
def _started(volume: Path, log: Path, options: argparse.Namespace) -> Iterator[str]:
    version = labels.read_label(volume, options.label)
    flags = {"workers": options.workers, "label": options.label, "drain_seconds": 0}
    with contextlib.ExitStack() as stack:
        try:
            service = stack.enter_context(Service(volume, log, **flags))
            service.wait_until_all_serve(version)
        except (RuntimeError, TimeoutError) as error:
            last = log.read_text().strip().splitlines()[-1:]
            raise LoadError(f"the retriever didn't start: {' '.join(last) or error}") from error
        yield service.target
        service.terminate()


def known_of(target: Target, versions: Sequence[str]) -> Known:
    """Return ids that all versions have; without a volume, MovieLens ids that the target knows."""
    if target.volume is None:
        return _movielens(target.client)
    opened = [open_publication(target.volume, version) for version in versions]
    filters = [_filter_of(one) for one in opened]
    return Known(
        _some([one.users for one in opened]),
        _some([one.items for one in opened]),
        None if None in filters else filters[0],
    )


def _movielens(client: RetrieverClient) -> Known:
    def answered(count: int, ask: Callable[[Sequence[str]], Sequence[Answer | CallError]]) -> list[str]:
        ids = [str(number) for number in range(1, count + 1)]
        batches = [ids[start : start + _BATCH] for start in range(0, count, _BATCH)]
        answers = [answer for batch in batches for answer in ask(batch)]
        return [each for each, answer in zip(ids, answers, strict=True) if isinstance(answer, Answer)]

    return Known(
        answered(
            _MOVIELENS_USERS,
            lambda ids: client.batch_recommend([RecommendRequest(each, limit=1) for each in ids]),
        ),
        answered(
            _MOVIELENS_ITEMS,
            lambda ids: client.batch_similar_items(
                [SimilarItemsRequest(each, limit=1) for each in ids]
            ),
        ),
        _MOVIELENS_FILTER,
    )


def _some(of_versions: Sequence[IdMap]) -> list[str]:
    """Draw ids of the first map that all maps have. The draw is always the same."""
    ids = of_versions[0]
    rows = random.Random(0).sample(range(len(ids)), min(len(ids), _MOST_IDS))  # noqa: S311
    some = map(ids.external_id, rows)
    return [each for each in some if all(other.row(each) is not None for other in of_versions)]


def _filter_of(publication: Publication) -> str | None:
    attributes = publication.attributes
    for position, facts in enumerate(attributes.facts if attributes is not None else ()):
        if facts.kind == "text" and "=" not in facts.name:
            for row in range(min(_FILTER_ROWS, len(publication.items))):
                for value in attributes.texts(position, row):
                    return f"{facts.name}={value}"
    return None


def other_version(volume: Path, version: str) -> str:
    """Return the newest version on the volume, apart from `version`."""
    others = [each for each in list_versions(volume) if each != version]
    if not others:
        raise LoadError(
            f"{volume} only has version {version}, but this scenario needs two: train another version, "
            "or leave out --volume to use synthetic versions"
        )
    return others[-1]


def answered_kinds(client: RetrieverClient, known: Known, *, filter_wanted: bool) -> list[str]:
    """Return the kinds of call that the retriever can answer, after one call of each kind.

    A publication may not support sessions or filters. But if --filter was given, it must work.
    """
    user, item = known.users[0], known.items[0]
    asks: dict[str, Callable[[], object]] = {
        "recommend": lambda: client.recommend(user),
        "similar": lambda: client.similar_items(item),
        "session": lambda: client.recommend(session=[item]),
    }
    if known.filter is not None:
        attribute, _, value = known.filter.partition("=")
        asks["filter"] = lambda: client.recommend(user, filter=[any_of(attribute, value)])
    answered = []
    for kind, ask in asks.items():
        needed = kind not in OPTIONAL or (kind == "filter" and filter_wanted)
        try:
            ask()
        except CallError as error:
            if needed or error.code not in _LACKING:
                raise LoadError(
                    f"a call of kind {kind!r} fails: {error}; give known ids by --volume, or by "
                    "--user-ids and --item-ids"
                ) from error
        else:
            answered.append(kind)
    return [*answered, "batch_recommend", "batch_similar", "status", "unknown_user"]
