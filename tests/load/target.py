"""The retriever that a load tool asks: one that runs already, or one that it starts and stops."""

import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting.calling.diagnosis import diagnose
from lightfm_retriever.hosting.calling.first_contact import NO_ANSWER
from lightfm_retriever.hosting.security.credentials import open_channel
from lightfm_retriever.hosting.security.settings import PLAIN, ClientSecurity
from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.reader import Publication, list_versions, open_publication
from lightfm_retriever.publication.storage.id_map import IdMap
from tests.load import models
from tests.service import Service

CALL_SECONDS = 5.0
_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
# In which workers tell one another what they have counted.
_REPORT_SECONDS = 3.0
_LOOK_SECONDS = 0.1
# So many of a catalogue's ids are asked for: enough that no cache of answers could hide anything.
_MOST_IDS = 2000
_FILTER_ROWS = 100
# The most that a batch may hold.
_BATCH = 256
# Kinds of call that a publication may lack something for.
OPTIONAL = ("session", "filter")


class LoadError(Exception):
    """The load can't be put on a retriever, or ended before its time."""


@dataclass(frozen=True)
class Known:
    """Ids that the retriever knows, and a filter that some items match, "ATTRIBUTE=VALUE"."""

    users: Sequence[str]
    items: Sequence[str]
    filter: str | None


# What MovieLens 100K has, which `make demo` publishes.
_MOVIELENS_USERS, _MOVIELENS_ITEMS, _MOVIELENS_FILTER = 943, 1682, "genres=Drama"


class Target:
    """A retriever that answers.

    Args:
        address: HOST:PORT.
        security: TLS and what to show it. HostingError for files that can't be used.
    """

    def __init__(self, address: str, security: ClientSecurity = PLAIN) -> None:
        self.address = address
        self.security = security
        self._channel = open_channel(address, security, [])
        self.stub = pb_grpc.RetrieverServiceStub(self._channel)

    def check(self) -> pb.GetStatusResponse:
        """Its status. LoadError unless something is there, is a retriever, and serves a version."""
        try:
            status = self.status()
        except grpc.RpcError as error:
            code = error.code()
            if code in _REFUSED:
                raise LoadError(
                    f"the retriever at {self.address} refuses the caller: {words(error)}; give "
                    "--client-token-file, or --cert and --key"
                ) from error
            if code in NO_ANSWER:
                found = diagnose(self.address, self.security, seconds=CALL_SECONDS)
                if found is not None and not found.may_start:
                    raise LoadError(f"no retriever answers at {self.address}: {found.text}") from error
                problem = f"no retriever answers at {self.address}"
                way_out = "start one (make serve), or leave out --target and one is started"
                raise LoadError(f"{problem}: {way_out}; {words(error)}") from error
            raise LoadError(
                f"what answers at {self.address} is no retriever: {words(error)}"
            ) from error
        if not status.version:
            raise LoadError(f"the retriever at {self.address} serves nothing: publish a version first")
        return status

    def status(self) -> pb.GetStatusResponse:
        """What GetStatus answers; grpc.RpcError when it doesn't."""
        return self.stub.GetStatus(pb.GetStatusRequest(), timeout=CALL_SECONDS)

    def status_after(self, before: pb.GetStatusResponse, calls: int) -> pb.GetStatusResponse:
        """Its status once the workers have reported so many calls, which may take a second."""
        wanted = sum(worker.calls + worker.refused_calls for worker in before.workers) + calls
        end = time.monotonic() + _REPORT_SECONDS
        while True:
            status = self.status()
            counted = sum(worker.calls + worker.refused_calls for worker in status.workers)
            # It may stay below: a worker that was restarted begins from none.
            if counted >= wanted or time.monotonic() > end:
                return status
            time.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


def words(error: grpc.RpcError) -> str:
    """A failed call in a line."""
    return f"{error.code().name}: {error.details()}"


@contextlib.contextmanager
def retriever(
    address: str | None,
    volume: Path | None,
    *,
    workers: int,
    label: str = layout.DEFAULT_LABEL,
    security: ClientSecurity = PLAIN,
) -> Iterator[tuple[Target, Path | None]]:
    """A retriever that answers, and its volume as far as that is known.

    Without an address one is started on a free port, of `volume`, or else of two versions made up in a
    temporary folder; it is stopped at the end. `security` is for one with an address.
    """
    with contextlib.ExitStack() as stack:
        if address is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            volume = volume or make_up(folder / "volume", label)
            address = stack.enter_context(_started(volume, folder, workers, label))
        target = Target(address, security)
        stack.callback(target.close)
        target.check()
        yield target, volume


def make_up(volume: Path, label: str = layout.DEFAULT_LABEL) -> Path:
    """Publish two versions of the size of MovieLens 100K, the label at the first."""
    size = models.Size(items=1682, components=64, every=False)
    first, _ = (models.publish(volume, family, 1, size).version for family in ("a", "b"))
    labels.promote(volume, first, label=label)
    return volume


@contextlib.contextmanager
def _started(volume: Path, folder: Path, workers: int, label: str) -> Iterator[str]:
    version = labels.read_label(volume, label)
    log = folder / "retriever.log"
    flags: dict[str, Any] = {
        "workers": workers,
        "label": label,
        "drain_seconds": 0,
    }
    with contextlib.ExitStack() as stack:
        try:
            service = stack.enter_context(Service(volume, log, **flags))
            service.wait_until_all_serve(version)
        except (RuntimeError, TimeoutError) as error:
            last = log.read_text().strip().splitlines()[-1:]
            raise LoadError(f"the retriever to ask didn't start: {' '.join(last) or error}") from error
        yield service.target
        service.terminate()


def known_of(target: Target, volume: Path | None, versions: Sequence[str]) -> Known:
    """What each of the versions has; without a volume those of MovieLens' ids that the target knows."""
    if volume is None:
        return _movielens(target)
    first, *others = (open_publication(volume, version) for version in versions)
    value = _filter_of(first)
    if value is not None and any(_filter_of(other) is None for other in others):
        value = None
    return Known(
        _some(first.users, [other.users for other in others]),
        _some(first.items, [other.items for other in others]),
        value,
    )


def _movielens(target: Target) -> Known:
    users = [str(number) for number in range(1, _MOVIELENS_USERS + 1)]
    items = [str(number) for number in range(1, _MOVIELENS_ITEMS + 1)]
    try:
        known_users = [
            target.stub.BatchRecommend(
                pb.BatchRecommendRequest(
                    requests=[pb.RecommendRequest(user_id=user, limit=1) for user in batch]
                ),
                timeout=CALL_SECONDS,
            )
            for batch in _batches(users)
        ]
        known_items = [
            target.stub.BatchSimilarItems(
                pb.BatchSimilarItemsRequest(
                    requests=[pb.SimilarItemsRequest(item_id=item, limit=1) for item in batch]
                ),
                timeout=CALL_SECONDS,
            )
            for batch in _batches(items)
        ]
    except grpc.RpcError as error:
        raise LoadError(f"{target.address} can't be asked for its ids: {words(error)}") from error
    return Known(_answered(users, known_users), _answered(items, known_items), _MOVIELENS_FILTER)


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))


def _answered(
    ids: Sequence[str],
    batches: Sequence[pb.BatchRecommendResponse | pb.BatchSimilarItemsResponse],
) -> list[str]:
    results = (result for batch in batches for result in batch.results)
    return [each for each, result in zip(ids, results, strict=True) if result.HasField("response")]


def _some(ids: IdMap, others: Sequence[IdMap]) -> list[str]:
    # Always the same ones.
    rows = random.Random(0).sample(range(len(ids)), min(len(ids), _MOST_IDS))  # noqa: S311
    some = [ids.external_id(row) for row in rows]
    return [each for each in some if all(other.row(each) is not None for other in others)]


def _filter_of(publication: Publication) -> str | None:
    attributes = publication.attributes
    if attributes is None:
        return None
    for position, facts in enumerate(attributes.facts):
        if facts.kind != "text" or "=" in facts.name:
            continue
        for row in range(min(_FILTER_ROWS, len(publication.items))):
            for value in attributes.texts(position, row):
                return f"{facts.name}={value}"
    return None


def other_version(volume: Path, version: str) -> str:
    """The newest version on the volume but one."""
    others = [each for each in list_versions(volume) if each != version]
    if not others:
        raise LoadError(
            f"{volume} has no version but {version}, so none to publish and roll back from: "
            "train another, or leave out --volume and two are made up"
        )
    return others[-1]


def answered_kinds(target: Target, known: Known, *, filter_wanted: bool = False) -> list[str]:
    """The kinds of call that the retriever can answer, each asked once.

    A publication may lack what sessions need, or attributes; a filter that was wanted must work.
    """
    user, item = known.users[0], known.items[0]
    recommend = pb.RecommendRequest(user_id=user)
    asks: dict[str, Callable[[], object]] = {
        "recommend": lambda: target.stub.Recommend(recommend, timeout=CALL_SECONDS),
        "similar": lambda: target.stub.SimilarItems(
            pb.SimilarItemsRequest(item_id=item), timeout=CALL_SECONDS
        ),
        "session": lambda: target.stub.Recommend(
            pb.RecommendRequest(session=pb.WeightedItems(item_ids=[item])), timeout=CALL_SECONDS
        ),
    }
    if known.filter is not None:
        attribute, _, value = known.filter.partition("=")
        condition = pb.Condition(attribute=attribute, any_of=pb.Values(values=[value]))
        filtered = pb.RecommendRequest(user_id=user, filter=pb.Filter(conditions=[condition]))
        asks["filter"] = lambda: target.stub.Recommend(filtered, timeout=CALL_SECONDS)
    needed = set(asks) - set(OPTIONAL) | ({"filter"} if filter_wanted else set())
    answered = []
    for kind, ask in asks.items():
        try:
            ask()
        except grpc.RpcError as error:
            if kind in needed or error.code() not in (
                grpc.StatusCode.FAILED_PRECONDITION,
                grpc.StatusCode.INVALID_ARGUMENT,
            ):
                raise LoadError(
                    f"{target.address} answers a call of kind {kind!r} with {words(error)}; ids that "
                    "it knows can be given by --volume, or by --user-ids and --item-ids"
                ) from error
        else:
            answered.append(kind)
    return [*answered, "batch_recommend", "batch_similar", "status", "unknown_user"]
